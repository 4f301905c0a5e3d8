"""The manifold: staying on it, coming back to it, and being safe away from it."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from deel_seg._derivatives import vjp
from deel_seg.parametrizations import (
    Orthonormal,
    OrthonormalInitializer,
    bounded,
    orthonormality_error,
    retract,
    tangent,
)

SHAPES = [(6, 3), (4, 4), (1, 1), (2, 5, 3), (1, 3, 8, 4)]


def start(kind: str, shape: tuple[int, ...]) -> np.ndarray:
    generator = np.random.default_rng(0)
    gaussian = generator.normal(size=shape)
    return {
        "gaussian": gaussian,
        "huge": 1e4 * gaussian,
        "tiny": 1e-6 * gaussian,
        "zero": np.zeros(shape),
        "constant": np.ones(shape),
        "near": np.linalg.qr(gaussian)[0] + 0.1 * generator.normal(size=shape),
    }[kind].astype("float32")


KINDS = ["gaussian", "huge", "tiny", "zero", "constant", "near"]


def largest(matrix: np.ndarray) -> float:
    return float(np.max(np.linalg.svd(matrix.astype("float64"), compute_uv=False)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_bounded_has_no_singular_value_above_one(kind: str, shape: tuple[int, ...]) -> None:
    result = ops.convert_to_numpy(bounded(ops.convert_to_tensor(start(kind, shape))))
    # In float32: the kernel takes its own allowance of 1.5e-5 for what rounding adds here.
    assert largest(result) <= 1.0 + 2e-6


def test_bounded_leaves_orthonormal_matrices_as_they_are() -> None:
    matrix = OrthonormalInitializer(seed=0)((5, 8, 4))
    result = ops.convert_to_numpy(bounded(matrix))
    # One division by the root of 1 plus the rounding of a Gram matrix.
    np.testing.assert_allclose(result, ops.convert_to_numpy(matrix), rtol=1e-6)


@pytest.mark.parametrize("iterations", [1, 2, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_retract_is_bounded_by_one_from_any_start(kind: str, iterations: int) -> None:
    matrix = ops.convert_to_tensor(start(kind, (3, 8, 4)))
    # Float32 rounding of three products of 8 x 4 matrices.
    assert largest(ops.convert_to_numpy(retract(matrix, iterations))) <= 1.0 + 2e-6


def test_retract_squares_the_error() -> None:
    matrix = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 4)))[0] * 1.02
    once, twice = (
        float(orthonormality_error(retract(ops.convert_to_tensor(matrix, "float32"), n)))
        for n in (1, 2)
    )
    assert once < 2.0 * 0.05**2
    # Below that, float32 has no digits left.
    assert twice < 2e-6


def test_retract_finds_the_nearest_orthonormal_matrix() -> None:
    matrix = start("near", (8, 4))
    left, _, right = np.linalg.svd(matrix.astype("float64"), full_matrices=False)
    result = ops.convert_to_numpy(retract(ops.convert_to_tensor(matrix), 8))
    np.testing.assert_allclose(result, left @ right, atol=2e-6)


def test_gradient_is_tangent() -> None:
    matrix = OrthonormalInitializer(seed=1)((2, 6, 3))
    upstream = np.random.default_rng(0).normal(size=(2, 6, 3)).astype("float32")
    (gradient,) = vjp(tangent, [matrix], ops.convert_to_tensor(upstream))
    product = np.swapaxes(ops.convert_to_numpy(matrix), -1, -2) @ ops.convert_to_numpy(gradient)
    # Tangent to W^T W = I: W^T G is skew-symmetric, in float32.
    np.testing.assert_allclose(product + np.swapaxes(product, -1, -2), 0.0, atol=2e-6)
    plain = np.swapaxes(ops.convert_to_numpy(matrix), -1, -2) @ upstream
    assert np.max(np.abs(plain + np.swapaxes(plain, -1, -2))) > 0.1
    assert np.max(np.abs(ops.convert_to_numpy(gradient))) > 0.1


def test_tangent_is_the_identity_forward() -> None:
    matrix = start("gaussian", (6, 3))
    result = ops.convert_to_numpy(tangent(ops.convert_to_tensor(matrix)))
    np.testing.assert_array_equal(result, matrix)


@pytest.mark.parametrize("shape", SHAPES)
def test_initial_matrices_are_orthonormal_to_the_last_bit(shape: tuple[int, ...]) -> None:
    assert np.max(orthonormality_error(OrthonormalInitializer(seed=0)(shape))) < 3e-7


def test_initializer_follows_its_seed() -> None:
    def draw(seed: int | None) -> np.ndarray:
        initializer = OrthonormalInitializer.from_config({"seed": seed})
        return ops.convert_to_numpy(initializer((6, 3)))

    np.testing.assert_array_equal(draw(3), draw(3))
    assert np.max(np.abs(draw(3) - draw(4))) > 0.1
    assert np.max(np.abs(draw(None) - draw(None))) > 0.1
    keras.utils.set_random_seed(7)
    first = draw(None)
    keras.utils.set_random_seed(7)
    np.testing.assert_array_equal(draw(None), first)


def test_error_names_what_is_no_number() -> None:
    assert np.isnan(orthonormality_error(np.full((3, 2), np.nan)))
    assert not orthonormality_error(np.full((3, 2), 1e300)) <= 1.0


def test_constraint_round_trip() -> None:
    constraint = Orthonormal(iterations=3)
    copy = keras.constraints.deserialize(keras.constraints.serialize(constraint))
    assert isinstance(copy, Orthonormal)
    assert copy.iterations == 3
