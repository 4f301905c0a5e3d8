"""Networks whose weights, biases and statistics are of many sizes, for tests of rounding."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from deel_seg import layers as own

SHAPE = (8, 8, 3)


def orthogonal_network(seed: int, dtype: str = "float32") -> keras.Model:
    """Every layer of `deel_seg.layers`: residual, concatenated, transposed, dilated, nested."""
    keras.utils.set_random_seed(seed)
    options: dict[str, Any] = {"dtype": dtype}
    image = keras.Input(SHAPE)
    x = own.SizeMultiple(4, **options)(image)
    x = own.OrthogonalConv2D(8, 3, k_coef_lip=0.7, **options)(x)
    x = own.BatchCentering(**options)(own.MaxMin(**options)(x))
    branch = own.OrthogonalConv2D(8, 3, dilation_rate=2, padding="circular", **options)(x)
    x = own.ScaledAdd(learned=True, **options)([x, own.GroupSort2(**options)(branch)])
    x = own.RMSScaling(8, 32, **options)(own.SpaceToDepth(2, **options)(x))
    down = own.OrthogonalConv2D(16, 2, strides=2, groups=2, **options)(x)
    pooled = [
        own.ScaledAveragePooling2D(2, **options)(x),
        own.ScaledL2NormPooling2D(2, **options)(x),
        own.ImageLevelPooling(**options)(down),
    ]
    x = own.ScaledConcatenate(**options)([down, *pooled])
    x = _nested(x.shape[1:], options)(x)
    x = own.ScaledAdd(**options)([x, down])
    x = own.OrthogonalConv2DTranspose(8, 3, strides=2, **options)(x)
    x = own.BatchCentering(**options)(own.DepthToSpace(2, **options)(x))
    return _weighted(keras.Model(image, own.ConstantScaling(3.3, **options)(x)), seed)


def _nested(shape: tuple[int, ...], options: dict[str, Any]) -> keras.Model:
    features = keras.Input(shape)
    x = own.OrthogonalConv2D(16, 1, **options)(features)
    return keras.Model(features, own.MaxMin(k_coef_lip=1.1, **options)(x))


def ordinary_network(seed: int, dtype: str = "float32") -> keras.Model:
    """Keras' own layers, of every kind whose rounding is known."""
    keras.utils.set_random_seed(seed)
    options: dict[str, Any] = {"dtype": dtype}
    image = keras.Input(SHAPE)
    x = layers.Rescaling([0.3, 2.0, 1.0], offset=0.7, **options)(image)
    x = layers.Normalization(mean=[0.1, 5.0, 0.0], variance=[0.3, 2.0, 1.0], **options)(x)
    x = layers.Conv2D(6, 3, padding="same", activation="relu", **options)(x)
    x = layers.BatchNormalization(**options)(x)
    y = layers.SeparableConv2D(6, 3, padding="same", activation="leaky_relu", **options)(x)
    y = layers.DepthwiseConv2D(2, padding="same", dilation_rate=2, **options)(y)
    x = layers.Add(**options)([x, y, layers.LeakyReLU(0.3, **options)(y)])
    x = layers.Concatenate(**options)([x, layers.Maximum(**options)([x, y])])
    down = [layers.MaxPooling2D(2, **options)(x), layers.AveragePooling2D(2, **options)(x)]
    x = layers.Subtract(**options)(down)
    x = layers.Conv2DTranspose(4, 3, strides=2, padding="same", **options)(x)
    x = layers.UpSampling2D(2, **options)(layers.Cropping2D(2, **options)(x))
    x = layers.Average(**options)([x, layers.ReLU(6.0, 0.1, **options)(x)])
    return _weighted(keras.Model(image, layers.Dense(5, **options)(x)), seed)


def _weighted(model: keras.Model, seed: int) -> keras.Model:
    """Gives biases, statistics and ordinary kernels values of many sizes."""
    generator = np.random.default_rng(seed)
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.Model):
            continue
        for variable in layer.weights:
            ours = type(layer).__module__.startswith("deel_seg")
            if ours and variable.name not in ("bias", "moving_mean", "weight_logits"):
                continue
            size = 10.0 ** generator.uniform(-2.0, 1.0)
            values = size * generator.normal(size=variable.shape)
            if "variance" in variable.name:
                values = np.abs(values)
            variable.assign(values.astype("float32"))
        if hasattr(layer, "condense"):
            layer.condense()
    return model
