from __future__ import annotations

from fractions import Fraction
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from keras import ops

from deel_seg.certificates.inputs import MAX_PIXELS
from deel_seg.export.float32_constants import UNIT
from deel_seg.export.portable_sums import SUM_ROUNDINGS, floor_product, running_sums


@pytest.mark.parametrize("size", [1, 2, 63, 64, 65, 4096, 4100])
def test_sums_are_within_their_error(size: int) -> None:
    generator = np.random.default_rng(size)
    terms = (10.0 ** generator.uniform(-9, 9, (2, size))).astype("float32")
    terms[:, ::5] = 0
    sums = ops.convert_to_numpy(running_sums(ops.convert_to_tensor(terms)))
    assert sums.shape == terms.shape and sums.dtype == np.float32
    for row, found in zip(terms.tolist(), sums.tolist(), strict=True):
        for exact, value in zip(accumulate(map(Fraction, row)), found, strict=True):
            error = (1 + UNIT) ** SUM_ROUNDINGS
            assert exact * (2 - error) <= Fraction(value) <= exact * error


def test_many_equal_terms_do_not_stand_still() -> None:
    # One after the other they would stop at 2^24 * 0.1, where a term is half a place.
    size = 2**22
    sums = running_sums(ops.full((1, size), 0.1, dtype="float32"))
    exact = size * Fraction(float(np.float32(0.1)))
    assert abs(Fraction(float(sums[0, -1])) - exact) <= exact * SUM_ROUNDINGS * UNIT * 2


@settings(deadline=None)
@given(st.integers(0, MAX_PIXELS - 1), st.integers(0, 10**6), st.integers(1, 10**6))
@example(MAX_PIXELS - 1, 999_999, 10**6)
@example(MAX_PIXELS - 1, 10**6, 10**6)
@example(MAX_PIXELS - 1, 1, 10**6)
@example(0, 1, 1)
def test_quotients_are_exact(count: int, numerator: int, denominator: int) -> None:
    numerator = min(numerator, denominator)
    exact = count * numerator // denominator
    assert floor_product(count, numerator, denominator) == exact
    tensor = ops.convert_to_tensor(count, dtype="int32")
    assert int(floor_product(tensor, numerator, denominator)) == exact
