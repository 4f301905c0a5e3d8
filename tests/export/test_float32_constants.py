from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deel_seg.export.float32_constants import (
    UNIT,
    float32_above,
    float32_below,
    grown,
    root_below,
    shrunk,
)

SMALLEST, LARGEST = Fraction(1, 2**126), Fraction(2**127)

values = st.one_of(
    st.fractions(min_value=0, max_value=10**12),
    st.floats(min_value=0, allow_nan=False, allow_infinity=False).map(Fraction),
)


@given(values)
@example(Fraction(0))
@example(Fraction(1, 2**149))
@example(Fraction(1, 3))
@example(Fraction(2**24 + 1))
@example(Fraction(2**200))
def test_constants_are_rounded_to_their_side_and_no_further(value: Fraction) -> None:
    below, above = float32_below(value), float32_above(value)
    assert below == np.float32(below) and above == np.float32(above)
    assert Fraction(below) <= value
    assert math.isinf(above) or Fraction(above) >= value
    if SMALLEST <= value <= LARGEST:
        assert Fraction(above) - Fraction(below) <= 2 * UNIT * value
    elif value > LARGEST:
        assert below == 2.0**127 and math.isinf(above)
    else:
        assert below == 0 and above == (0 if value == 0 else float(SMALLEST))


@pytest.mark.parametrize("number", [0.0, 2.0**-126, 1.0, 1.5, 2.0**127])
def test_float32_numbers_are_kept(number: float) -> None:
    assert float32_below(Fraction(number)) == float32_above(Fraction(number)) == number


@given(values)
def test_root_is_just_below(value: Fraction) -> None:
    root = root_below(value)
    assert root**2 <= value < (root + Fraction(1, 2**300)) ** 2


@given(values, st.integers(1, 400))
def test_roundings_are_covered_both_ways(value: Fraction, roundings: int) -> None:
    assert shrunk(value, roundings) * (1 + UNIT) ** roundings <= value
    assert grown(value, roundings) >= value * (1 + UNIT) ** roundings
