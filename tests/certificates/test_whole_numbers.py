from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from deel_seg.certificates.rounding import count_dtype
from deel_seg.certificates.whole_numbers import Whole
from tests.certificates.exact import numbers

COUNTS = st.lists(st.integers(0, 2**27 - 1), min_size=6, max_size=6)


def whole(values: list[int]) -> Whole:
    return Whole.of(ops.convert_to_tensor(np.array(values, "int32"), count_dtype()), 27)


def integers(number: Whole) -> list[int]:
    limbs = [numbers(limb) for limb in number.limbs]
    return [
        sum(int(limb) << (12 * place) for place, limb in enumerate(digits))
        for digits in zip(*np.broadcast_arrays(*limbs), strict=True)
    ]


@settings(deadline=None, max_examples=25)
@given(a=COUNTS, b=COUNTS, c=COUNTS, factor=st.integers(0, 10**8))
def test_arithmetic_is_that_of_the_integers(
    a: list[int], b: list[int], c: list[int], factor: int
) -> None:
    expected = [x * y * factor + (y + z) * z + 3 * x for x, y, z in zip(a, b, c, strict=True)]
    x, y, z = whole(a), whole(b), whole(c)
    got = x * y * factor + (y + z) * z + 3 * x
    assert integers(got) == expected
    assert max(expected).bit_length() <= got.bits
    assert numbers(got.to_float("float32")).tolist() == pytest.approx(expected, rel=1e-5)


@settings(deadline=None, max_examples=25)
@given(a=COUNTS, b=COUNTS, offsets=st.lists(st.integers(-1, 1), min_size=6, max_size=6))
def test_products_are_compared_to_the_last_bit(
    a: list[int], b: list[int], offsets: list[int]
) -> None:
    product, left = whole(a) * whole(b), [x * y for x, y in zip(a, b, strict=True)]
    right = [max(0, value + offset) for value, offset in zip(left, offsets, strict=True)]
    high, low = ([value >> 27 for value in right], [value % 2**27 for value in right])
    other = whole(high) * 2**27 + whole(low)
    assert numbers(product.at_most(other)).tolist() == [
        value <= bound for value, bound in zip(left, right, strict=True)
    ]


def test_constants_and_zero() -> None:
    zeros = whole([0, 1, 2**27 - 1, 0, 4096, 4095])
    assert numbers(zeros.is_zero()).tolist() == [True, False, False, True, False, False]
    assert integers(zeros * 0) == [0] * 6
    assert integers(sum([zeros, zeros], Whole.of(0))) == [2 * x for x in integers(zeros)]
    assert bool(numbers(Whole.of(2**70 - 1).at_most(Whole.of(2**70))))
    assert not bool(numbers(Whole.of(2**70).at_most(Whole.of(2**70 - 1))))


def test_floats_would_call_them_equal() -> None:
    close = 2**27 - 1
    left, right = whole([close] * 6) * whole([close] * 6), whole([close] * 6) * close + 1
    assert not numbers(right.at_most(left)).any()
    values = [numbers(number.to_float("float32")) for number in (left, right)]
    assert (values[0] == values[1]).all()
