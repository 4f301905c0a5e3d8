from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from deel_seg._backend import accumulation_dtype
from deel_seg.certificates.rounding import count_dtype, exact_floor, ratio_below, to_float32_below
from tests.certificates.exact import numbers


@settings(deadline=None, max_examples=60)
@given(
    count=st.integers(0, 2**26),
    numerator=st.integers(0, 10**6),
    denominator=st.integers(1, 10**6),
)
def test_exact_floor_is_exact(count: int, numerator: int, denominator: int) -> None:
    numerator = min(numerator, denominator)
    got = exact_floor(np.array([count], "int32"), numerator, denominator)
    assert int(got[0]) == count * numerator // denominator


def test_float_quotients_are_not_exact() -> None:
    # The twin: the same in floats is one too large for some count.
    counts = np.arange(1, 2000)
    exact_values = counts * 7 // 10
    assert (np.floor(counts * np.float32(0.7)) != exact_values).any()
    assert (numbers(exact_floor(counts.astype("int32"), 7, 10)) == exact_values).all()


@settings(deadline=None, max_examples=60)
@given(total=st.integers(1, 2**26), data=st.data())
def test_ratio_below_is_the_largest_multiple_below(total: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, total))
    dtype = count_dtype()
    got = ratio_below(np.array([count], dtype), np.array([total], dtype))[0]
    steps = Fraction(float(got)) * 2**24
    assert steps == math.floor(Fraction(count, total) * 2**24)


@pytest.mark.parametrize("value", [0.0, 1e-45, 1e-38, 2.0**-125, 1 / 3, 0.1, 1.0, 1e30, 3e38])
def test_float32_casts_never_round_up(value: float) -> None:
    wide = np.array([value], accumulation_dtype())
    got = float(to_float32_below(ops.convert_to_tensor(wide))[0])
    assert math.isfinite(got) and Fraction(got) <= Fraction(float(wide[0]))
    assert got >= min(value * (1 - 1e-6), 1e38) or value < 1e-37


def test_values_past_float32_become_finite_and_nan_stays() -> None:
    wide = ops.convert_to_tensor(np.array([np.inf, np.nan], accumulation_dtype()))
    got = numbers(to_float32_below(wide))
    assert got[0] == 2.0**127 and np.isnan(got[1])
