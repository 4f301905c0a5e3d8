"""Sorted pairs out of Keras' own layers: recognised where they are, and nowhere else."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from deel_seg.lipschitz import (
    UnknownLipschitzBound,
    audit,
    certified_lipschitz_constant,
    lipschitz_bound,
    logit_error_bound,
)
from deel_seg.lipschitz import joined_convolution as joined
from deel_seg.lipschitz import sorted_pairs as pairs
from deel_seg.lipschitz.graph import producer_of
from tests.layers.contract import jacobian_of
from tests.linear_map import exceeds

Tensor = Any


def half(x: Tensor, before: int, after: int) -> Tensor:
    return layers.Cropping2D(((0, 0), (before, after)), data_format="channels_first")(x)


def model_of(
    parts: Any, *, kinds: Any = (layers.Maximum, layers.Minimum), shifts: Any = (None, None)
) -> keras.Model:
    image = keras.Input((3, 4, 4))
    pairs = parts(image)
    sorted_halves = [
        kind()(pairs) if shift is None else shift(kind()(pairs))
        for kind, shift in zip(kinds, shifts, strict=True)
    ]
    return keras.Model(image, layers.Concatenate()(sorted_halves))


def halves_of(x: Tensor) -> list[Tensor]:
    return [half(x, 0, 2), half(x, 2, 0)]


def test_sorted_pairs_have_the_bound_of_what_is_sorted() -> None:
    for kinds in ((layers.Maximum, layers.Minimum), (layers.Minimum, layers.Maximum)):
        model = model_of(halves_of, kinds=kinds)
        assert lipschitz_bound(model) == certified_lipschitz_constant(model) == 1.0
        assert audit(model, verbose=0).rows[-1].by_weights == 1.0
        assert not exceeds(jacobian_of(model, (3, 4, 4)), 1.0)


@pytest.mark.parametrize(
    "parts",
    [
        lambda x: [half(x, 0, 2), half(x, 0, 2)],  # The same channels twice
        lambda x: [half(x, 0, 1), half(x, 1, 0)],  # and some of them twice.
        lambda x: [half(x, 0, 2), half(layers.Rescaling(1.0)(x), 2, 0)],
        lambda x: [x, layers.Rescaling(-1.0)(x)],
        lambda x: [layers.Cropping2D(((0, 0), (0, 2)))(x), layers.Cropping2D(((0, 0), (2, 0)))(x)],
    ],
)
def test_what_only_looks_like_it_is_bounded_branch_by_branch(parts: Any) -> None:
    model = model_of(parts)
    bound = lipschitz_bound(model)
    assert bound > 1.4
    assert not exceeds(jacobian_of(model, (3, 4, 4)), bound)


def test_two_maxima_are_no_sorted_pair() -> None:
    model = model_of(halves_of, kinds=(layers.Maximum, layers.Maximum))
    # Each of them holds the larger value twice.
    assert exceeds(jacobian_of(model, (3, 4, 4)), 1.0)
    assert not exceeds(jacobian_of(model, (3, 4, 4)), lipschitz_bound(model))


def shift(*offset: float, scale: Any = 1.0) -> layers.Layer:
    return layers.Rescaling(scale, list(offset))


def test_constants_added_to_the_halves_change_no_bound() -> None:
    for shifts in ((None, shift(3.0, -4.0)), (shift(0.5), None), (shift(1.0), shift(2.0, 5.0))):
        model = model_of(halves_of, shifts=shifts)
        assert lipschitz_bound(model) == certified_lipschitz_constant(model) == 1.0
        assert not exceeds(jacobian_of(model, (3, 4, 4)), 1.0)


@pytest.mark.parametrize(
    "not_only",
    [
        lambda: shift(0.0, scale=1.5),
        lambda: shift(0.0, scale=[1.0, 2.0]),
        lambda: layers.BatchNormalization(),
    ],
)
def test_what_does_more_than_add_constants_is_no_part_of_them(not_only: Any) -> None:
    model = model_of(halves_of, shifts=(None, not_only()))
    bound = lipschitz_bound(model)
    assert bound > 1.4
    assert not exceeds(jacobian_of(model, (3, 4, 4)), bound)


def test_constants_that_make_more_channels_of_one_are_refused() -> None:
    image = keras.Input((3, 4, 2))
    pair = [half(image, 0, 1), half(image, 1, 0)]
    both = [layers.Maximum()(pair), shift(1.0, 2.0)(layers.Minimum()(pair))]
    with pytest.raises(UnknownLipschitzBound):
        lipschitz_bound(keras.Model(image, layers.Concatenate()(both)))


def test_rounding_of_the_constants_counts() -> None:
    """Large constants are what is rounded most: a bound without them would be exceeded."""
    offset = np.float32([2.0**20, 2.0**21])
    model = model_of(halves_of, shifts=(None, shift(*offset.tolist())))
    without = logit_error_bound(model_of(halves_of), (3, 4))
    image = np.random.default_rng(0).uniform(size=(1, 3, 4, 4)).astype("float32")
    least = np.minimum(image[..., :2], image[..., 2:]).astype("float64")
    computed = ops.convert_to_numpy(model(image))[..., 2:].astype("float64")
    seen = float(np.linalg.norm(computed - (least + offset)))
    assert without < seen <= logit_error_bound(model, (3, 4))


def convolution(filters: int = 3, kind: Any = layers.Conv2D, **options: Any) -> layers.Layer:
    options = {"padding": "same", "kernel_initializer": "glorot_normal", **options}
    return kind(filters, 3, bias_initializer="normal", **options)


def orthogonal_halves(factors: tuple[float, float] = (1.0, 1.0)) -> Any:
    """Two convolutions whose filters together are those of an orthogonal matrix at each pixel."""

    def parts(x: Tensor) -> list[Tensor]:
        matrix = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
        made = []
        for factor, columns in zip(factors, np.split(matrix, 2, axis=1), strict=True):
            layer = layers.Conv2D(2, 1, use_bias=False)
            made.append(layer(x))
            layer.set_weights([factor * columns[None, None]])
        return made

    return parts


def test_pairs_of_two_convolutions_have_the_bound_of_both_together() -> None:
    for factors, expected in (((1.0, 1.0), 1.0), ((1.0, 3.0), 3.0)):
        model = model_of(orthogonal_halves(factors))
        bound = certified_lipschitz_constant(model)
        assert expected - 1e-6 < bound < expected * (1 + 1e-3)
        assert not exceeds(jacobian_of(model, (3, 4, 4)), bound)


TWO = {
    "plain": lambda x: [convolution()(x), convolution()(x)],
    "strided": lambda x: [convolution(strides=3)(x), convolution(strides=3)(x)],
    "dilated": lambda x: [convolution(dilation_rate=2)(x) for _ in range(2)],
    "no bias": lambda x: [convolution(use_bias=False)(x) for _ in range(2)],
    "transposed": lambda x: [
        convolution(kind=layers.Conv2DTranspose, strides=2)(x) for _ in range(2)
    ],
    "one layer, two calls": lambda x: [*map(convolution(), (x, x))],
    "dilated unlike": lambda x: [convolution()(x), convolution(dilation_rate=2)(x)],
    "one with a bias": lambda x: [convolution()(x), convolution(use_bias=False)(x)],
    "activated": lambda x: [convolution(activation="tanh")(x) for _ in range(2)],
    "grouped": lambda x: [convolution(4, groups=2)(x) for _ in range(2)],
    "of two tensors": lambda x: [convolution()(x), convolution()(convolution(4)(x))],
    "of two calls": lambda x: [convolution()(layers.Rescaling(1.0)(x)) for _ in range(2)],
}


@pytest.mark.parametrize("name", TWO)
def test_the_bound_of_two_convolutions_is_never_below_the_norm(name: str) -> None:
    keras.utils.set_random_seed(0)
    model = model_of(TWO[name])
    bound = certified_lipschitz_constant(model)
    assert not exceeds(jacobian_of(model, (3, 4, 4)), bound)


def test_a_bound_of_one_half_alone_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    keras.utils.set_random_seed(0)
    model = model_of(lambda x: [*map(convolution(), (x, x))])
    monkeypatch.setattr(pairs, "joined_convolution", lambda nodes: nodes[0].operation)
    assert exceeds(jacobian_of(model, (3, 4, 4)), certified_lipschitz_constant(model))


@pytest.mark.parametrize(
    "name",
    ["dilated unlike", "one with a bias", "activated", "grouped", "of two tensors", "of two calls"],
)
def test_what_is_not_one_convolution_cut_in_two_is_not_joined(name: str) -> None:
    found = [producer_of(part) for part in TWO[name](keras.Input((6, 6, 4)))]
    assert joined.joined_convolution(found) is None


@pytest.mark.parametrize("name", ["plain", "strided", "dilated", "no bias", "transposed"])
def test_the_joined_convolution_computes_both(name: str) -> None:
    image = keras.Input((6, 6, 4))
    parts = TWO[name](image)
    layer = joined.joined_convolution([producer_of(part) for part in parts])
    values = np.random.default_rng(0).normal(size=(2, 6, 6, 4)).astype("float32")
    both = np.concatenate(keras.Model(image, parts).predict(values, verbose=0), axis=-1)
    # Blocks of other widths are summed in another order.
    np.testing.assert_allclose(ops.convert_to_numpy(layer(values)), both, atol=1e-5)


def test_rounding_of_two_convolutions_is_that_of_one() -> None:
    image = keras.Input((5, 6, 4))
    first, second = convolution(), convolution()
    two = model_with_pairs(image, [first(image), second(image)])
    layer = joined.joined_convolution([layer._inbound_nodes[0] for layer in (first, second)])
    whole = layer(image)
    one = model_with_pairs(image, [half(whole, 0, 3), half(whole, 3, 0)])
    assert logit_error_bound(two, (5, 6)) == logit_error_bound(one, (5, 6))


def model_with_pairs(image: Tensor, parts: list[Tensor]) -> keras.Model:
    return keras.Model(
        image, layers.Concatenate()([layers.Maximum()(parts), layers.Minimum()(parts)])
    )
