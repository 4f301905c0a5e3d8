"""Each rule for a Keras layer with weights, one-sided against the explicit matrix or Jacobian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from deel_seg.lipschitz import (
    UnknownLipschitzBound,
    certified_lipschitz_constant,
    weight_rules,
)
from deel_seg.norms import Kernel
from tests.layers.contract import jacobian_of
from tests.linear_map import exceeds, matrix_of, singular_values

SHAPE = (5, 6, 2)


def model_of(layer: Any, shape: tuple[int | None, ...] = SHAPE) -> keras.Model:
    image = keras.Input(shape)
    return keras.Model(image, layer(image))


CONVOLUTIONS: dict[str, Callable[[], Any]] = {
    "conv": lambda: layers.Conv2D(3, 3),
    "conv_same": lambda: layers.Conv2D(3, (2, 3), padding="same"),
    "conv_strides": lambda: layers.Conv2D(4, 3, strides=2, padding="same"),
    "conv_skipping": lambda: layers.Conv2D(4, 1, strides=2),
    "conv_dilated": lambda: layers.Conv2D(2, (3, 2), dilation_rate=(2, 3)),
    "conv_groups": lambda: layers.Conv2D(4, 3, groups=2, padding="same"),
    "transposed": lambda: layers.Conv2DTranspose(3, 3, strides=2, padding="same"),
    "transposed_valid": lambda: layers.Conv2DTranspose(3, (2, 4), strides=2),
    "transposed_overlap": lambda: layers.Conv2DTranspose(1, 3),
    "depthwise": lambda: layers.DepthwiseConv2D(3, padding="same"),
    "depthwise_multiplier": lambda: layers.DepthwiseConv2D(2, 2, depth_multiplier=3),
    "separable": lambda: layers.SeparableConv2D(3, 3, padding="same"),
    "dense": lambda: layers.Dense(3),
}
# The matrix is that of a small image, whose border takes away from the norm.
LOOSE = {"separable": 2.0, "conv_dilated": 2.5}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_linear_layer(name: str) -> None:
    model = model_of(CONVOLUTIONS[name]())
    bound = certified_lipschitz_constant(model)
    matrix = matrix_of(model, SHAPE)
    assert not exceeds(matrix, bound)
    assert bound <= LOOSE.get(name, 1.5) * singular_values(matrix)[0]


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
def test_convolutions_of_one_axis(padding: str) -> None:
    for layer in (
        layers.Conv1D(3, 3, padding=padding, strides=2 if padding == "valid" else 1),
        layers.Conv1D(3, 2, padding=padding, dilation_rate=2),
        layers.Conv1DTranspose(2, 3, strides=2, padding="same" if padding == "causal" else padding),
    ):
        model = model_of(layer, (7, 2))
        assert not exceeds(matrix_of(model, (7, 2)), certified_lipschitz_constant(model))


@pytest.mark.parametrize("factor", [1e-3, 3.0, 1e4])
def test_the_bound_follows_the_weights(factor: float) -> None:
    layer = layers.Conv2D(3, 3)
    model = model_of(layer)
    before = certified_lipschitz_constant(model)
    layer.kernel.assign(layer.kernel * factor)
    after = certified_lipschitz_constant(model)
    assert after == pytest.approx(factor * before, rel=1e-5)
    assert not exceeds(matrix_of(model, SHAPE), after)


def test_the_slope_of_an_activation_counts() -> None:
    plain, steep = layers.Conv2D(2, 1), layers.Conv2D(2, 1, activation="sigmoid")
    models = model_of(plain), model_of(steep)
    steep.set_weights(plain.get_weights())
    bounds = [certified_lipschitz_constant(model) for model in models]
    assert bounds[1] == pytest.approx(0.25 * bounds[0], rel=1e-12)
    # Jacobians come in float32.
    assert not exceeds(jacobian_of(models[1], SHAPE), bounds[1] * (1.0 + 2.0**-20))


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos3"])
@pytest.mark.parametrize("size", [(10, 12), (7, 5), (2, 3), (5, 6), (13, 2)])
def test_resizing(size: tuple[int, int], interpolation: str) -> None:
    model = model_of(layers.Resizing(*size, interpolation=interpolation))
    bound = certified_lipschitz_constant(model)
    matrix = matrix_of(model, SHAPE)
    assert not exceeds(matrix, bound)
    assert bound <= singular_values(matrix)[0] * (1 + 1e-3)


def test_half_precision_is_of_the_rounded_kernel() -> None:
    whole, half = layers.Conv2D(2, 1, use_bias=False), layers.Conv2D(2, 1, use_bias=False)
    half.dtype_policy = keras.DTypePolicy("mixed_bfloat16")
    models = model_of(whole), model_of(half)
    for layer in (whole, half):
        layer.set_weights([np.full((1, 1, 2, 2), 1.0 + 2.0**-8 + 2.0**-9, "float32")])
    bounds = [certified_lipschitz_constant(model) for model in models]
    assert bounds[1] > bounds[0] >= 2.0 * (1.0 + 2.0**-8 + 2.0**-9)
    assert bounds[1] >= 2.0 * (1.0 + 2.0**-7)


REFUSED: dict[str, Callable[[], Any]] = {
    "activation": lambda: layers.Conv2D(2, 3, activation=lambda x: 5.0 * x),
    "softmax": lambda: layers.Dense(2, activation="softmax"),
    "antialias": lambda: layers.Resizing(3, 3, antialias=True),
    "crop": lambda: layers.Resizing(3, 3, crop_to_aspect_ratio=True),
    "attention": lambda: layers.LayerNormalization(),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_bound_is_refused(name: str) -> None:
    layer = REFUSED[name]()
    layer.name = "culprit"
    with pytest.raises(UnknownLipschitzBound, match="'culprit' of type"):
        certified_lipschitz_constant(model_of(layer))


def test_resizing_to_a_size_from_one_unknown_is_refused() -> None:
    with pytest.raises(UnknownLipschitzBound, match="of type Resizing"):
        certified_lipschitz_constant(model_of(layers.Resizing(3, 3), (None, None, 2)))


def test_subclasses_are_refused() -> None:
    class Louder(layers.Conv2D):
        def call(self, inputs: Any) -> Any:
            return 10.0 * super().call(inputs)

    with pytest.raises(UnknownLipschitzBound, match="'loud' of type Louder"):
        certified_lipschitz_constant(model_of(Louder(2, 3, name="loud")))


def test_weights_that_are_not_finite_are_refused() -> None:
    layer = layers.Conv2D(2, 3)
    model = model_of(layer)
    layer.kernel.assign(layer.kernel * np.nan)
    with pytest.raises(ValueError, match="`kernel` must be finite"):
        certified_lipschitz_constant(model)


@pytest.mark.parametrize("fault", ["no groups", "no strides", "no slope"])
def test_a_broken_rule_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    above = Kernel.norm_above
    layer: Any = layers.Conv2D(4, 3, strides=2, padding="same")
    if fault == "no groups":
        layer = layers.DepthwiseConv2D(1, depth_multiplier=2)
        broken = lambda k: above(k._replace(values=k.values[..., :1], groups=1))  # noqa: E731
    elif fault == "no strides":
        broken = lambda k: above(Kernel(k.values[:1, :1]))  # noqa: E731
    else:
        layer, broken = layers.Conv2D(2, 1, activation="relu"), above
        monkeypatch.setattr(weight_rules, "activation_slope", lambda layer: 0.1)
    monkeypatch.setattr(Kernel, "norm_above", broken)
    model = model_of(layer)
    matrix = jacobian_of(model, SHAPE) if fault == "no slope" else matrix_of(model, SHAPE)
    assert exceeds(matrix, certified_lipschitz_constant(model))


@pytest.mark.parametrize("name", [name for name in CONVOLUTIONS if name != "separable"])
def test_the_lower_estimate_is_below_the_bound_and_near(name: str) -> None:
    layer = CONVOLUTIONS[name]()
    model_of(layer)
    (kernel,) = weight_rules.used_kernels(layer)
    assert 0.7 * kernel.norm_above() <= kernel.norm_below() <= kernel.norm_above() * (1 + 1e-12)
