"""Gradients that are written out are those of the layer, along a direction and against one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from keras import ops

from deel_seg import layers
from deel_seg._derivatives import jvp, vjp

# Whole numbers, many of them equal: every sum below is exact.
GENERATOR = np.random.default_rng(0)
INPUTS, ALONG, AGAINST = GENERATOR.integers(-1, 2, (3, 2, 3, 4, 6)).astype("float32")


def derivatives(function: Any) -> tuple[np.ndarray, np.ndarray]:
    """What `function` makes of a direction, and what it gives back of one."""
    tensors = [ops.convert_to_tensor(array) for array in (INPUTS, ALONG, AGAINST)]
    (back,) = vjp(function, tensors[:1], tensors[2])
    return ops.convert_to_numpy(jvp(function, *tensors[:2])), ops.convert_to_numpy(back)


@pytest.mark.parametrize("layer", [layers.MaxMin(), layers.GroupSort2()])
def test_sorting_sends_gradients_back_to_where_values_came_from(layer: Any) -> None:
    layer.build(INPUTS.shape)
    first, second = (ops.convert_to_numpy(part) for part in layer.split(INPUTS))
    assert (first == second).any() and (first < second).any() and (first > second).any()
    stays = first >= second if layer.larger_first else first <= second

    def permuted(direction: np.ndarray) -> np.ndarray:
        one, other = (ops.convert_to_numpy(part) for part in layer.split(direction))
        return ops.convert_to_numpy(
            layer.join(np.where(stays, one, other), np.where(stays, other, one))
        )

    forwards, backwards = derivatives(layer)
    assert (forwards == permuted(ALONG)).all()
    assert (backwards == permuted(AGAINST)).all()


def test_centering_takes_the_mean_of_the_batch_from_directions_too() -> None:
    layer = layers.BatchCentering()
    layer.build(INPUTS.shape)
    forwards, backwards = derivatives(lambda inputs: layer(inputs, training=True))
    # 24 pixels: a mean is rounded once, and so is what it is taken from.
    assert (np.abs(forwards - (ALONG - ALONG.mean((0, 1, 2)))) <= 2.0**-22).all()
    assert (np.abs(backwards - (AGAINST - AGAINST.mean((0, 1, 2)))) <= 2.0**-22).all()
