"""The steps of convolutions and dense layers at inference, and the roundings of each.

A computed sum of products is the exact one of factors each of which is off by its own roundings,
whatever the order of the sum: by a share of the sum of absolute values. Only the very classes named
here: a subclass may compute anything.
"""

from __future__ import annotations

import math
from typing import Any

from keras import layers

from deel_seg.layers import OrthogonalConv2D, OrthogonalConv2DTranspose
from deel_seg.layers.orthogonal_convolution import OrthogonalConvolution
from deel_seg.lipschitz.keras_rules import activation_slope, as_float64
from deel_seg.lipschitz.rounding_rules import (
    KnownShapes,
    activation_roundings,
    scaling_roundings,
    shift_norm,
)
from deel_seg.lipschitz.rounding_step import Step, times
from deel_seg.lipschitz.weight_rules import used_kernels
from deel_seg.norms import Kernel

_OWN = (OrthogonalConv2D, OrthogonalConv2DTranspose)
_TRANSPOSED = (OrthogonalConv2DTranspose, layers.Conv1DTranspose, layers.Conv2DTranspose)


def kernel_steps(layer: Any, shapes: KnownShapes) -> list[Step] | None:
    """The steps of a layer with a kernel, one after the other, or None if they are not known.

    Args:
        layer: The layer.
        shapes: Shapes of its inputs, then of its outputs, of one image and without unknown sizes.
    """
    kernels = used_kernels(layer)
    own = type(layer) in _OWN
    derived = isinstance(layer, OrthogonalConvolution) and not own
    if not kernels or derived or getattr(layer, "lora_enabled", False):
        return None
    activation = [] if own else _activation(layer)
    if activation is None:
        return None
    *first, last = kernels
    steps = [_of_kernel(kernel, _terms(layer, kernel)) for kernel in first]
    return [*steps, _with_bias(layer, last, shapes), *activation]


def _terms(layer: Any, kernel: Kernel) -> int:
    """Products in the sum behind one number of the output."""
    shape = kernel.values.shape
    if type(layer) not in _TRANSPOSED:
        return math.prod(shape[:3])
    taps = (-(-size // stride) for size, stride in zip(shape[:2], kernel.strides, strict=True))
    return math.prod(taps) * shape[3]


def _of_kernel(kernel: Kernel, terms: int, factor: float = 1.0, **options: Any) -> Step:
    return Step(
        times(factor * kernel.norm_above()),
        times(factor * kernel.absolute_norm_above()),
        # What a sum of products is rounded to when it is handed on.
        stored=options.pop("stored", 0) + 1,
        summed=terms,
        factors=True,
        # What vanishes in the sum may be multiplied again.
        weights=kernel.values.size * max(1.0, factor),
        **options,
    )


def _with_bias(layer: Any, kernel: Kernel, shapes: KnownShapes) -> Step:
    """The last kernel of a layer with what follows it, in whichever order it is computed."""
    factor, stored, shift = 1.0, 0, 0.0
    if type(layer) in _OWN:
        factor, stored = layer.k_coef_lip, scaling_roundings(layer)
    if layer.bias is not None:
        shift = factor * shift_norm(as_float64(layer.bias), shapes[-1])
        stored += 2  # Brought to the layer's dtype, and added.
    terms = _terms(layer, kernel)
    return _of_kernel(kernel, terms, factor, stored=stored, shift=shift)


def _activation(layer: Any) -> list[Step] | None:
    roundings = activation_roundings(layer)
    slope = activation_slope(layer)
    if roundings is None or slope is None:
        return None
    return [Step(times(slope), stored=roundings)]
