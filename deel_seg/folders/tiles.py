"""Images of any size for a network that takes some: padding, and tiles, and what they cost.

Padding with a fixed value leaves the distance between two images as it is, and cutting off the
logits of what was added can only shorten that between two outputs: the constant stays the
network's. Of tiles each sees a part of the image: the squares of the distances of their outputs add
up to at most `L^2` times those of the parts, where a pixel counts as often as it lies in tiles. If
it lies in at most `m` of them, the constant of the whole is `sqrt(m) L`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from deel_seg._checks import check_integer, check_pair, received

_LARGEST_MULTIPLE = 256


@dataclass(frozen=True)
class Tiling:
    """How an image is given to a network.

    Attributes:
        multiple: What the network's strides divide: `(height, width)`. Images are padded up to
            multiples of it, at the bottom and on the right.
        tile: Size of a tile, or None for the whole image at once.
        overlap: Pixels on every inner side of a tile that it only looks at: their logits are those
            of the neighbour.
    """

    multiple: tuple[int, int]
    tile: tuple[int, int] | None = None
    overlap: int = 0

    def __post_init__(self) -> None:
        check_integer("overlap", self.overlap, minimum=0)
        if self.tile is None:
            if self.overlap:
                raise ValueError(f"`overlap` needs `tile`. {received(overlap=self.overlap)}")
            return
        for size, multiple in zip(check_pair("tile", self.tile), self.multiple, strict=True):
            if size % multiple:
                raise ValueError(
                    f"`tile` must be a multiple of {self.multiple}, which the network's strides "
                    f"divide. {received(tile=self.tile)}"
                )
            if size <= 2 * self.overlap:
                raise ValueError(
                    "`overlap` must leave something of a tile. "
                    + received(tile=self.tile, overlap=self.overlap)
                )

    def padded(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size of an image with what is added to it: so much that tiles fill it."""
        steps = self.multiple if self.tile is None else self._steps()
        least = self.multiple if self.tile is None else self.tile
        height, width = (
            first + max(0, math.ceil((length - first) / step)) * step
            for length, first, step in zip(size, least, steps, strict=True)
        )
        return height, width

    def tiles(self, size: tuple[int, int]) -> list[Tile]:
        """The tiles of an image of a size that `padded` returned; one if it is given at once."""
        if self.tile is None:
            whole = (slice(0, size[0]), slice(0, size[1]))
            return [Tile(whole, whole, whole)]
        rows, columns = self._intervals(size)
        return [
            Tile((row[0], column[0]), (row[1], column[1]), (row[2], column[2]))
            for row in rows
            for column in columns
        ]

    def constant_factor(self, size: tuple[int, int]) -> float:
        """What the constant of the network is multiplied by, for an image of this size, rounded up.

        Example:
        >>> from deel_seg.folders.tiles import Tiling
        >>> Tiling((8, 8), tile=(32, 32)).constant_factor((100, 30))
        1.0
        >>> Tiling((8, 8), tile=(32, 32), overlap=4).constant_factor((64, 64))
        2.0
        """
        if self.tile is None:
            return 1.0
        padded = self.padded(size)
        most = 1
        for length, intervals in zip(padded, self._intervals(padded), strict=True):
            seen = np.zeros(length, int)
            for taken, *_ in intervals:
                seen[taken] += 1
            most *= int(seen.max())
        root = math.sqrt(most)
        return root if math.isqrt(most) ** 2 == most else math.nextafter(root, math.inf)

    @property
    def largest_factor(self) -> float:
        """The largest `constant_factor` of an image of any size."""
        if self.tile is None:
            return 1.0
        height, width = self.tile
        return self.constant_factor((3 * height, 3 * width))

    def _steps(self) -> tuple[int, int]:
        tile = self.tile or (0, 0)
        return tile[0] - 2 * self.overlap, tile[1] - 2 * self.overlap

    def _intervals(self, size: tuple[int, int]) -> list[list[tuple[slice, slice, slice]]]:
        """Of each axis and tile: what it sees, which logits are its own, where those lie in it."""
        tile = self.tile or (0, 0)
        return [
            [
                (slice(start, start + each), slice(first, last), slice(first - start, last - start))
                for start in range(0, length - each + 1, step)
                for first in [start + self.overlap if start else 0]
                for last in [length if start + each == length else start + each - self.overlap]
            ]
            for length, each, step in zip(size, tile, self._steps(), strict=True)
        ]


@dataclass(frozen=True)
class Tile:
    """Rows and columns of one tile.

    Attributes:
        taken: What it sees of the image.
        written: Which of the image's logits are its own.
        own: Where those lie in its output.
    """

    taken: tuple[slice, slice]
    written: tuple[slice, slice]
    own: tuple[slice, slice]


def pad(pixels: np.ndarray, size: tuple[int, int], value: float) -> np.ndarray:
    """`(height, width, channels)` filled up to `size` with one value, at the bottom and right."""
    added = [(0, wanted - there) for wanted, there in zip(size, pixels.shape, strict=False)]
    return np.pad(pixels, [*added, (0, 0)], constant_values=value)


def smallest_multiple(network: keras.Model) -> tuple[int, int]:
    """The least `(height, width)` whose multiples a network gives logits of their own size for.

    Raises:
        ValueError: If there is none up to 256, or the network's output is no map of logits.
    """
    _, height, width, channels = _image_shape(network)
    if height is not None and width is not None:
        return height, width
    for multiple in (2**power for power in range(int(math.log2(_LARGEST_MULTIPLE)) + 1)):
        size = (height or multiple, width or multiple)
        if all(
            _same_size(network.compute_output_shape, (size[0] * by, size[1] * by), channels)
            for by in ((1, 2, 3) if height is None and width is None else (1,))
        ):
            return size
    raise ValueError(
        f"The network {network.name!r} gives logits of the size of the image for no multiple up to "
        f"{_LARGEST_MULTIPLE}. {received(input_shape=network.input_shape)}"
    )


def _image_shape(network: keras.Model) -> tuple[Any, ...]:
    shape = network.input_shape
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise ValueError(
            f"The network {network.name!r} must take one batch of images, "
            f"(batch, height, width, channels). {received(input_shape=shape)}"
        )
    return shape


def _same_size(shape_of: Callable[[Any], Any], size: tuple[int, int], channels: int) -> bool:
    try:
        return tuple(shape_of((1, *size, channels))[1:3]) == size
    except ValueError:  # Layers that refuse a size.
        return False
