"""Poolings and rearrangements: values, norms, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from deel_seg.layers import (
    ConstantScaling,
    DepthToSpace,
    GroupSort2,
    ImageLevelPooling,
    MaxMin,
    RMSScaling,
    ScaledAdd,
    ScaledConcatenate,
    ScaledL2NormPooling2D,
    SizeMultiple,
    SpaceToDepth,
)
from deel_seg.layers.lipschitz_layer import rounded_down
from tests.layers.contract import assert_half_precision, assert_round_trips, functional
from tests.linear_map import exceeds, matrix_of, singular_values


def test_l2_norm_pooling(tmp_path: Path) -> None:
    layer = ScaledL2NormPooling2D((2, 3))
    shapes = [(4, 6, 2), (5, 7, 2)]
    pairs = np.random.default_rng(0).normal(size=(2, 100, 5, 7, 2)).astype("float32")
    pairs[1, :50] = pairs[0, :50] * 1.1  # Along a ray the bound is attained.
    first, second = (ops.convert_to_numpy(layer(part)).astype("float64") for part in pairs)
    moved = np.linalg.norm((first - second).reshape(100, -1), axis=1)
    distance = np.linalg.norm((pairs[0] - pairs[1]).reshape(100, -1).astype("float64"), axis=1)
    # Differences of float32 norms, a tenth of their size.
    assert np.all(moved <= layer.lipschitz_constant * distance * (1 + 2e-6))
    assert_round_trips(functional(layer, 2), layer, shapes, tmp_path, 1)
    assert_half_precision(lambda **options: ScaledL2NormPooling2D((2, 3), **options), (4, 6, 2), 1)


def test_l2_norm_pooling_has_a_gradient_at_zero() -> None:
    from tests.layers.contract import jacobian_of

    layer = ScaledL2NormPooling2D(2)
    model = functional(layer, 1)
    jacobian = jacobian_of(lambda x, training=False: model(0.0 * x), (2, 2, 1))
    assert np.all(np.isfinite(jacobian))


def test_space_to_depth_and_back_is_the_identity() -> None:
    images = np.random.default_rng(0).normal(size=(2, 6, 9, 2)).astype("float32")
    outputs = DepthToSpace(3)(SpaceToDepth(3)(images))
    np.testing.assert_array_equal(ops.convert_to_numpy(outputs), images)
    matrix = matrix_of(SpaceToDepth(2), (4, 6, 2))
    np.testing.assert_array_equal(matrix @ matrix.T, np.eye(48))


def test_image_level_pooling_attains_its_bound() -> None:
    # An impulse as large as the number of pixels, so that the mean rounds nothing.
    matrix = matrix_of(ImageLevelPooling(), (3, 5, 2), impulse=15.0)
    assert not exceeds(matrix, 1.0)
    # Float64 singular values of entries 1 / 15.
    assert abs(singular_values(matrix)[0] - 1.0) < 1e-12


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("factor", [0.1, 1 / 3, 1.0, 2.5, 1e-3, 12345.678])
def test_factors_round_down(dtype: str, factor: float) -> None:
    below = rounded_down(factor, dtype)
    stored = float(ops.convert_to_numpy(ops.cast(ops.convert_to_tensor(below, dtype), "float32")))
    assert stored == below <= factor
    bits = {"float16": 11, "bfloat16": 8, "float32": 24}[dtype]
    assert below > factor * (1 - 2.0 ** (1 - bits))


SORTED = np.array([[3.0, 1.0, -2.0, 5.0]], "float32")


def test_sorting() -> None:
    assert ops.convert_to_numpy(GroupSort2()(SORTED)).tolist() == [[1.0, 3.0, -2.0, 5.0]]
    assert ops.convert_to_numpy(MaxMin()(SORTED)).tolist() == [[3.0, 5.0, -2.0, 1.0]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaxMin(name="sort")(np.zeros((1, 3))), "'sort'.*channels=3"),
        (lambda: GroupSort2(name="sort")(np.zeros((1, 3))), "'sort'.*channels=3"),
        (lambda: RMSScaling(0, 3), "dim_in=0"),
        (lambda: ConstantScaling(0.0), r"factor=0\.0"),
        (lambda: SpaceToDepth(2, name="down")(np.zeros((1, 5, 4, 1))), "'down'.*size=5"),
        (lambda: DepthToSpace(2, name="up")(np.zeros((1, 4, 4, 6))), "'up'.*channels=6"),
        (lambda: ScaledL2NormPooling2D((2, 0)), "`pool_size`.*pool_size=0"),
        (lambda: SizeMultiple(8)(np.zeros((1, 9, 16, 1))), r"pad.*\(16, 16\).*size=\(9, 16\)"),
        (lambda: ScaledAdd(name="sum")(np.zeros((1, 2))), "'sum' takes a list"),
        (lambda: ScaledAdd(name="sum")([np.zeros((1, 2)), np.zeros((1, 3))]), "of one shape"),
        (lambda: ScaledAdd(initial_weights=[1.0]), "learned=True"),
        (lambda: ScaledAdd(learned=True, initial_weights=[1.0, -1.0]), "positive"),
        (
            lambda: ScaledAdd(learned=True, initial_weights=[1.0])([np.zeros((1, 2))] * 2),
            r"2 inputs.*initial_weights=\[1.0\]",
        ),
        (lambda: ScaledConcatenate(name="side")(np.zeros((1, 2))), "'side' takes a list"),
    ],
)
def test_arguments_are_refused_by_name_and_value(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_learned_sum_starts_at_the_given_weights() -> None:
    layer = ScaledAdd(learned=True, initial_weights=[3.0, 1.0])
    outputs = layer([np.ones((1, 1), "float32"), np.zeros((1, 1), "float32")])
    # Softmax in float32, less an allowance of 2^-21 for its rounding.
    assert float(outputs[0, 0]) == pytest.approx(0.75, rel=1e-6)


def test_size_multiple_lets_good_sizes_through() -> None:
    images = keras.random.normal((1, 8, 12, 3))
    np.testing.assert_array_equal(
        ops.convert_to_numpy(SizeMultiple(4)(images)), ops.convert_to_numpy(images)
    )
