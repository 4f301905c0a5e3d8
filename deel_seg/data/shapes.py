"""Drawn images of four shapes on a textured background: a data set that needs no files.

Each class has a usual colour, but the colours of neighbouring classes overlap and the
background may have any of them, so that both colour and form must be learnt.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deel_seg.data.dataset_info import DatasetInfo, distinct_colours
from deel_seg.data.drawn import (
    SPLITS,
    as_bytes,
    colour_of,
    drawing,
    drawn_examples,
    waves,
)
from deel_seg.data.examples import Examples

INFO = DatasetInfo(
    name="shapes",
    class_names=("background", "disc", "square", "triangle", "ring"),
    palette=distinct_colours(5),
    splits=tuple(SPLITS),
)

# Mean position on the colour wheel of classes 1 to 4, and the spread they share.
_HUES = (0.0, 0.25, 0.5, 0.75)
_HUE_SPREAD = 0.07
_NOISE = 0.04


def describe() -> DatasetInfo:
    """Returns the classes and splits."""
    return INFO


def open_split(
    split: str,
    size: tuple[int, int],
    root: str | Path | None,
    *,
    num_images: int | None = None,
    content_seed: int = 0,
) -> Examples:
    """Lists the images of a split.

    Args:
        split: `"train"`, `"val"` or `"test"`.
        size: `(height, width)` of the images.
        root: Not used.
        num_images: Number of images; by default 512, 64 and 128.
        content_seed: Another seed draws another data set.
    """
    return drawn_examples(INFO.name, render, split, size, num_images, content_seed)


def render(
    index: int, size: int | tuple[int, int], seed: int = 0, split: str = "train"
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draws one image and its labels with NumPy alone.

    Args:
        index: Number of the image, any integer from 0 on.
        size: `(height, width)`, or one number for both.
        seed: Another seed draws another data set.
        split: `"train"`, `"val"` or `"test"`; no image is shared between them.

    Returns:
        The image, uint8 `(height, width, 3)`, and the labels 0..4, uint8 `(height, width)`.
        The same arguments always give the same arrays.

    Example:
    >>> from deel_seg.data import shapes
    >>> image, labels = shapes.render(0, (32, 48))
    >>> image.shape, labels.shape, bool(labels.max() <= 4)
    ((32, 48, 3), (32, 48), True)
    """
    random, (height, width) = drawing(index, size, seed, split)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    image = _background(random, rows, columns)
    labels = np.zeros((height, width), np.uint8)
    for _ in range(random.integers(2, 6)):
        _add_shape(random, rows, columns, image, labels)
    image += random.normal(0.0, _NOISE, image.shape)
    return as_bytes(image), labels


def _background(random: np.random.Generator, rows: NDArray, columns: NDArray) -> NDArray:
    """Draws a pale colour under three waves, float32 `(height, width, 3)`."""
    colour = colour_of(random.uniform(), random.uniform(0.0, 0.35), random.uniform(0.25, 0.8))
    image = np.ones((*rows.shape, 3), np.float32) * colour
    for _ in range(3):
        wave = waves(random, rows, columns, cycles=(0.5, 8.0))
        image += (0.06 * wave)[..., None] * random.uniform(0.5, 1.0, 3)
    return image


def _add_shape(
    random: np.random.Generator,
    rows: NDArray,
    columns: NDArray,
    image: NDArray,
    labels: NDArray,
) -> None:
    """Draws one shape over what is there."""
    height, width = labels.shape
    label = int(random.integers(1, INFO.num_classes))
    radius = random.uniform(0.12, 0.28) * min(height, width)
    angle = random.uniform(0.0, 2.0 * math.pi)
    down = rows - random.uniform(0.1, 0.9) * height
    right = columns - random.uniform(0.1, 0.9) * width
    inside = _inside(
        label,
        (math.cos(angle) * right + math.sin(angle) * down) / radius,
        (math.cos(angle) * down - math.sin(angle) * right) / radius,
    )
    hue = random.normal(_HUES[label - 1], _HUE_SPREAD)
    colour = colour_of(hue, random.uniform(0.45, 0.95), random.uniform(0.45, 0.95))
    stripes = random.uniform(0.0, 0.15) * waves(random, rows, columns, cycles=(4.0, 12.0))
    image[inside] = (colour + stripes[..., None])[inside]
    labels[inside] = label


def _inside(label: int, x: NDArray, y: NDArray) -> NDArray:
    """Tells which points lie in the shape of a class of radius about one around zero."""
    squared = x * x + y * y
    if label == 1:
        return squared <= 1.0
    if label == 2:
        return np.maximum(abs(x), abs(y)) <= 0.85
    if label == 3:
        # Equilateral: three half-planes at half the distance of the corners.
        slant = math.sqrt(0.75)
        return np.maximum(-y, np.maximum(slant * x, -slant * x) + 0.5 * y) <= 0.6
    return (squared <= 1.1) & (squared >= 0.3)
