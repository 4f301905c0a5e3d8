"""Drawn views of a runway from an aircraft on its approach: a data set that needs no files.

Height, distance, offset, roll, light and haze differ from scene to scene. Roads, a taxiway and
aprons may have the runway's colour, and its markings may be worn, so that form and place on the
ground must be learnt.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deel_seg.data.dataset_info import DatasetInfo, distinct_colours
from deel_seg.data.drawn import SPLITS, as_bytes, drawing, drawn_examples
from deel_seg.data.examples import Examples
from deel_seg.data.runway_scene import Scene

INFO = DatasetInfo(
    name="runway",
    class_names=("background", "runway"),
    palette=distinct_colours(2),
    splits=tuple(SPLITS),
)


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
    """Lists the scenes of a split.

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
    """Draws one scene and its labels with NumPy alone.

    Args:
        index: Number of the image, any integer from 0 on.
        size: `(height, width)`, or one number for both.
        seed: Another seed draws another data set.
        split: `"train"`, `"val"` or `"test"`; no image is shared between them.

    Returns:
        The image, uint8 `(height, width, 3)`, and the labels, uint8 `(height, width)`: 1 on the
        runway, 0 elsewhere. The same arguments always give the same arrays.

    Example:
    >>> from deel_seg.data import runway
    >>> image, labels = runway.render(0, (32, 48))
    >>> image.shape, labels.shape, sorted(set(labels.ravel().tolist()))
    ((32, 48, 3), (32, 48), [0, 1])
    """
    random, (height, width) = drawing(index, size, seed, split)
    scene = Scene(random, height, width)
    return as_bytes(scene.photographed()), scene.runway.astype(np.uint8)
