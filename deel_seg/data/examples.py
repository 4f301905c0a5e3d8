"""The one thing every data set provides: numbered examples, each readable on its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""An image and its labels in one array `(height, width, 4)`: red, green, blue, label."""


@dataclass(frozen=True)
class Examples:
    """The images of a split, all at one size.

    Attributes:
        names: One name per image, in the order of the data set's own lists.
        read: Returns the pixels of the image with the given index. Called from several
            threads; errors name the file.
        fingerprint: Changes whenever the pixels may change; names files of cached pixels.
    """

    names: tuple[str, ...]
    read: Callable[[int], Pixels]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.names)
