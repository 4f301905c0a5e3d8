"""Kernels with strides and dilation, as kernels with neither that do the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def with_holes(kernel: Array, dilation: tuple[int, int]) -> Array:
    """The kernel without dilation that does the same."""
    height, width = ((size - 1) * d + 1 for size, d in zip(kernel.shape[:2], dilation, strict=True))
    dense = np.zeros((height, width, *kernel.shape[2:]))
    dense[:: dilation[0], :: dilation[1]] = kernel
    return dense


def on_patches(kernel: Array, strides: tuple[int, int]) -> Array:
    """The taps `(height, width, features of a patch, channels out)` of a stride of 1."""
    (kh, kw, cin, cout), (sh, sw) = kernel.shape, strides
    height, width = -(-kh // sh), -(-kw // sw)
    padded = np.zeros((height * sh, width * sw, cin, cout))
    padded[:kh, :kw] = kernel
    patches = padded.reshape(height, sh, width, sw, cin, cout).transpose(0, 2, 1, 3, 4, 5)
    return patches.reshape(height, width, sh * sw * cin, cout)
