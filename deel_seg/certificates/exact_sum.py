"""Sums that come out the same in any order."""

from __future__ import annotations

from typing import Any

from keras import ops

from deel_seg._backend import accumulation_dtype
from deel_seg.certificates.rounding import unit_roundoff

Tensor = Any

_BITS = 16
_BASE = 2**_BITS


def to_limbs(values: Tensor) -> Tensor:
    """Rounds down to multiples of 2^-16 and writes them in three int32 limbs of base 2^16.

    Integers add up to the same whatever the order, and merge by addition; floats do not. An
    int32 would overflow after a few thousand images, and JAX has no wider integer.

    Args:
        values: `(...)`, accumulation dtype, between -2^30 and 2^30.

    Returns:
        `(3, ...)` int32: the upper limb may be negative, the others lie in [0, 2^16).
    """
    whole = ops.floor(values)
    fraction = ops.cast(ops.floor((values - whole) * _BASE), "int32")
    whole = ops.cast(whole, "int32")
    upper = ops.right_shift(whole, _BITS)
    return ops.stack([upper, whole - upper * _BASE, ops.minimum(fraction, _BASE - 1)])


def carried(limbs: Tensor) -> Tensor:
    """Brings limbs that were added up back into their range; the number stays the same."""
    upper, middle, lower = limbs[0], limbs[1], limbs[2]
    middle = middle + ops.right_shift(lower, _BITS)
    upper = upper + ops.right_shift(middle, _BITS)
    kept = _BASE - 1
    return ops.stack([upper, ops.bitwise_and(middle, kept), ops.bitwise_and(lower, kept)])


def from_limbs_below(limbs: Tensor) -> Tensor:
    """Lower bounds of the numbers, in the accumulation dtype."""
    wide = accumulation_dtype()
    upper, middle, lower = (ops.cast(limb, wide) for limb in (limbs[0], limbs[1], limbs[2]))
    value = upper * float(_BASE) + middle + lower * (1.0 / _BASE)
    size = ops.abs(upper) * float(_BASE) + middle + 1.0
    return value - size * (4 * unit_roundoff())
