"""Each rule for a Keras layer, one-sided against the explicit matrix or Jacobian."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from deel_seg.lipschitz import UnknownLipschitzBound, lipschitz_bound
from tests.layers.contract import jacobian_of
from tests.linear_map import exceeds, matrix_of, singular_values

SHAPE = (5, 4, 2)


def model_of(layer: Any, shape: tuple[int | None, ...] = SHAPE) -> keras.Model:
    image = keras.Input(shape)
    return keras.Model(image, layer(image))


LINEAR: dict[str, Callable[[], Any]] = {
    "average_pooling": lambda: layers.AveragePooling2D(2),
    "average_pooling_overlap": lambda: layers.AveragePooling2D(3, 1),
    "average_pooling_same": lambda: layers.AveragePooling2D(3, 2, "same"),
    "average_pooling_same_overlap": lambda: layers.AveragePooling2D((3, 2), 1, "same"),
    "average_pooling_skip": lambda: layers.AveragePooling2D(1, 2),
    "global_average_pooling": lambda: layers.GlobalAveragePooling2D(),
    "up_sampling_nearest": lambda: layers.UpSampling2D((1, 4)),
    "up_sampling_bilinear": lambda: layers.UpSampling2D(2, interpolation="bilinear"),
    "rescaling_down": lambda: layers.Rescaling(1 / 255),
    "rescaling_channels": lambda: layers.Rescaling([0.1, -3.3], offset=[0.0, 0.0]),
    "normalization": lambda: layers.Normalization(mean=[0, 0], variance=[0.0507, 0.31]),
    "zero_padding": lambda: layers.ZeroPadding2D(((1, 0), (2, 3))),
    "cropping": lambda: layers.Cropping2D(1),
    "flatten": lambda: layers.Flatten(),
    "reshape": lambda: layers.Reshape((10, 4)),
    "permute": lambda: layers.Permute((2, 1, 3)),
    "dropout": lambda: layers.Dropout(0.5),
    "identity": lambda: layers.Identity(),
}
EXACT = {"up_sampling_nearest": 2.0, "average_pooling": 0.5, "up_sampling_bilinear": 2.0}


@pytest.mark.parametrize("name", LINEAR)
def test_linear_layer(name: str) -> None:
    model = model_of(LINEAR[name]())
    bound = lipschitz_bound(model)
    matrix = matrix_of(model, SHAPE)
    assert not exceeds(matrix, bound)
    if name in EXACT:
        # Float64 singular values.
        assert abs(singular_values(matrix)[0] - EXACT[name]) < 1e-12
        assert bound == EXACT[name]


def test_bilinear_bound_holds_at_every_size() -> None:
    for factor in (2, 4):
        layer = layers.UpSampling2D(factor, interpolation="bilinear")
        for shape in ((1, 1, 1), (2, 3, 1), (5, 4, 1)):
            assert not exceeds(matrix_of(layer, shape), float(factor))


NONLINEAR: dict[str, Callable[[], Any]] = {
    "max_pooling": lambda: layers.MaxPooling2D(2),
    "max_pooling_overlap": lambda: layers.MaxPooling2D(3, 1),
    "max_pooling_same": lambda: layers.MaxPooling2D(3, 2, "same"),
    "global_max_pooling": lambda: layers.GlobalMaxPooling2D(),
    "relu_layer": lambda: layers.ReLU(max_value=1.0, negative_slope=2.5),
    "leaky_relu_layer": lambda: layers.LeakyReLU(negative_slope=1.5),
    "elu_layer": lambda: layers.ELU(alpha=3.0),
    **{
        name: functools.partial(layers.Activation, name)
        for name in ("relu", "relu6", "tanh", "softplus", "softsign", "sigmoid", "hard_sigmoid",
                     "leaky_relu", "elu", "hard_tanh", "linear")
    },
}  # fmt: skip


@pytest.mark.parametrize("name", NONLINEAR)
def test_nonlinear_layer(name: str) -> None:
    model = model_of(NONLINEAR[name]())
    bound = lipschitz_bound(model)
    assert not exceeds(jacobian_of(model, SHAPE), bound)
    pairs = np.random.default_rng(0).normal(size=(2, 200, *SHAPE)) * 0.5
    first, second = (ops.convert_to_numpy(model(part.astype("float32"))) for part in pairs)
    moved = np.linalg.norm((first - second).reshape(200, -1).astype("float64"), axis=1)
    distance = np.linalg.norm((pairs[0] - pairs[1]).reshape(200, -1), axis=1)
    # Differences of float32 outputs.
    assert np.all(moved <= bound * distance * (1 + 1e-6))


def test_overlapping_max_pooling_needs_its_factor() -> None:
    model = model_of(layers.MaxPooling2D(3, 1))
    image = np.zeros((1, *SHAPE), "float32")
    peak = image.copy()
    peak[0, 2, 2] = 1.0
    moved = ops.convert_to_numpy(model(peak)) - ops.convert_to_numpy(model(image))
    assert np.linalg.norm(moved) > 2.0 * np.linalg.norm(peak)


def test_batch_normalization_takes_its_weights() -> None:
    layer = layers.BatchNormalization()
    model = model_of(layer)
    assert lipschitz_bound(model) <= 1.0
    layer.gamma.assign([-0.7, 0.3])
    layer.moving_variance.assign([0.013, 0.0004])
    bound = lipschitz_bound(model)
    assert not exceeds(matrix_of(model, SHAPE), bound)
    # 0.3 / sqrt(0.0004 + 0.001), with an allowance for the rounding of the layer.
    assert bound == pytest.approx(0.3 / np.sqrt(0.0014), rel=1e-6)


def test_adapted_normalization_divides_by_the_deviation() -> None:
    layer = layers.Normalization()
    layer.adapt(np.random.default_rng(0).normal(size=(64, *SHAPE)).astype("float32") * 0.2)
    model = model_of(layer)
    bound = lipschitz_bound(model)
    # The Jacobian comes in float32, the quotient in it rounded.
    assert not exceeds(jacobian_of(model, SHAPE), bound * (1.0 + 2.0**-23))
    assert 4.0 < bound < 6.0


REFUSED: dict[str, Callable[[], Any]] = {
    "lambda": lambda: layers.Lambda(lambda x: 100.0 * x, output_shape=SHAPE),
    "dense": lambda: layers.Dense(2),
    "conv": lambda: layers.Conv2D(2, 3),
    "softmax": lambda: layers.Activation("softmax"),
    "own_function": lambda: layers.Activation(lambda x: 5.0 * x),
    "relu_threshold": lambda: layers.ReLU(threshold=1.0),
    "bicubic": lambda: layers.UpSampling2D(2, interpolation="bicubic"),
    "inverse_normalization": lambda: layers.Normalization(
        mean=[0.0, 0.0], variance=[4.0, 4.0], invert=True
    ),
    "layer_normalization": lambda: layers.LayerNormalization(),
    "prelu": lambda: layers.PReLU(),
}


@pytest.mark.parametrize("name", REFUSED)
def test_layer_without_a_rule_is_refused_by_name(name: str) -> None:
    layer = REFUSED[name]()
    layer.name = "culprit"
    with pytest.raises(UnknownLipschitzBound, match=f"'culprit' of type {type(layer).__name__}"):
        lipschitz_bound(model_of(layer))


def test_subclasses_of_known_layers_are_refused() -> None:
    class Louder(layers.ReLU):
        def call(self, inputs: Any) -> Any:
            return 10.0 * super().call(inputs)

    with pytest.raises(UnknownLipschitzBound, match="'loud' of type Louder"):
        lipschitz_bound(model_of(Louder(name="loud")))


@pytest.mark.parametrize("layer", [layers.Dropout(0.5), layers.BatchNormalization()])
def test_layers_fixed_in_training_mode_are_refused(layer: Any) -> None:
    image = keras.Input(SHAPE)
    with pytest.raises(UnknownLipschitzBound, match="training=True"):
        lipschitz_bound(keras.Model(image, layer(image, training=True)))


def test_broadcasting_is_refused() -> None:
    image = keras.Input(SHAPE)
    mean = layers.GlobalAveragePooling2D(keepdims=True)(image)
    gray = keras.Input((5, 4, 1))
    broadcasts = {
        "add": (image, layers.Add(name="sum")([image, mean])),
        "subtract": (image, layers.Subtract(name="sum")([image, mean])),
        "average": (image, layers.Average(name="sum")([image, mean])),
        "rescaling": (gray, layers.Rescaling([1.0, 1.0, 1.0], name="sum")(gray)),
        "offset": (gray, layers.Rescaling(1.0, [0.0, 1.0, 1.0], name="sum")(gray)),
        "operator": (gray, gray + np.ones(3, "float32")),
    }
    for name, (inputs, outputs) in broadcasts.items():
        with pytest.raises(UnknownLipschitzBound, match="broadcasting"):
            raise AssertionError(name, lipschitz_bound(keras.Model(inputs, outputs)))
