"""Bounds of matrix norms: never below the norm, and as near to it as they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deel_seg.norms import largest_norm_above, matrix_norm, matrix_norms_above
from tests.linear_map import exceeds, singular_values

SLACK = 1e-12  # What rounding may add to the stated excess.


def as_real(matrix: np.ndarray) -> np.ndarray:
    """A real matrix of the same norm."""
    real, imaginary = matrix.real, matrix.imag
    return np.block([[real, -imaginary], [imaginary, real]])


def assert_bound(matrix: np.ndarray, bound: float, tightness: float = 1e-4) -> None:
    real = as_real(matrix) if np.iscomplexobj(matrix) else matrix
    assert not exceeds(real, bound), "too small"
    assert bound <= singular_values(real)[0] * (1 + tightness + SLACK) + 2.0**-500, "too large"


def drawn(generator: Any, rows: int, columns: int, *, is_complex: bool) -> np.ndarray:
    matrix = generator.normal(size=(rows, columns))
    return matrix + 1j * generator.normal(size=(rows, columns)) if is_complex else matrix


@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(1, 12),
    columns=st.integers(1, 12),
    is_complex=st.booleans(),
    rank=st.integers(1, 12),
    power=st.integers(-900, 900),
    seed=st.integers(0, 2**31),
)
def test_random_matrices(
    rows: int, columns: int, is_complex: bool, rank: int, power: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    matrix = drawn(generator, rows, rank, is_complex=is_complex)
    matrix = matrix @ drawn(generator, rank, columns, is_complex=is_complex)
    bound = float(matrix_norms_above(np.ldexp(1.0, power) * matrix))
    # Compared at the scale at which LAPACK squares nothing out of range.
    assert_bound(matrix, np.ldexp(bound, -power))


@pytest.mark.parametrize(
    "matrix",
    [
        np.eye(40),
        np.ones((5, 30)),
        np.diag([1.0, 1.0 - 2.0**-40, 0.5]),
        np.array([[1.0, 2.0**-300], [2.0**-600, 2.0**-30]]),
        np.linalg.qr(np.random.default_rng(0).normal(size=(60, 40)))[0],
        np.array([[1.0, 1e8], [0.0, 1.0]]),
        np.zeros((3, 2)),
    ],
)
def test_special_matrices(matrix: np.ndarray) -> None:
    assert_bound(matrix, float(matrix_norms_above(matrix)))


def test_subnormal_numbers_and_very_large_ones() -> None:
    tiny = np.array([[5e-324, 5e-324]])
    assert 1e-323 <= float(matrix_norms_above(tiny)) < 1e-150  # The norm is 7e-324.
    assert np.isfinite(matrix_norms_above(np.array([[1e308, 1e307]])))
    assert float(matrix_norms_above(np.array([[1e308, 1e308]]))) > 1.4e308
    assert np.isinf(matrix_norms_above(np.full((2, 2), 1.7e308)))  # A bound, of what is larger.


@pytest.mark.parametrize("tightness", [1e-1, 1e-3, 1e-6])
def test_as_tight_as_it_is_asked_to_be(tightness: float) -> None:
    matrices = np.random.default_rng(1).normal(size=(5, 20, 30))
    for matrix, bound in zip(
        matrices, matrix_norms_above(matrices, tightness=tightness), strict=True
    ):
        assert_bound(matrix, float(bound), tightness)


def test_fewer_squares_are_looser_and_still_bounds() -> None:
    matrix = np.linalg.qr(np.random.default_rng(2).normal(size=(16, 16)))[0]
    bounds = [float(matrix_norms_above(matrix, squares=squares)) for squares in range(6)]
    assert bounds == sorted(bounds, reverse=True)
    for squares, bound in enumerate(bounds):
        # All singular values are 1: the worst case of the method.
        assert bound == pytest.approx(16 ** (0.5 ** (squares + 1)), rel=1e-9)


@settings(deadline=None, max_examples=30)
@given(count=st.integers(1, 6), side=st.integers(1, 9), seed=st.integers(0, 2**31))
def test_the_largest_of_many(count: int, side: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    matrices = generator.normal(size=(count, side, side + 2)) * generator.random((count, 1, 1))
    bound = largest_norm_above(matrices)
    for matrix in matrices:
        assert not exceeds(matrix, bound)
    largest = max(singular_values(matrix)[0] for matrix in matrices)
    assert bound <= largest * (1 + matrix_norm.TIGHTNESS + SLACK)


@pytest.mark.parametrize("fault", ["root of one too many", "a Frobenius norm too small", "power"])
def test_a_broken_bound_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = np.random.default_rng(3).normal(size=(12, 9))
    bound = float(matrix_norms_above(matrix))
    if fault == "power":  # Power iteration, as it is used elsewhere.
        vector = np.ones(9)
        for _ in range(3):
            vector = matrix.T @ (matrix @ vector)
            vector /= np.linalg.norm(vector)
        bound = float(np.linalg.norm(matrix @ vector))
    elif fault == "a Frobenius norm too small":
        monkeypatch.setattr(matrix_norm, "frobenius_above", lambda a: np.max(np.abs(a), (-2, -1)))
        bound = float(matrix_norms_above(matrix))
    else:
        rooted = matrix_norm._rooted
        monkeypatch.setattr(
            matrix_norm, "_rooted", lambda f, steps, e: rooted(np.sqrt(f), steps, e)
        )
        bound = float(matrix_norms_above(4.0 * matrix)) / 4.0
    with pytest.raises(AssertionError, match="too small"):
        assert_bound(matrix, bound)


def test_values_that_are_not_finite() -> None:
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="`matrices` must be finite"):
            matrix_norms_above(np.array([[1.0, value]]))


def test_shapes() -> None:
    assert matrix_norms_above(np.ones((2, 3, 4, 5), "float32")).shape == (2, 3)
    assert matrix_norms_above(np.ones((4, 5), "float16")).shape == ()
