"""Norms that are kept by the values they are of, for kernels that did not change."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any

import numpy as np

from deel_seg.norms.convolution_norm import convolution_norm_above

_KEPT = 4096
_norms: OrderedDict[bytes, float] = OrderedDict()


def kept_convolution_norm(kernel: Any, strides: tuple[int, int], **options: Any) -> float:
    """As `convolution_norm_above`, which is asked once for the same values and options.

    The key is a digest of all of them: there is nothing to invalidate when weights change.
    """
    kernel = np.ascontiguousarray(kernel, "float64")
    digest = hashlib.blake2b(repr((kernel.shape, strides, sorted(options.items()))).encode())
    digest.update(kernel.data)
    key = digest.digest()
    if key not in _norms:
        _norms[key] = convolution_norm_above(kernel, strides, **options)
        if len(_norms) > _KEPT:
            _norms.popitem(last=False)
    _norms.move_to_end(key)
    return _norms[key]
