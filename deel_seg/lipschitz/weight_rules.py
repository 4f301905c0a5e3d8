"""Proved l2 bounds of Keras' own layers with weights, at inference.

Only the very classes named here: a subclass may compute anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import layers, ops

from deel_seg.lipschitz.graph_walk import Shapes
from deel_seg.lipschitz.keras_rules import activation_slope
from deel_seg.norms import kept_convolution_norm, matrix_norms_above

_INTERPOLATION = 1.0 + 2.0**-18  # Of weights that Keras forms in float32, once an axis.


def weights_bound(layer: Any, incoming: Sequence[float], shapes: Shapes) -> float | None:
    """Bound from the network's input to the output of a layer, or None if not known.

    Args:
        layer: The layer.
        incoming: The same bounds of the layer's inputs.
        shapes: Shapes of the layer's inputs, then of its outputs; None where a size is unknown.
    """
    rule = _RULES.get(type(layer))
    if rule is None or len(incoming) != 1 or getattr(layer, "quantization_mode", None):
        return None
    slope = activation_slope(layer) if hasattr(layer, "activation") else 1.0
    norm = None if slope is None else rule(layer, shapes)
    return None if norm is None or slope is None else slope * norm * incoming[0]


def _used(layer: Any, kernel: Any) -> np.ndarray:
    """The values of a kernel as inference uses them: in half precision they are rounded."""
    return ops.convert_to_numpy(ops.cast(kernel, layer.compute_dtype)).astype("float64")


def _convolution(layer: Any, shapes: Shapes) -> float:
    kernel = _used(layer, layer.kernel)
    rank = kernel.ndim - 2
    # A convolution along one axis is one over images of one line.
    strides, dilation = (
        (1,) * (2 - rank) + tuple(values) for values in (layer.strides, layer.dilation_rate)
    )
    kernel = kernel.reshape((1,) * (2 - rank) + kernel.shape)
    return kept_convolution_norm(
        kernel, strides, dilation=dilation, groups=getattr(layer, "groups", 1)
    )


def _depthwise(layer: Any, shapes: Shapes) -> float:
    return _of_channels(_used(layer, layer.kernel), layer)


def _separable(layer: Any, shapes: Shapes) -> float:
    pointwise = kept_convolution_norm(_used(layer, layer.pointwise_kernel), (1, 1))
    return _of_channels(_used(layer, layer.depthwise_kernel), layer) * pointwise


def _of_channels(kernel: np.ndarray, layer: Any) -> float:
    """Norm of a kernel `(height, width, channels, filters of each)`: the largest of a channel."""
    channels = kernel.shape[2]
    kernel = kernel.reshape(*kernel.shape[:2], 1, -1)
    return kept_convolution_norm(
        kernel, tuple(layer.strides), dilation=tuple(layer.dilation_rate), groups=channels
    )


def _dense(layer: Any, shapes: Shapes) -> float:
    return kept_convolution_norm(_used(layer, layer.kernel)[None, None], (1, 1))


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


_RULES: dict[type, Callable[[Any, Shapes], float | None]] = {
    layers.Conv1D: _convolution,
    layers.Conv2D: _convolution,
    layers.Conv1DTranspose: _convolution,
    layers.Conv2DTranspose: _convolution,
    layers.DepthwiseConv2D: _depthwise,
    layers.SeparableConv2D: _separable,
    layers.Dense: _dense,
    layers.Resizing: _resizing,
}
