"""Orders by digits: those of a sort that compares and keeps equal values in their order."""

from __future__ import annotations

import numpy as np
import pytest

from deel_seg.certificates.order_on_host import bits_of, order_of


@pytest.mark.parametrize("largest", [0, 1, 2**16 - 1, 2**16, 2**31 - 1])
def test_equal_values_stay_in_their_order(largest: int) -> None:
    generator = np.random.default_rng(0)
    values = generator.integers(0, largest, 500, endpoint=True).astype("int32")
    values[::7] = values[0]
    np.testing.assert_array_equal(order_of(values), np.argsort(values, kind="stable"))
    before = generator.permutation(500)[:300]
    expected = before[np.argsort(values[before], kind="stable")]
    np.testing.assert_array_equal(order_of(values, before), expected)


def test_bits_are_ordered_like_floats() -> None:
    values = np.array(
        [0.0, -0.0, 1e-45, 1e-38, 0.1, 1.0, 1.0000001, 3e38, np.inf, np.nan], "float32"
    )
    bits = bits_of(values)
    assert bits[0] == bits[1] == 0
    assert (np.diff(bits.astype("int64"))[1:] > 0).all()


def test_of_nothing() -> None:
    assert order_of(np.empty(0, "int32")).shape == (0,)


def test_what_is_negative_is_not_taken_for_large() -> None:
    with pytest.raises(ValueError, match="`values` must not be negative"):
        order_of(bits_of(np.array([1.0, -1e-30], "float32")))
