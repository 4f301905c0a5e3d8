"""The steps that layers without a kernel compute at inference, and the roundings of each.

Only the very classes named here: a subclass may compute anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from deel_seg import layers as own
from deel_seg.lipschitz.keras_rules import (
    UNIT_LAYERS,
    as_float64,
    is_operation,
    keras_bound,
)
from deel_seg.lipschitz.rounding_step import Gain, Step, times

KnownShapes = Sequence[tuple[int, ...]]

# Roundings of a factor: as it is brought to the layer's dtype, downwards, and in the product.
_FACTOR = 4
_ROOT = 8  # Of a square root or a quotient, which graphics processors do not round correctly.
_EXPONENTIAL = 32  # Of a softmax, on either side.


def steps_of(layer: Any, shapes: KnownShapes) -> list[Step] | None:
    """The steps of a layer, one after the other, or None if they are not known.

    Args:
        layer: A layer, or a function of `keras.ops` in a graph.
        shapes: Shapes of its inputs, then of its outputs, of one image and without unknown sizes.
    """
    if type(layer) in _OWN:
        return _OWN[type(layer)](layer, shapes)
    if type(layer) in _TRANSLATING:
        # The rules for bounds know what broadcasts and what does not.
        known = keras_bound(layer, [1.0], shapes) is not None
        return _TRANSLATING[type(layer)](layer, shapes) if known else None
    if type(layer) in (layers.Maximum, layers.Minimum):
        return [Step(_root_of_squares)] if len(set(shapes)) == 1 else None
    stored = _stored(layer, shapes)
    if stored is None or keras_bound(layer, [1.0] * _inputs(shapes), shapes) is None:
        return None
    return [Step(lambda values: _keras_gain(layer, values, shapes), stored=stored)]


def shift_norm(values: Any, shape: Sequence[int]) -> float:
    """l2 norm of `values`, each of them added equally often to a tensor of `shape`."""
    values = np.asarray(values, "float64")
    return float(np.linalg.norm(values.ravel())) * math.sqrt(math.prod(shape[1:]) / values.size)


def scaling_roundings(layer: Any, factor: float = 1.0) -> int:
    """Of `LipschitzLayer.scaled`."""
    return 0 if factor * layer.k_coef_lip == 1.0 else _FACTOR


def _inputs(shapes: KnownShapes) -> int:
    return len(shapes) - 1


def _root_of_squares(values: Sequence[float]) -> float:
    return math.sqrt(sum(value * value for value in values))


def _keras_gain(layer: Any, values: Sequence[float], shapes: KnownShapes) -> float:
    bound = keras_bound(layer, values, shapes)
    return math.nan if bound is None else bound


def _gain(layer: Any) -> Gain:
    return lambda values: layer.lipschitz_bound(*values)


# === Layers of `deel_seg.layers` ===


def _moves(layer: Any, shapes: KnownShapes) -> list[Step]:
    """Sorts, moves or hands on values, and scales them."""
    return [Step(_gain(layer), stored=scaling_roundings(layer))]


def _scales(layer: Any, shapes: KnownShapes) -> list[Step]:
    return [Step(_gain(layer), stored=_FACTOR)]


def _adds(layer: own.ScaledAdd, shapes: KnownShapes) -> list[Step]:
    if not layer.learned:
        return [Step(_gain(layer), stored=_inputs(shapes) - 1 + _FACTOR)]
    # A weight is brought to the layer's dtype, multiplied by, and its product added.
    stored = _inputs(shapes) + 1 + scaling_roundings(layer)
    return [Step(_gain(layer), stored=stored, summed=_EXPONENTIAL, weights=_inputs(shapes))]


def _averages(layer: own.ScaledAveragePooling2D, shapes: KnownShapes) -> list[Step]:
    return [Step(_gain(layer), stored=math.prod(layer.pool_size) + 3 + _FACTOR)]


def _pools_norms(layer: own.ScaledL2NormPooling2D, shapes: KnownShapes) -> list[Step]:
    # Squares below 1e-12 are raised to it. The root halves what their sum is off.
    floor = layer.k_coef_lip * 1e-6 * math.sqrt(math.prod(shapes[-1]))
    summed = math.prod(layer.pool_size) + 4 + _ROOT
    return [Step(_gain(layer), shift=floor, stored=1 + scaling_roundings(layer), summed=summed)]


def _means(layer: own.ImageLevelPooling, shapes: KnownShapes) -> list[Step]:
    pixels = math.prod(shapes[0][1:3])
    return [Step(_gain(layer), stored=1 + scaling_roundings(layer), summed=pixels + 3)]


def _centers(layer: own.BatchCentering, shapes: KnownShapes) -> list[Step]:
    # The difference of bias and mean is one of float32, and belongs to the function.
    shift = -layer.moving_mean if layer.bias is None else layer.bias - layer.moving_mean
    norm = layer.k_coef_lip * shift_norm(as_float64(shift), shapes[0])
    # A model may move the shift into the biases of its neighbours, half of it as a difference of
    # two (`deel_seg.models.sorted_convolutions`): no number meets more than these roundings then.
    return [Step(_gain(layer), shift=norm, stored=5 + scaling_roundings(layer))]


_OWN: dict[type, Callable[[Any, KnownShapes], list[Step]]] = {
    own.MaxMin: _moves,
    own.GroupSort2: _moves,
    own.SizeMultiple: _moves,
    own.SpaceToDepth: _moves,
    own.DepthToSpace: _moves,
    own.ConstantScaling: _scales,
    own.RMSScaling: _scales,
    own.ScaledConcatenate: _scales,
    own.ScaledAdd: _adds,
    own.ScaledAveragePooling2D: _averages,
    own.ScaledL2NormPooling2D: _pools_norms,
    own.ImageLevelPooling: _means,
    own.BatchCentering: _centers,
}


# === Keras' layers that translate ===


def _rescales(layer: Any, shapes: KnownShapes) -> list[Step]:
    scale = np.asarray(layer.scale, "float64")
    shift = shift_norm(layer.offset, shapes[0])
    gain = times(float(np.max(np.abs(scale))))
    return [Step(gain, shift=shift, stored=4, weights=scale.size)]


def _normalizes(layer: Any, shapes: KnownShapes) -> list[Step]:
    deviation = np.maximum(np.sqrt(as_float64(layer.variance)), keras.config.epsilon())
    shift = shift_norm(as_float64(layer.mean), shapes[0])
    gain = times(float(np.max(1.0 / deviation)))
    return [Step(times(1.0), shift=shift, stored=1), Step(gain, stored=2 * _ROOT + 2)]


def _normalizes_batches(layer: Any, shapes: KnownShapes) -> list[Step]:
    scale = 1.0 / np.sqrt(as_float64(layer.moving_variance) + layer.epsilon)
    if layer.gamma is not None:
        scale = scale * as_float64(layer.gamma)
    mean = as_float64(layer.moving_mean) * scale
    # The products of the mean and the bias are rounded apart, whatever is left of their sum.
    shift = shift_norm(mean, shapes[0])
    if layer.beta is not None:
        shift += shift_norm(as_float64(layer.beta), shapes[0])
    gain = times(float(np.max(np.abs(scale))))
    # In float32, but for the last conversion.
    return [Step(gain, shift=shift, stored=1, summed=_ROOT + 8, weights=scale.size)]


_TRANSLATING: dict[type, Callable[[Any, KnownShapes], list[Step]]] = {
    layers.Rescaling: _rescales,
    layers.Normalization: _normalizes,
    layers.BatchNormalization: _normalizes_batches,
}


# === Keras' layers that do not: the gain is their bound ===


def _stored(layer: Any, shapes: KnownShapes) -> int | None:
    """Roundings in the layer's dtype; None for a layer that is not known."""
    if type(layer) in UNIT_LAYERS:
        return 0
    if is_operation(layer, "Add", "Subtract"):
        # With a number or an array it is a translation, by what the graph does not hold.
        return 1 if _inputs(shapes) == 2 else None
    if is_operation(layer, "Concatenate"):
        return 0
    rule = _STORED.get(type(layer))
    return None if rule is None else rule(layer, shapes)


def _relu(layer: Any, shapes: KnownShapes) -> int:
    # A slope or a ceiling is rounded to the layer's dtype.
    return _FACTOR if layer.negative_slope or layer.max_value is not None else 0


def _pooled(layer: Any, shapes: KnownShapes) -> int:
    return math.prod(layer.pool_size) + 3


def _pooled_over_all(layer: Any, shapes: KnownShapes) -> int:
    return math.prod(shapes[0]) // math.prod(shapes[-1]) + 3


def _copies(layer: Any, shapes: KnownShapes) -> int | None:
    return 0 if layer.interpolation == "nearest" else None


def activation_roundings(layer: Any, shapes: KnownShapes = ()) -> int | None:
    """Of a layer's activation; None for what libraries compute as they see fit."""
    # By identity: a function of the user's own may bear the name of one of Keras'.
    for name, roundings in _ACTIVATIONS.items():
        if layer.activation is keras.activations.get(name):
            return roundings
    return None


_ACTIVATIONS = {"linear": 0, "relu": 0, "relu6": 0, "hard_tanh": 0, "leaky_relu": _FACTOR}
_STORED: dict[type, Callable[[Any, KnownShapes], int | None]] = {
    layers.Activation: activation_roundings,
    layers.ReLU: _relu,
    layers.LeakyReLU: lambda layer, shapes: _FACTOR,
    layers.Add: lambda layer, shapes: _inputs(shapes) - 1,
    layers.Subtract: lambda layer, shapes: 1,
    layers.Average: lambda layer, shapes: _inputs(shapes) + 2,
    layers.Concatenate: lambda layer, shapes: 0,
    layers.MaxPooling2D: lambda layer, shapes: 0,
    layers.AveragePooling2D: _pooled,
    layers.GlobalAveragePooling2D: _pooled_over_all,
    layers.UpSampling2D: _copies,
}
