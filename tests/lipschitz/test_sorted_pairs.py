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
