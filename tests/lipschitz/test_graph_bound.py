"""The walk through the graph: branches, nesting, sharing, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import deel_seg
from deel_seg.layers import (
    BatchCentering,
    ConstantScaling,
    MaxMin,
    OrthogonalConv2D,
    RMSScaling,
    ScaledAdd,
    ScaledConcatenate,
)
from deel_seg.lipschitz import UnknownLipschitzBound, lipschitz_bound
from tests.linear_map import exceeds, matrix_of

SHAPE = (4, 4, 2)


@pytest.fixture
def image() -> Any:
    return keras.Input(SHAPE)


def bound(image: Any, outputs: Any) -> float:
    """The bound of a linear graph, checked against the graph's matrix."""
    model = keras.Model(image, outputs)
    result = lipschitz_bound(model)
    assert not exceeds(matrix_of(model, SHAPE), result)
    return result


def test_chain_multiplies(image: Any) -> None:
    x = ConstantScaling(0.5)(OrthogonalConv2D(4, 1)(image))
    assert bound(image, ConstantScaling(3.0)(BatchCentering()(x))) == 1.5


def test_factors_of_a_layer_and_of_deel_lip_multiply(image: Any) -> None:
    x = RMSScaling(1, 4, k_coef_lip=3.0)(image)
    assert bound(image, OrthogonalConv2D(2, 1, k_coef_lip=0.5)(x)) == 3.0


def test_branch_used_twice_counts_twice(image: Any) -> None:
    x = ConstantScaling(2.0)(image)
    assert bound(image, layers.Add()([x, x])) == 4.0
    assert bound(image, x + x) == 4.0
    assert bound(image, x - image) == 3.0
    assert bound(image, layers.Subtract()([x, image])) == 3.0
    assert bound(image, layers.Average()([x, image])) == 1.5
    assert bound(image, x + np.ones((1, *SHAPE), "float32")) == 2.0


def test_branches_of_our_layers(image: Any) -> None:
    x = ConstantScaling(2.0)(image)
    assert bound(image, ScaledAdd()([x, image])) == 1.5
    assert bound(image, ScaledAdd(learned=True)([x, image])) == 2.0
    assert bound(image, ScaledConcatenate()([x, image])) == math.sqrt(2.5)
    assert bound(image, layers.Concatenate()([x, image])) == math.sqrt(5.0)
    assert bound(image, keras.ops.concatenate([x, image], axis=-1)) == math.sqrt(5.0)


def test_shared_layer_counts_at_each_use(image: Any) -> None:
    shared = ConstantScaling(2.0)
    assert bound(image, shared(shared(shared(image)))) == 8.0


def test_nested_models_are_walked(image: Any) -> None:
    inner_image = keras.Input(SHAPE)
    inner = keras.Model(inner_image, inner_image + ConstantScaling(2.0)(inner_image))
    sequential = keras.Sequential([keras.Input(SHAPE), ConstantScaling(0.5), MaxMin()])
    assert lipschitz_bound(inner) == 3.0
    assert lipschitz_bound(sequential) == 0.5
    assert lipschitz_bound(keras.Model(image, sequential(inner(inner(image))))) == 4.5
    lipschitz = deel_seg.LipschitzModel(image, inner(image))
    assert lipschitz_bound(keras.Model(image, lipschitz(image))) == 3.0


def test_several_outputs_and_inputs_count_together(image: Any) -> None:
    x = ConstantScaling(3.0)(image)
    y = ConstantScaling(4.0)(image)
    assert lipschitz_bound(keras.Model(image, [x, y])) == 5.0
    other = keras.Input(SHAPE)
    pair = keras.Model([image, other], layers.Add()([image, other]))
    assert lipschitz_bound(pair) == 2.0
    # Both halves of one vector cannot move by its whole length: sound, if not tight.
    assert lipschitz_bound(keras.Model(image, pair([x, y]))) == 10.0


def test_unknown_layer_is_named_within_a_nested_model(image: Any) -> None:
    inner = keras.Sequential([keras.Input(SHAPE), layers.Dense(3, name="culprit")], name="inside")
    with pytest.raises(UnknownLipschitzBound, match=r"'inside'.*'culprit'"):
        lipschitz_bound(keras.Model(image, inner(image)))


def test_operators_without_a_rule_are_refused(image: Any) -> None:
    for outputs in (2.0 * image, image * image, -image, keras.ops.exp(image)):
        with pytest.raises(UnknownLipschitzBound):
            lipschitz_bound(keras.Model(image, outputs))


def test_models_that_are_no_graph_are_refused(image: Any) -> None:
    class Subclassed(keras.Model):
        def call(self, inputs: Any) -> Any:
            return 7.0 * inputs

    class Overridden(deel_seg.LipschitzModel):
        def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
            return 7.0 * super().call(inputs, training=training, mask=mask)

    overridden = Overridden(image, MaxMin()(image), name="louder")
    for model in (Subclassed(name="louder"), overridden, keras.Sequential(name="louder")):
        with pytest.raises(ValueError, match=r"functional.*model='louder'"):
            lipschitz_bound(model)
    with pytest.raises(UnknownLipschitzBound, match="'louder'"):
        lipschitz_bound(keras.Model(image, overridden(image)))


def test_nested_model_fixed_in_training_mode_is_refused(image: Any) -> None:
    inner = keras.Sequential([keras.Input(SHAPE), layers.BatchNormalization()], name="inside")
    with pytest.raises(UnknownLipschitzBound, match=r"'inside'.*training=True"):
        lipschitz_bound(keras.Model(image, inner(image, training=True)))
