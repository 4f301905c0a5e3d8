"""Proved l2 bounds of Keras' own layers with weights, at inference.

Only the very classes named here: a subclass may compute anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import layers, ops

from deel_seg.layers.orthogonal_convolution import OrthogonalConvolution
from deel_seg.lipschitz.graph_walk import Shapes
from deel_seg.lipschitz.keras_rules import activation_slope
from deel_seg.norms import Kernel, matrix_norms_above

_INTERPOLATION = 1.0 + 2.0**-18  # Of weights that Keras forms in float32, once an axis.


def weights_bound(layer: Any, incoming: Sequence[float], shapes: Shapes) -> float | None:
    """Bound from the network's input to the output of a layer, or None if not known.

    Args:
        layer: The layer.
        incoming: The same bounds of the layer's inputs.
        shapes: Shapes of the layer's inputs, then of its outputs; None where a size is unknown.
    """
    if len(incoming) != 1:
        return None
    if type(layer) is layers.Resizing:
        norm = _resizing(layer, shapes)
        return None if norm is None else norm * incoming[0]
    kernels = used_kernels(layer)
    slope = activation_slope(layer) if hasattr(layer, "activation") else 1.0
    if not kernels or slope is None:
        return None
    return slope * math.prod(kernel.norm_above() for kernel in kernels) * incoming[0]


def used_kernels(layer: Any) -> list[Kernel]:
    """The kernels that a layer applies one after the other; none where it is not known."""
    if isinstance(layer, OrthogonalConvolution):
        return [layer.used_kernel()]
    rule = _KERNELS.get(type(layer))
    return [] if rule is None or getattr(layer, "quantization_mode", None) else rule(layer)


def _values(layer: Any, kernel: Any) -> np.ndarray:
    """The values of a kernel as inference uses them: in half precision they are rounded."""
    return ops.convert_to_numpy(ops.cast(kernel, layer.compute_dtype))


def _convolution(layer: Any) -> list[Kernel]:
    values = _values(layer, layer.kernel)
    # A convolution along one axis is one over images of one line.
    line = (1,) * (4 - values.ndim)
    strides, dilation = ((*line, *sizes) for sizes in (layer.strides, layer.dilation_rate))
    groups = getattr(layer, "groups", 1)
    return [Kernel(values.reshape(line + values.shape), strides, dilation, groups)]


def _depthwise(layer: Any) -> list[Kernel]:
    return [_of_channels(_values(layer, layer.kernel), layer)]


def _separable(layer: Any) -> list[Kernel]:
    of_channels = _of_channels(_values(layer, layer.depthwise_kernel), layer)
    return [of_channels, Kernel(_values(layer, layer.pointwise_kernel))]


def _of_channels(values: np.ndarray, layer: Any) -> Kernel:
    """Of `(height, width, channels, filters of each)`: every channel is a group of its own."""
    height, width, channels, _ = values.shape
    values = values.reshape(height, width, 1, -1)
    return Kernel(values, tuple(layer.strides), tuple(layer.dilation_rate), channels)


def _dense(layer: Any) -> list[Kernel]:
    return [Kernel(_values(layer, layer.kernel)[None, None])]


_KERNELS: dict[type, Callable[[Any], list[Kernel]]] = {
    layers.Conv1D: _convolution,
    layers.Conv2D: _convolution,
    layers.Conv1DTranspose: _convolution,
    layers.Conv2DTranspose: _convolution,
    layers.DepthwiseConv2D: _depthwise,
    layers.SeparableConv2D: _separable,
    layers.Dense: _dense,
}


def _resizing(layer: Any, shapes: Shapes) -> float | None:
    """Interpolation is linear in the pixels, and done along one axis after the other."""
    before, after = shapes
    first = 2 if layer.data_format == "channels_first" else 1
    sizes = [tuple(shape[-3:]) for shape in (before, after)]
    pairs = [(sizes[0][axis], sizes[1][axis]) for axis in (first - 1, first)]
    known = all(size is not None for pair in pairs for size in pair)
    if layer.crop_to_aspect_ratio or layer.pad_to_aspect_ratio or layer.antialias or not known:
        return None
    norm = _INTERPOLATION
    for size, target in pairs:
        lines = ops.eye(size, dtype="float32")[None, :, None]
        matrix = ops.image.resize(
            lines, (target, 1), interpolation=layer.interpolation, data_format="channels_last"
        )
        norm *= float(matrix_norms_above(ops.convert_to_numpy(matrix)[0, :, 0]))
    return norm
