"""Scenes of the runway experiment as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import deel_seg


def scenes(
    split: str,
    count: int,
    size: int | tuple[int, int],
    *,
    data: str = "runway",
    root: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The first scenes of a split.

    Args:
        split: Name of the split.
        count: How many; fewer where the split has fewer.
        size: `(height, width)`, or one number for both.
        data: Another data set of `deel_seg.data.load`, such as `"folder"`.
        root: Its folder.
        options: Its own options.

    Returns:
        Images, float32 `(count, height, width, 3)` in [0, 1], and labels, int32
        `(count, height, width)`: 1 on the runway.
    """
    batches = deel_seg.data.load(
        data, split, size, root=root, batch_size=count, shuffle=False, **(options or {})
    )
    images, labels = next(iter(batches))
    return np.asarray(images), np.asarray(labels)
