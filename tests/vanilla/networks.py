"""Small networks that hold every layer the plain form has a rule for, with moved weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

import deel_seg
from deel_seg.layers import (
    BatchCentering,
    ConstantScaling,
    DepthToSpace,
    GroupSort2,
    ImageLevelPooling,
    MaxMin,
    OrthogonalConv2D,
    OrthogonalConv2DTranspose,
    RMSScaling,
    ScaledAdd,
    ScaledAveragePooling2D,
    ScaledConcatenate,
    ScaledL2NormPooling2D,
    SizeMultiple,
    SpaceToDepth,
)

Tensor = Any


def _centered_before_a_border(x: Tensor) -> Tensor:
    x = BatchCentering()(MaxMin()(OrthogonalConv2D(8, 3)(x)))
    return OrthogonalConv2D(4, 3, dilation_rate=2)(x)


def _centered_before_no_border(x: Tensor) -> Tensor:
    x = BatchCentering(k_coef_lip=0.5)(OrthogonalConv2D(8, 3, use_bias=False)(x))
    x = OrthogonalConv2D(6, 3, padding="valid")(BatchCentering()(MaxMin()(x)))
    return OrthogonalConv2D(4, 1, use_bias=False)(BatchCentering()(GroupSort2()(x)))


def _pairs_that_interleave(x: Tensor) -> Tensor:
    x = GroupSort2(k_coef_lip=0.7)(OrthogonalConv2D(8, 3, k_coef_lip=2.0)(x))
    x = BatchCentering()(GroupSort2()(BatchCentering()(x)))
    x = OrthogonalConv2D(8, 3, groups=2)(x)
    x = MaxMin()(GroupSort2()(GroupSort2()(x)))
    return OrthogonalConv2DTranspose(4, 2, 2)(BatchCentering()(GroupSort2()(x)))


def _grouped_then_interleaved(x: Tensor) -> Tensor:
    x = OrthogonalConv2D(8, 3)(x)
    return GroupSort2()(OrthogonalConv2D(8, 1, groups=2)(GroupSort2()(x)))


def _factors(x: Tensor) -> Tensor:
    x = RMSScaling(3, 8)(
        OrthogonalConv2D(8, 3)(layers.Normalization(mean=[0.4] * 3, variance=[0.1] * 3)(x))
    )
    return ConstantScaling(0.3)(SizeMultiple(2)(RMSScaling(8, 3)(MaxMin()(x))))


def _residual(x: Tensor) -> Tensor:
    x = BatchCentering()(OrthogonalConv2D(8, 3)(x))
    branch = RMSScaling(2, 1)(OrthogonalConv2D(8, 3)(MaxMin()(x)))
    x = ScaledAdd(learned=True, initial_weights=[0.8, 0.2], k_coef_lip=1.5)([x, branch])
    x = ScaledAdd()([x, GroupSort2()(x), BatchCentering()(x)])
    return x + x


def _side_by_side(x: Tensor) -> Tensor:
    x = OrthogonalConv2D(4, 3)(x)
    a, b = BatchCentering()(GroupSort2()(x)), OrthogonalConv2D(6, 1)(x)
    same = ScaledConcatenate(k_coef_lip=0.5)([a, b, x])
    other = ScaledConcatenate()([RMSScaling(1, 4)(a), x])
    joined = ScaledConcatenate()([same, other])
    return OrthogonalConv2D(4, 1)(BatchCentering()(joined))


def _resampled(x: Tensor) -> Tensor:
    x = BatchCentering()(OrthogonalConv2D(4, 3)(x))
    x = DepthToSpace(2)(GroupSort2()(SpaceToDepth(2)(GroupSort2()(x))))
    x = ScaledAveragePooling2D(2)(BatchCentering()(GroupSort2()(x)))
    return ImageLevelPooling(k_coef_lip=0.5)(BatchCentering()(x))


def _norms(x: Tensor) -> Tensor:
    return ScaledL2NormPooling2D(2, k_coef_lip=0.5)(BatchCentering()(OrthogonalConv2D(4, 3)(x)))


def _with_keras_layers(x: Tensor) -> Tensor:
    shared = layers.Conv2D(4, 3, padding="same", activation="relu")
    x = layers.BatchNormalization()(OrthogonalConv2D(4, 3)(x))
    x = layers.Add()([shared(x), shared(BatchCentering()(x))])
    return layers.UpSampling2D(2)(layers.MaxPooling2D(2)(x))


def _nested(x: Tensor) -> Tensor:
    inputs = keras.Input((None, None, 4))
    inside = keras.Model(inputs, MaxMin()(BatchCentering()(OrthogonalConv2D(4, 3)(inputs))))
    return inside(BatchCentering()(inside(OrthogonalConv2D(4, 1)(x))))


NETWORKS: dict[str, Callable[[Tensor], Tensor]] = {
    function.__name__.strip("_"): function
    for function in (
        _centered_before_a_border, _centered_before_no_border, _pairs_that_interleave,
        _grouped_then_interleaved, _factors, _residual, _side_by_side, _resampled, _norms,
        _with_keras_layers, _nested,
    )
}  # fmt: skip

IMAGES = np.random.default_rng(0).uniform(size=(2, 12, 8, 3)).astype("float32")


def network(name: str) -> deel_seg.LipschitzModel:
    """One of them, its biases, means and variances away from where they started."""
    image = keras.Input((None, None, 3))
    model = deel_seg.LipschitzModel(image, NETWORKS[name](image))
    move_weights(model)
    return model


def move_weights(model: keras.Model) -> None:
    """Makes shifts matter: fresh ones are zero."""
    generator = np.random.default_rng(1)
    for layer in model._flatten_layers(include_self=False):
        for part in ("bias", "moving_mean", "beta"):
            if getattr(layer, part, None) is not None and not isinstance(layer, keras.Model):
                variable = getattr(layer, part)
                variable.assign(generator.normal(size=variable.shape))
        if hasattr(layer, "moving_variance"):
            layer.moving_variance.assign(generator.uniform(0.5, 2.0, layer.moving_variance.shape))


def relative_difference(a: Any, b: Any) -> float:
    """Largest difference over the largest value of the second."""
    a, b = (ops.convert_to_numpy(values).astype("float64") for values in (a, b))
    return float(np.max(np.abs(a - b)) / np.max(np.abs(b)))
