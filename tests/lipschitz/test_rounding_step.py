"""One step of the propagation of errors, and what a count of roundings may do, in fractions."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deel_seg.lipschitz.arithmetic import Arithmetic, arithmetic_of, conversion_error
from deel_seg.lipschitz.rounding_step import Sizes, Step, after, converted, times

SINGLE = Fraction(1, 2**24)


@given(stored=st.integers(0, 40), summed=st.integers(0, 40))
def test_roundings_that_agree(stored: int, summed: int) -> None:
    arithmetic = Arithmetic(2.0**-8, 2.0**-21, 2.0**-10)
    found = Fraction(arithmetic.relative_error(stored=stored, summed=summed, factors=1))
    shares = [Fraction(1, 2**8)] * stored + [Fraction(1, 2**21)] * summed + [Fraction(1, 2**10)]
    up = down = divided = Fraction(1)
    for share in shares:
        up, down, divided = up * (1 + share), down * (1 - share), divided / (1 - share)
    # What float64 takes off is put on again after each step.
    assert found * (1 + Fraction(1, 2**36)) >= max(up - 1, 1 - down, divided - 1)
    assert found <= (divided - 1) * (1 + Fraction(1, 2**36))


def test_a_step() -> None:
    arithmetic = arithmetic_of("float32", "float32")
    assert arithmetic is not None
    step = Step(times(2.0), times(5.0), shift=7.0, summed=3)
    found = after(step, [Sizes(3.0, 0.5)], arithmetic, numbers=10)
    assert found is not None
    error = 2 * Fraction(1, 2) + 3 * SINGLE * (5 * Fraction(7, 2) + 7)
    assert 13 <= Fraction(found.norm) < 13 * (1 + Fraction(1, 2**30))
    assert error <= Fraction(found.error) < error * (1 + Fraction(1, 2**20))


def test_errors_of_several_inputs_meet() -> None:
    arithmetic = arithmetic_of("float32", "float32")
    assert arithmetic is not None
    found = after(Step(sum), [Sizes(1.0, 0.25), Sizes(2.0, 0.5)], arithmetic, numbers=2)
    assert found is not None and 3.0 <= found.norm < 3.1 and 0.75 <= found.error < 0.76


def test_numbers_that_vanish_leave_a_trace() -> None:
    arithmetic = arithmetic_of("float32", "float32")
    assert arithmetic is not None
    found = after(Step(times(1e-30)), [Sizes(1e-30, 0.0)], arithmetic, numbers=4)
    assert found is not None and found.error >= 2 * 2.0**-126


@pytest.mark.parametrize("size", [2.0**61, float("inf"), float("nan")])
def test_numbers_that_may_overflow_have_no_bound(size: float) -> None:
    arithmetic = arithmetic_of("float32", "float32")
    assert arithmetic is not None
    assert after(Step(times(1.0)), [Sizes(size, 0.0)], arithmetic, 1) is None
    assert after(Step(times(size)), [Sizes(1.0, 0.0)], arithmetic, 1) is None
    assert after(Step(times(1.0), shift=size), [Sizes(1.0, 0.0)], arithmetic, 1) is None


def test_arithmetic_of_the_dtypes() -> None:
    assert arithmetic_of("float32", "float32") == (2.0**-24, 2.0**-24, 0.0)
    assert arithmetic_of("float64", "tf32") == (2.0**-53, 2.0**-53, 0.0)
    assert arithmetic_of("float32", "tf32") == (2.0**-24, 2.0**-21, 2.0**-10)
    assert arithmetic_of("bfloat16", "tf32") == (2.0**-8, 2.0**-21, 0.0)
    assert arithmetic_of("float16", "float32") is None


@pytest.mark.parametrize(
    ("given", "dtype", "error"),
    [
        ("float32", "float32", 0.0),
        ("bfloat16", "float32", 0.0),
        ("uint8", "bfloat16", 0.0),
        ("float32", "bfloat16", 2.0**-8),
        ("float64", "float32", 2.0**-24),
        ("int32", "float32", 2.0**-24),
        ("uint8", "uint8", 0.0),
        ("float32", "uint8", float("inf")),
    ],
)
def test_conversions(given: str, dtype: str, error: float) -> None:
    assert conversion_error(given, dtype) == error
    assert converted(Sizes(2.0, 1.0), error).error >= 1.0 + 3.0 * error
