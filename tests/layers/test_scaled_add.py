"""Learned weights of a sum never add up to more than 1, in any precision."""

from __future__ import annotations

from fractions import Fraction

import keras
import numpy as np
import pytest
from keras import ops

import deel_seg
from deel_seg.layers import ScaledAdd


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("branches", [2, 3, 5])
def test_learned_weights_add_up_to_no_more_than_one(policy: str, branches: int) -> None:
    generator = np.random.default_rng(0)
    layer = ScaledAdd(learned=True, dtype=policy)
    layer.build([(1, 4, 4, 2)] * branches)
    least = {"float32": 1 - 1e-5, "mixed_bfloat16": 0.985, "mixed_float16": 0.998}[policy]
    for _ in range(200):
        layer.weight_logits.assign(generator.normal(size=branches, scale=2.0))
        weights = ops.convert_to_numpy(ops.cast(layer.branch_weights(), "float32"))
        total = sum((Fraction(float(weight)) for weight in weights), Fraction(0))
        assert least < total <= 1


def test_nested_sums_in_half_precision_keep_their_bound() -> None:
    """Eight of them, with weights that rounded up to 1.002 before."""
    inputs = keras.Input((16, 16, 2))
    x = inputs
    for _ in range(8):
        x = ScaledAdd(learned=True, initial_weights=(0.12, 0.88), dtype="mixed_bfloat16")([x, x])
    model = deel_seg.LipschitzModel(inputs, x)
    image = ops.ones((1, 16, 16, 2))
    moved = ops.convert_to_numpy(ops.cast(model(image) - model(0.0 * image), "float32"))
    assert model.lipschitz_constant == 1.0
    assert np.linalg.norm(moved) <= np.linalg.norm(ops.convert_to_numpy(image))
