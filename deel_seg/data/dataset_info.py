"""What is known of a data set before any of its files is opened."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

from deel_seg._checks import check_integer, received

VOID = 255
"""The label of a pixel that belongs to no class, in every data set."""

Colour = tuple[int, int, int]

# Okabe and Ito, Color Universal Design, 2008: told apart by every common kind of colour vision.
_OKABE_ITO: tuple[Colour, ...] = (
    (0, 0, 0),
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)


@dataclass(frozen=True)
class DatasetInfo:
    """The classes, colours and splits of a data set.

    Attributes:
        name: The name `load` knows it by.
        class_names: One name per class, in the order of the labels.
        palette: One 8-bit `(red, green, blue)` per class.
        splits: The splits `load` accepts; empty where the folders on disk decide.
        ignore_class: Label of the pixels to leave out of losses, metrics and certificates:
            255 everywhere, also where no file holds it, because a rotated training image
            has corners that show nothing.

    Example:
    >>> from deel_seg.data import info
    >>> shapes = info("shapes")
    >>> shapes.num_classes, shapes.class_names[1], shapes.ignore_class
    (5, 'disc', 255)
    """

    name: str
    class_names: tuple[str, ...]
    palette: tuple[Colour, ...]
    splits: tuple[str, ...]
    ignore_class: int = VOID

    def __post_init__(self) -> None:
        if len(self.class_names) != len(self.palette):
            raise ValueError(
                "`palette` must hold one colour per class. "
                f"{received(class_names=self.class_names, palette=self.palette)}"
            )

    @property
    def num_classes(self) -> int:
        return len(self.class_names)


def distinct_colours(count: int) -> tuple[Colour, ...]:
    """Returns `count` colours: colour-blind-safe up to eight, then merely different."""
    check_integer("count", count, minimum=1)
    colours = list(_OKABE_ITO[:count])
    for extra in range(count - len(colours)):
        # Steps of the golden ratio around the colour wheel never come close to a used hue;
        # alternating brightness helps where hues look alike.
        hue = (extra * 0.6180339887) % 1.0
        red, green, blue = colorsys.hsv_to_rgb(hue, 0.55, (0.95, 0.65, 0.4)[extra % 3])
        colours.append((round(255 * red), round(255 * green), round(255 * blue)))
    return tuple(colours)
