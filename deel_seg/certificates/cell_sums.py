r"""How many margins fall into each cell of a table, and the sum of their powers.

The cells are of a power of two of neighbouring float32 numbers. With $E$ and $o$ integers a margin
is `place * (E + o)`, where `place * E` is the lower edge of its cell and `o` its lowest bits, so
that sums over a cell follow from sums of integers: of $o$, and for squares of
$(E + o)^2 - E^2$. Integers add up to the same in whatever order.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from deel_seg._backend import accumulation_dtype, float_bits, segment_sum
from deel_seg.certificates.rounding import count_dtype, lowered

Tensor = Any

_MANTISSA_BITS = 23
_MANTISSA = 2**_MANTISSA_BITS - 1
_COUNT_BITS = 27  # An image has fewer than 2^27 pixels.
# Of a square of at least 2^46 so many bits may go unseen: less than float32 can tell.
_MAY_DROP = 20


def cell_sums(
    margins: Tensor, low_bits: Any, segments: Tensor, num_segments: Any, p: float
) -> tuple[Tensor, Tensor]:
    """Counts the margins of every cell and adds up what their powers exceed the lower edge's by.

    Args:
        margins: `(batch, pixels)` float32: 0, or normal numbers `> 0` where they count.
        low_bits: The bits of a margin below those that name its cell, at most 14: a number, or
            int32 like the margins.
        segments: `(batch, pixels)` int32: cell of each; negative where a pixel does not count.
        num_segments: Number of cells.
        p: Norm order. Squares for p = 2, otherwise the margins themselves.

    Returns:
        `(num_segments,)` int32 and accumulation dtype, for `cell_powers`: the latter rounded down,
        in units of the last place, or its square.
    """
    pixels = margins.shape[1]
    count_bits = _COUNT_BITS if pixels is None else pixels.bit_length()
    bits = float_bits(margins)
    above = ops.bitwise_and(bits, ops.left_shift(1, low_bits) - 1)
    above_bits, whole = 14, count_dtype()
    if p == 2 and whole == "int64":
        # o (2E + o), with M = E + o the mantissa
        mantissa = ops.bitwise_or(ops.bitwise_and(bits, _MANTISSA), _MANTISSA + 1)
        above = ops.cast(above, whole) * ops.cast(2 * mantissa - above, whole)
        above_bits = 14 + 25
    flat, ones = ops.reshape(segments, (-1,)), ops.ones_like(segments, dtype="int32")
    spare = 63 - 2 * count_bits - above_bits
    if whole == "int64" and spare >= -_MAY_DROP:
        # One pass for both: the count above the sum, in one integer.
        dropped = max(0, -spare)
        sum_bits = count_bits + above_bits - dropped
        one_and_above = ops.right_shift(ops.cast(above, whole), dropped) + 2**sum_bits
        packed = segment_sum(ops.reshape(one_and_above, (-1,)), flat, num_segments)
        # Narrow integers are added several at a time.
        counts = ops.cast(ops.right_shift(packed, sum_bits), "int32")
        sums = ops.bitwise_and(packed, 2**sum_bits - 1)
    else:
        dropped = max(0, count_bits + above_bits - (63 if whole == "int64" else 31))
        counts = segment_sum(ops.reshape(ones, (-1,)), flat, num_segments)
        above = ops.reshape(ops.right_shift(above, dropped), (-1,))
        sums = segment_sum(ops.cast(above, whole), flat, num_segments)
    return counts, ops.cast(sums, accumulation_dtype()) * 2.0**dropped


def cell_powers(counts: Tensor, sums: Tensor, edges: Tensor, places: Tensor, p: float) -> Tensor:
    r"""Lower-bounds the sum of $m^p$ over every cell from its `cell_sums`.

    Exact but for bits dropped, 2^-26 of the sum up to 2^21 pixels and less than that beyond 2^22.
    Without 64-bit integers only the sum of margins is known; then by Cauchy-Schwarz
    $\sum m^2 \ge (\sum m)^2 / n$, which falls short by the variance within a cell: a factor of
    2^-20 at most where it is 2^-9 wide.

    Args:
        counts: Pixels of each cell, integer.
        sums: Of `cell_sums`, of the same shape.
        edges: Lower edge of each cell, accumulation dtype.
        places: Step from a float32 number to the next in each cell; 0 where all margins are zero.
        p: Norm order; 1 or 2. For any other the powers are not wanted, and are the counts.
    """
    number = ops.cast(counts, accumulation_dtype())
    if p not in (1, 2):
        return number
    if p == 2 and count_dtype() == "int64":
        return lowered(number * (edges * edges) + sums * (places * places), 8)
    totals = lowered(number * edges + sums * places, 8)
    return totals if p == 1 else lowered(totals * (totals / ops.maximum(number, 1.0)), 8)
