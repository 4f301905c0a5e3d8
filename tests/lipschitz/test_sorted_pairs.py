"""Sorted pairs out of Keras' own layers: recognised where they are, and nowhere else."""

from __future__ import annotations

from typing import Any

import keras
import pytest
from keras import layers

from deel_seg.lipschitz import audit, certified_lipschitz_constant, lipschitz_bound
from tests.layers.contract import jacobian_of
from tests.linear_map import exceeds

Tensor = Any


def half(x: Tensor, before: int, after: int) -> Tensor:
    return layers.Cropping2D(((0, 0), (before, after)), data_format="channels_first")(x)


def model_of(parts: Any, *, kinds: Any = (layers.Maximum, layers.Minimum)) -> keras.Model:
    image = keras.Input((3, 4, 4))
    pairs = parts(image)
    return keras.Model(image, layers.Concatenate()([kind()(pairs) for kind in kinds]))


def test_sorted_pairs_have_the_bound_of_what_is_sorted() -> None:
    for kinds in ((layers.Maximum, layers.Minimum), (layers.Minimum, layers.Maximum)):
        model = model_of(lambda x: [half(x, 0, 2), half(x, 2, 0)], kinds=kinds)
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
    model = model_of(
        lambda x: [half(x, 0, 2), half(x, 2, 0)], kinds=(layers.Maximum, layers.Maximum)
    )
    # Each of them holds the larger value twice.
    assert exceeds(jacobian_of(model, (3, 4, 4)), 1.0)
    assert not exceeds(jacobian_of(model, (3, 4, 4)), lipschitz_bound(model))
