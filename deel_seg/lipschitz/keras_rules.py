"""Proved l2 bounds of Keras' own layers at inference; what is not listed here is refused.

Each rule gives the factor of a layer with one input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

Shapes = Sequence[tuple[int | None, ...]]

# Rearranging, dropping or zero-filling values, and what does nothing at inference.
UNIT_LAYERS = (
    layers.Flatten, layers.Reshape, layers.Permute, layers.Identity,
    layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D,
    layers.Cropping1D, layers.Cropping2D, layers.Cropping3D,
    layers.Dropout, layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D,
    layers.GaussianNoise, layers.GaussianDropout, layers.GlobalMaxPooling2D,
)  # fmt: skip

# Largest slope of pointwise functions.
_SLOPES = {
    "linear": 1.0, "relu": 1.0, "relu6": 1.0, "tanh": 1.0, "softplus": 1.0, "softsign": 1.0,
    "sigmoid": 0.25, "hard_sigmoid": 0.1666667, "leaky_relu": 1.0, "elu": 1.0, "hard_tanh": 1.0,
}  # fmt: skip


def keras_bound(layer: Any, incoming: Sequence[float], shapes: Shapes) -> float | None:
    """Bound from the network's input to the output of a Keras layer, or None if not known.

    Args:
        layer: The layer.
        incoming: The same bounds of the layer's inputs.
        shapes: Shapes of the layer's inputs, then of its outputs; None where a size is unknown.
    """
    # Broadcasting repeats values, and a repeated value counts more than once.
    same_shapes = len(set(shapes)) == 1
    if type(layer) in (layers.Add, layers.Subtract) or is_operation(layer, "Add", "Subtract"):
        # An array added to a tensor is a translation and no incoming bound.
        return sum(incoming) if same_shapes else None
    if type(layer) is layers.Average:
        return sum(incoming) / len(incoming) if same_shapes else None
    if type(layer) in (layers.Maximum, layers.Minimum):
        # |max(a, b) - max(a', b')| <= max(|a - a'|, |b - b'|), at each point.
        return math.sqrt(sum(bound * bound for bound in incoming)) if same_shapes else None
    if type(layer) is layers.Rescaling and not all(
        _fits(np.shape(values), shapes[0]) for values in (layer.scale, layer.offset)
    ):
        return None
    if type(layer) is layers.Concatenate or is_operation(layer, "Concatenate"):
        return math.sqrt(sum(bound * bound for bound in incoming))
    factor = _factor(layer)
    return None if factor is None or len(incoming) != 1 else factor * incoming[0]


def _fits(values: Sequence[int], shape: Sequence[int | None]) -> bool:
    """Whether an array of shape `values` meets a tensor of shape `shape` without enlarging it."""
    pairs = zip(reversed(values), reversed(shape), strict=False)
    return len(values) <= len(shape) and all(value in (1, size) for value, size in pairs)


def is_operation(layer: Any, *names: str) -> bool:
    """Whether it is `keras.ops`' function of that name, as `x + y` in a functional graph."""
    return type(layer).__module__ == "keras.src.ops.numpy" and type(layer).__name__ in names


def _factor(layer: Any) -> float | None:
    # Subclasses may compute anything, so a rule holds for the very class it was written for.
    if type(layer) in UNIT_LAYERS:
        return 1.0
    rule = _RULES.get(type(layer))
    return None if rule is None else rule(layer)


def activation_slope(layer: Any) -> float | None:
    """Largest slope of a layer's activation, or None if it is none of those known."""
    # By identity: a function of the user's own may bear the name of one of Keras'.
    for name, slope in _SLOPES.items():
        if layer.activation is keras.activations.get(name):
            return slope
    return None


def _relu(layer: Any) -> float | None:
    # With a threshold the function jumps.
    return max(1.0, abs(float(layer.negative_slope))) if not layer.threshold else None


def _covering(layer: Any) -> float:
    """Windows a pixel can lie in."""
    return math.prod(
        -(-pool // stride) for pool, stride in zip(layer.pool_size, layer.strides, strict=True)
    )


def _average_pooling(layer: Any) -> float:
    # Cauchy-Schwarz in each window; windows cut by the border ("same") divide by fewer pixels.
    pixels = math.prod(layer.pool_size) if layer.padding == "valid" else 1
    return math.sqrt(_covering(layer) / pixels)


def _up_sampling(layer: Any) -> float | None:
    # A pixel is copied (or its weight of 1 an axis spread over) size[0] * size[1] times; rows of
    # the interpolation sum to 1 and its columns to the factor, and |A|^2 <= |A|_1 |A|_inf.
    if layer.interpolation not in ("nearest", "bilinear"):
        return None
    return math.sqrt(layer.size[0] * layer.size[1])


def _batch_normalization(layer: Any) -> float:
    scale = 1.0 / np.sqrt(as_float64(layer.moving_variance) + layer.epsilon)
    if layer.gamma is not None:
        scale = scale * as_float64(layer.gamma)
    # The layer forms this factor in float32, with three roundings.
    return float(np.max(np.abs(scale))) * (1.0 + 2.0**-21)


def _normalization(layer: Any) -> float | None:
    if layer.invert:
        return None
    variance = np.min(as_float64(layer.variance))
    # The layer takes the root in float32, which may round it down.
    deviation = min(np.sqrt(variance), float(np.sqrt(np.float32(variance))))
    return float(1.0 / max(deviation, keras.config.epsilon()))


def _rescaling(layer: Any) -> float:
    # The layer may round its factor up, to float32.
    scale = np.asarray(layer.scale, "float64")
    return float(max(np.max(np.abs(scale)), np.max(np.abs(scale.astype("float32")))))


def as_float64(values: Any) -> np.ndarray:
    """Values of a tensor or variable in float64, which holds lower precisions exactly."""
    return ops.convert_to_numpy(values).astype("float64")


_RULES: dict[type, Callable[[Any], float | None]] = {
    layers.ReLU: _relu,
    layers.LeakyReLU: lambda layer: max(1.0, abs(float(layer.negative_slope))),
    layers.ELU: lambda layer: max(1.0, abs(float(layer.alpha))),
    layers.Activation: activation_slope,
    layers.MaxPooling2D: lambda layer: math.sqrt(_covering(layer)),
    layers.AveragePooling2D: _average_pooling,
    layers.GlobalAveragePooling2D: lambda layer: 1.0,
    layers.UpSampling2D: _up_sampling,
    layers.BatchNormalization: _batch_normalization,
    layers.Normalization: _normalization,
    layers.Rescaling: _rescaling,
}
