"""The constant of a whole network from its weights, against explicit matrices and by design."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

import deel_seg
from deel_seg.layers import (
    BatchCentering,
    ConstantScaling,
    MaxMin,
    OrthogonalConv2D,
    OrthogonalConv2DTranspose,
    RMSScaling,
    ScaledAdd,
    ScaledConcatenate,
)
from deel_seg.lipschitz import (
    UnknownLipschitzBound,
    certified_bound,
    certified_lipschitz_constant,
    lipschitz_bound,
)
from deel_seg.norms import kept_norms
from tests.linear_map import exceeds, matrix_of, singular_values

SHAPE = (4, 6, 4)
UNKNOWN = (None, None, 4)


def model_of(layer: Any, shape: tuple[int | None, ...] = SHAPE) -> keras.Model:
    image = keras.Input(shape)
    return keras.Model(image, layer(image))


@pytest.mark.one_backend
@settings(deadline=None, max_examples=25)
@given(
    kernel=st.sampled_from([(1, 1), (2, 2), (3, 3), (3, 2)]),
    strides=st.sampled_from([(1, 1), (2, 2), (1, 2)]),
    dilation=st.sampled_from([1, 2]),
    groups=st.sampled_from([1, 2]),
    padding=st.sampled_from(["same", "valid", "circular"]),
    filters=st.sampled_from([2, 4, 8]),
    factor=st.sampled_from([1.0, 0.7, 2.5]),
)
def test_orthogonal_convolutions(
    kernel: Any, strides: Any, dilation: int, groups: int, padding: str, filters: int, factor: float
) -> None:
    if any(k < s for k, s in zip(kernel, strides, strict=True)):
        return
    if padding == "valid" and strides == (1, 1):
        dilation = 1  # No image of this size is large enough.
    layer = OrthogonalConv2D(
        filters, kernel, strides, padding, groups=groups, k_coef_lip=factor,
        dilation_rate=dilation if strides == (1, 1) else 1,
    )  # fmt: skip
    model = model_of(layer)
    bound = certified_lipschitz_constant(model)
    matrix = matrix_of(model, SHAPE)
    # Factors make the layer's float32 outputs round; the bound is about exact arithmetic.
    assert not exceeds(matrix, bound * (1.0 if factor == 1.0 else 1.0 + 2.0**-23))
    assert abs(bound - factor) <= 1e-3 * factor
    if padding == "circular":
        assert bound <= singular_values(matrix)[0] * (1 + 1e-3)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("kernel", "strides"), [(2, 2), (3, 2), (3, 1), (1, 1)])
def test_transposed_convolutions(kernel: int, strides: int, padding: str) -> None:
    model = model_of(OrthogonalConv2DTranspose(2, kernel, strides, padding))
    bound = certified_lipschitz_constant(model)
    assert not exceeds(matrix_of(model, SHAPE), bound)
    assert abs(bound - 1.0) <= 1e-3


def network(image: Any) -> Any:
    """Branches of all kinds."""
    x = BatchCentering()(OrthogonalConv2D(8, 3, strides=2)(image))
    y = ScaledAdd(learned=True)([x, OrthogonalConv2D(8, 3, dilation_rate=2)(x)])
    z = ScaledConcatenate()([x, y, RMSScaling(2, 1)(x)])
    z = layers.Add()([OrthogonalConv2D(8, 1)(z), x])
    return ConstantScaling(0.5)(OrthogonalConv2DTranspose(3, 2, 2)(z))


def test_a_network_with_branches() -> None:
    image = keras.Input(SHAPE)
    model = keras.Model(image, network(image))
    design, certified = lipschitz_bound(model), certified_lipschitz_constant(model)
    assert not exceeds(matrix_of(model, SHAPE), certified)
    assert certified <= design * (1 + 1e-3)
    assert certified >= design * (1 - 1e-3)  # By the same rules.


@pytest.mark.one_backend
def test_nested_and_shared_networks() -> None:
    image = keras.Input(UNKNOWN)
    inner = keras.Model(image, network(image))
    outer = keras.Input(UNKNOWN)
    both = keras.Model(outer, layers.Subtract()([inner(outer), inner(outer)]))
    once = certified_lipschitz_constant(inner)
    assert certified_lipschitz_constant(both) == pytest.approx(2 * once, rel=1e-9)
    assert certified_lipschitz_constant(both) >= 2 * once


@pytest.mark.one_backend
def test_a_whole_configuration_is_within_two_percent_of_its_design() -> None:
    model = deel_seg.LipDeepLabV3(
        {"widths": [8, 16], "convolutions": 2, "aspp_rates": [1, 2]}, num_classes=5
    )
    certified = certified_lipschitz_constant(model)
    assert abs(certified - model.lipschitz_constant) <= 0.02 * model.lipschitz_constant


def test_an_ordinary_network_has_a_large_constant() -> None:
    image = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, padding="same")(image)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2DTranspose(2, 2, 2)(layers.MaxPooling2D(2)(x))
    x = layers.Concatenate()([x, layers.Resizing(4, 6)(image)])
    model = keras.Model(image, layers.Dense(3)(x))
    bound = certified_lipschitz_constant(model)
    with pytest.raises(UnknownLipschitzBound):
        lipschitz_bound(model)
    pairs = np.random.default_rng(0).normal(size=(2, 50, *SHAPE)).astype("float32")
    outputs = [ops.convert_to_numpy(model(part)).astype("float64") for part in pairs]
    moved = np.linalg.norm((outputs[0] - outputs[1]).reshape(50, -1), axis=1)
    ratios = moved / np.linalg.norm((pairs[0] - pairs[1]).reshape(50, -1), axis=1)
    assert ratios.max() <= bound < 100


class _Edited(OrthogonalConv2D):
    """As if a file had been edited: the kernel is not what the factors say."""

    gain = 1.0

    def effective_kernel(self, training: bool | None = False) -> Any:
        return super().effective_kernel(training) * self.gain


@pytest.mark.parametrize("gain", [1.0001, 1.5, 100.0])
def test_a_kernel_that_is_not_orthogonal_shows(gain: float) -> None:
    layer = _Edited(8, 3)
    image = keras.Input(SHAPE)
    model = keras.Model(image, MaxMin()(layer(image)))
    assert certified_lipschitz_constant(model) <= 1.0
    layer.gain = gain
    assert lipschitz_bound(model) == 1.0
    assert gain * (1 - 1e-3) <= certified_lipschitz_constant(model) <= gain * (1 + 1e-3)


def test_one_entry_of_a_kernel_shows() -> None:
    class Edited(OrthogonalConv2D):
        def effective_kernel(self, training: bool | None = False) -> Any:
            return super().effective_kernel(training) + change

    change = np.zeros((3, 3, 2, 2), "float32")
    change[1, 2, 1, 0] = 0.25
    small = (3, 4, 2)
    model = model_of(Edited(2, 3, padding="circular"), small)
    bound = certified_lipschitz_constant(model)
    matrix = matrix_of(model, small)
    assert bound > 1.05 and not exceeds(matrix, bound)
    # At the size in use: other sizes have other frequencies.
    assert bound <= singular_values(matrix)[0] * 1.003


def test_weights_off_the_manifold_stay_bounded() -> None:
    layer = OrthogonalConv2D(8, 3)
    model = model_of(layer)
    layer.projectors.assign(layer.projectors * 3.0)
    bound = certified_lipschitz_constant(model)
    assert not exceeds(matrix_of(model, SHAPE), bound)
    assert bound <= 1.0


def test_norms_are_kept_until_weights_change(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    found = kept_norms.convolution_norm_above

    def counted(*args: Any, **kwargs: Any) -> float:
        calls.append(args)
        return found(*args, **kwargs)

    monkeypatch.setattr(kept_norms, "convolution_norm_above", counted)
    layer = layers.Conv2D(3, 3)
    model = model_of(layer)
    first = certified_lipschitz_constant(model)
    assert certified_lipschitz_constant(model) == first and len(calls) == 1
    layer.kernel.assign(layer.kernel * 2.0)
    assert certified_lipschitz_constant(model) > first and len(calls) == 2
    # Another layer of the same values, but not of the same strides.
    other = layers.Conv2D(3, 3, strides=2)
    other_model = model_of(other)
    other.set_weights(layer.get_weights())
    certified_lipschitz_constant(other_model)
    assert len(calls) == 3


def test_a_layer_of_ones_own_states_its_bound() -> None:
    class Gain(deel_seg.layers.LipschitzLayer):
        def call(self, inputs: Any) -> Any:
            return 3.0 * inputs

        def lipschitz_bound(self, *bounds: float) -> float:
            return 4.0 * bounds[0]

        def certified_bound(self, *bounds: float) -> float:
            return 3.0 * bounds[0]

    model = model_of(Gain())
    assert lipschitz_bound(model) == 4.0
    assert 3.0 <= certified_lipschitz_constant(model) <= 3.0 * (1 + 1e-12)


def test_bounds_are_rounded_up_and_those_handed_on_are_not() -> None:
    model = model_of(MaxMin())
    assert certified_lipschitz_constant(model) == 1.0
    layer = layers.Add()
    assert certified_bound.raised(0.1, layer, [0.1]) == 0.1
    assert certified_bound.raised(0.1, layer, [0.3]) > 0.1
    # A sum that rounding took for one of its terms.
    assert certified_bound.raised(1.0 + 1e-20, layer, [1.0, 1e-20]) > 1.0
    # Two outputs, and a nested network: what the walk itself computes is rounded up too.
    image = keras.Input(SHAPE)
    scaled = ConstantScaling(0.1)(image)
    inner = keras.Model(image, [scaled, ConstantScaling(0.7)(image)])
    exact = Fraction(0.1) ** 2 + Fraction(0.7) ** 2
    assert Fraction(certified_lipschitz_constant(inner)) ** 2 >= exact
    outer = keras.Input(SHAPE)
    nested = keras.Model(outer, inner(ConstantScaling(0.3)(outer)))
    assert Fraction(certified_lipschitz_constant(nested)) ** 2 >= exact * Fraction(0.3) ** 2


def test_no_graph_no_constant() -> None:
    class Own(keras.Model):
        def call(self, inputs: Any) -> Any:
            return inputs

    with pytest.raises(ValueError, match="functional"):
        certified_lipschitz_constant(Own())
    assert math.isclose(certified_lipschitz_constant(model_of(layers.Identity())), 1.0)
