"""Directed rounding and exact integer quotients: what keeps a certificate on the safe side.

What is assumed of the hardware, with `u` the unit roundoff of the accumulation dtype (2^-53, or
2^-24 under JAX without x64): sums, differences and products of normal numbers are within a
factor `1 +- u` of the exact value, quotients and square roots within `1 +- 4u`, and subnormal
numbers may be flushed to zero wherever they appear.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from deel_seg._backend import accumulation_dtype, bits_float, float_bits

Tensor = Any

# Margins below SMALLEST count as zero and margins above LARGEST as LARGEST; a budget above
# LARGEST is taken to flip everything. All three err on the safe side, and between the two the
# squares of 2^27 margins and their sums neither underflow nor overflow, in float32 as in float64.
SMALLEST = 2.0**-48
LARGEST = 2.0**48

# Above every subnormal float32: added to a bound, it covers a value that was flushed to zero.
TINY = 2.0**-125


def unit_roundoff() -> float:
    """Largest relative error of one rounding to nearest in the accumulation dtype."""
    return 2.0**-53 if accumulation_dtype() == "float64" else 2.0**-24


def lowered(values: Tensor, roundings: Any) -> Tensor:
    """Shrinks non-negative `values` by `roundings` units, so that they bound from below."""
    return values * (1.0 - roundings * unit_roundoff())


def raised(values: Tensor, roundings: int) -> Tensor:
    """Grows non-negative `values` by `roundings` units, so that they bound from above."""
    return values * (1.0 + roundings * unit_roundoff())


def float32_below(values: Tensor, steps: int) -> Tensor:
    """Float32 numbers that stand `steps` places below positive float32 `values`."""
    return bits_float(float_bits(values) - steps)


def to_float32_below(values: Tensor) -> Tensor:
    """Casts non-negative `values` to float32 without ever rounding up; NaN stays NaN.

    Shrinking by 2^-23 outweighs the cast, which is off by 2^-24 at most. Past the range of
    float32 the result is 2^127, and 0 below its smallest normal number.
    """
    bounded = ops.minimum(values * (1.0 - 2.0**-23), 2.0**127)
    return ops.cast(ops.where(bounded < TINY, ops.zeros_like(bounded), bounded), "float32")


def count_dtype() -> str:
    """Integer dtype for pixel counts, as wide as the accumulation dtype."""
    return "int64" if accumulation_dtype() == "float64" else "int32"


def exact_floor(count: Tensor, numerator: Any, denominator: Any) -> Tensor:
    """Computes `floor(count * numerator / denominator)` exactly, all integers, nothing negative.

    A floating-point estimate of the quotient is corrected by its remainder. In int32 the two
    products of the remainder may wrap around, but their difference, which is small, does not:
    an estimate within `8u` of a quotient below 2^27 is at most 65 off, so the remainder fits as
    long as `denominator < 2^24`, or `denominator < 2^27` where the quotient is below 2^24.
    """
    wide, whole = accumulation_dtype(), count_dtype()
    count, numerator, denominator = (
        ops.cast(ops.convert_to_tensor(value), whole) for value in (count, numerator, denominator)
    )
    ratio = ops.cast(numerator, wide) / ops.cast(denominator, wide)
    estimate = ops.cast(ops.cast(count, wide) * ratio, whole)
    remainder = count * numerator - estimate * denominator
    return estimate + ops.floor_divide(remainder, denominator)


def ratio_below(count: Tensor, total: Tensor) -> Tensor:
    """Largest multiple of 2^-24 not above `count / total`, as float32; 0 where `total` is 0.

    `count <= total < 2^27`. Multiples of 2^-24 up to 1 are exact in float32, and so is `1 - x`.
    """
    steps = exact_floor(count, 2**24, ops.maximum(total, 1))
    return ops.cast(steps, "float32") * 2.0**-24
