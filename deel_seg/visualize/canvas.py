"""What all figures share: where they are drawn, their colours, their numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from deel_seg._checks import received
from deel_seg.certificates.pixels import predicted_class

Array = NDArray[Any]

# Okabe and Ito's: told apart by every common kind of colour vision.
RIGHT, ALARM, MISSED = (0.0, 0.62, 0.45), (0.0, 0.45, 0.70), (0.84, 0.37, 0.0)
CERTIFIED, ATTACKED = "#0072B2", "#D55E00"
WHITE = (1.0, 1.0, 1.0)


def new_figure(**options: Any) -> Any:
    """A matplotlib figure that is not tied to pyplot.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("Figures need matplotlib: pip install 'deel_seg[visualize]'.") from error
    return Figure(layout="constrained", **options)


def picture_panels(count: int) -> tuple[Any, Any]:
    """A figure with panels for pictures beside each other."""
    figure = new_figure(figsize=(4.2 * count, 4.2))
    panels = figure.subplots(1, count)
    for panel in panels:
        panel.set_axis_off()
    return figure, panels


def plot_panel(x: str, y: str) -> tuple[Any, Any]:
    """A figure with one pair of axes, and what is on them."""
    figure = new_figure(figsize=(6.4, 3.6))
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    return figure, axes


def picture_of(image: Any, size: tuple[int, ...]) -> Array:
    """An image to be shown, in `[0, 1]`, or raises if it is not of the size of the logits."""
    picture = np.asarray(ops.convert_to_numpy(image))
    channels = picture.shape[2:]
    if picture.shape[:2] != size or channels not in ((), (1,), (3,)):
        raise ValueError(
            f"`image` must have the height and width {size} of the logits, and 1 or 3 channels. "
            f"{received(shape=picture.shape)}"
        )
    return np.clip(picture[..., 0] if channels == (1,) else picture, 0.0, 1.0)


def image_and_logits(image: Any, logits: Any) -> tuple[Array, Any]:
    """An image in colours, and its logits as a batch of one; raises where they do not match."""
    shape = tuple(np.shape(logits))
    if len(shape) != 3:
        raise ValueError(
            f"`logits` must have shape (height, width, classes). {received(shape=shape)}"
        )
    picture = picture_of(image, shape[:2])
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=-1)
    return picture, ops.convert_to_tensor(logits)[None]


def where_found(batch: Any, class_id: int) -> Array:
    """Where a class is predicted."""
    return ops.convert_to_numpy(predicted_class(batch, batch.shape[-1]))[0] == class_id


def show_found(panel: Any, picture: Array, found: Array) -> None:
    """The image, dark where nothing was found."""
    panel.imshow(np.where(found[..., None], picture, 0.35 * picture))


def class_called(class_id: int, class_name: str | None) -> str:
    """What to call a class."""
    return f"class {class_id}" if class_name is None else class_name


def one_map(name: str, values: Any, size: tuple[int, ...]) -> Array:
    """A map `(height, width)` of integers, or raises."""
    array = np.asarray(ops.convert_to_numpy(values))
    if array.shape != size or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(
            f"`{name}` must be integers of the height and width {size} of the logits. "
            f"{received(shape=array.shape, dtype=str(array.dtype))}"
        )
    return array


def show_right_and_wrong(panel: Any, found: Array, labelled: Array) -> None:
    """What is found and is there, what is found and is not, and what is missed."""
    shown = np.full((*found.shape, 3), WHITE)
    shown[found & labelled] = RIGHT
    shown[found & ~labelled] = ALARM
    shown[~found & labelled] = MISSED
    panel.imshow(shown)


def add_legend(figure: Any, colours: Mapping[str, Any]) -> None:
    """What colours mean, below all panels."""
    from matplotlib.patches import Patch

    entries = [Patch(facecolor=colour, label=name) for name, colour in colours.items()]
    figure.legend(handles=entries, loc="outside lower center", ncols=len(entries), frameon=False)


def percent(share: float) -> str:
    """A share in percent, rounded down: what is certified is never shown too large."""
    return f"{math.floor(1000 * Fraction(share)) / 10:.1f} %"


def rounded_down(value: float) -> str:
    """A certified budget with two digits behind the point, likewise."""
    return f"{math.floor(100 * Fraction(value)) / 100:.2f}"


def rounded_up(value: float) -> str:
    """A bound from above with two digits behind the point, which must not be shown too small."""
    return f"{math.ceil(100 * Fraction(value)) / 100:.2f}"
