"""Pixels counted by the size of their margin: what the knapsacks read instead of a sorted list.

Sorting a million costs takes as long as fifty passes over them. But a float32 margin is ordered
like its bit pattern, so its upper bits name a bin, in the order of the margins, and its lower
bits an offset within the bin. Counting pixels by bin, and then the pixels of a single bin by
offset, gives every order statistic exactly, and sums of margins too: a margin is
`edge + offset * place`, so that the sum over a bin follows from its count and its sum of offsets.
Both are integers. Nothing depends on the order of the additions, hence on the device, and
permuting the pixels changes no bit of a certificate.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from keras import ops

from deel_seg._backend import accumulation_dtype, float_bits, segment_sum
from deel_seg.certificates.rounding import LARGEST, SMALLEST, count_dtype, lowered
from deel_seg.certificates.running_totals import ROW

Tensor = Any

OFFSET_BITS = 14
NUM_OFFSETS = 2**OFFSET_BITS

_FIRST = int(np.float32(SMALLEST).view(np.int32)) >> OFFSET_BITS
_LAST = int(np.float32(LARGEST).view(np.int32)) >> OFFSET_BITS

# Bin 0 holds the margins of zero, the others `2^-9` of an octave each; the last ones are spare.
NUM_BINS = -(-(_LAST - _FIRST + 2) // ROW) * ROW

_UPPER = np.arange(_FIRST - 1, _FIRST - 1 + NUM_BINS, dtype=np.int32) << OFFSET_BITS
_UPPER[0] = 0
_EDGES = _UPPER.view(np.float32).astype(np.float64)
_PLACES = np.spacing(_UPPER.view(np.float32)).astype(np.float64)
_PLACES[0] = 0.0


class MarginTable(NamedTuple):
    """Pixels of each bin; see `tabulate`."""

    counts: Tensor  # (batch, kinds, NUM_BINS), int32
    powers: Tensor  # the same, accumulation dtype: lower bounds of sums of m^p


def tabulate(
    margins: Tensor, p: float, kinds: Tensor | None = None, num_kinds: int = 1
) -> MarginTable:
    """Counts the pixels of each bin and lower-bounds their sum of p-th powers.

    Args:
        margins: `(batch, pixels)` float32: 0, or between `SMALLEST` and `LARGEST`; negative
            where a pixel does not count. Fewer than 2^27 pixels.
        p: Norm order; 1 or 2. For any other the powers are not wanted, and hold the counts.
        kinds: `(batch, pixels)` int32 below `num_kinds`: which table a pixel goes to.
        num_kinds: Number of tables.
    """
    shape = (ops.shape(margins)[0], num_kinds, NUM_BINS)
    bins, offsets = _digits(margins)
    first = num_kinds * ops.arange(shape[0], dtype="int32")[:, None]
    tables = first if kinds is None else first + kinds
    segments = ops.where(bins < 0, -1, bins + NUM_BINS * tables)
    counts, offset_sums = (
        ops.reshape(sums, shape)
        for sums in _sums_by_segment(
            offsets, segments, shape[0] * num_kinds * NUM_BINS, margins.shape[1]
        )
    )
    return MarginTable(counts, _power_sums(counts, offset_sums, p))


def refine(margins: Tensor, bins: Tensor) -> Tensor:
    """Counts by offset the pixels of one bin for every query.

    Args:
        margins: As in `tabulate`.
        bins: `(batch, queries)` int32, bin of each query.

    Returns:
        `(batch, queries, NUM_OFFSETS)`, int32.
    """
    batch, queries = ops.shape(bins)
    pixel_bins, offsets = _digits(margins)
    if bins.shape[1] == 1:
        pixel_slots = ops.where(ops.equal(pixel_bins, bins), 0, -1)
    else:
        # Queries for the same bin share a slot.
        numbers = ops.broadcast_to(ops.arange(queries, dtype="int32"), (batch, queries))
        of_bin = NUM_BINS * ops.arange(batch, dtype="int32")[:, None] + bins
        table = ops.full((batch * NUM_BINS,), -1, dtype="int32")
        table = ops.scatter_update(table, ops.reshape(of_bin, (-1, 1)), ops.reshape(numbers, (-1,)))
        table = ops.reshape(table, (batch, NUM_BINS))
        slots = ops.take_along_axis(table, bins, axis=1)
        found = ops.take_along_axis(table, ops.maximum(pixel_bins, 0), axis=1)
        pixel_slots = ops.where(pixel_bins < 0, -1, found)
    slot_offset = queries * ops.arange(batch, dtype="int32")[:, None]
    segments = ops.where(pixel_slots < 0, -1, (slot_offset + pixel_slots) * NUM_OFFSETS + offsets)
    ones = ops.ones_like(offsets)
    counts = segment_sum(
        ops.reshape(ones, (-1,)), ops.reshape(segments, (-1,)), batch * queries * NUM_OFFSETS
    )
    counts = ops.reshape(counts, (batch, queries, NUM_OFFSETS))
    return counts if bins.shape[1] == 1 else ops.take_along_axis(counts, slots[..., None], axis=1)


def bin_of(margins: Tensor) -> Tensor:
    """Bin of float32 margins that count."""
    return ops.maximum(ops.right_shift(float_bits(margins), OFFSET_BITS) - (_FIRST - 1), 0)


def bin_edges(merged: int = 1) -> tuple[Tensor, Tensor]:
    """Lower edge of every `merged`-th bin and of the next of these, accumulation dtype."""
    edges = _EDGES.astype(accumulation_dtype())[::merged]
    upper = np.append(edges[1:], edges[-1] * 2)
    return ops.convert_to_tensor(edges), ops.convert_to_tensor(upper)


def margins_of_bins(bins: Tensor) -> Tensor:
    """All margins that fall into each of the bins, `(..., NUM_OFFSETS)` in increasing order."""
    wide = accumulation_dtype()
    edges = ops.take(ops.convert_to_tensor(_EDGES.astype(wide)), bins)
    places = ops.take(ops.convert_to_tensor(_PLACES.astype(wide)), bins)
    return edges[..., None] + places[..., None] * ops.arange(NUM_OFFSETS, dtype=wide)


def _digits(margins: Tensor) -> tuple[Tensor, Tensor]:
    """Bin and offset of every margin; bin -1 where a pixel does not count."""
    offsets = ops.bitwise_and(float_bits(margins), NUM_OFFSETS - 1)
    return ops.where(margins < 0, -1, bin_of(margins)), offsets


def _sums_by_segment(
    offsets: Tensor, segments: Tensor, num_segments: Any, pixels: int | None
) -> tuple[Tensor, Tensor]:
    """Counts, and sums of offsets rounded down, of every segment.

    Where the sums of so many offsets would not fit, their last bits are dropped.
    """
    count_bits = 27 if pixels is None else pixels.bit_length()
    offsets, segments = ops.reshape(offsets, (-1,)), ops.reshape(segments, (-1,))
    if count_dtype() == "int64":
        # One pass for both: the count above the sum, in one integer.
        dropped = max(0, 2 * count_bits + OFFSET_BITS - 63)
        sum_bits = count_bits + OFFSET_BITS - dropped
        one_and_offset = ops.cast(ops.right_shift(offsets, dropped), "int64") + 2**sum_bits
        packed = segment_sum(one_and_offset, segments, num_segments)
        # Fewer than 2^27 pixels: narrow integers are added several at a time.
        counts = ops.cast(ops.right_shift(packed, sum_bits), "int32")
        sums = ops.bitwise_and(packed, 2**sum_bits - 1)
    else:
        dropped = max(0, count_bits + OFFSET_BITS - 31)
        counts = segment_sum(ops.ones_like(offsets), segments, num_segments)
        sums = segment_sum(ops.right_shift(offsets, dropped), segments, num_segments)
    return counts, ops.cast(sums, accumulation_dtype()) * 2.0**dropped


def _power_sums(counts: Tensor, offset_sums: Tensor, p: float) -> Tensor:
    r"""Lower-bounds the sums of $m^p$ of every bin.

    For p = 2 by Cauchy-Schwarz, $\sum m^2 \ge (\sum m)^2 / n$, which falls short by the variance
    within a bin: a factor of 2^-20 at most, as a bin is 2^-9 wide.
    """
    wide = accumulation_dtype()
    number = ops.cast(counts, wide)
    if p not in (1, 2):
        return number
    edges, places = (ops.convert_to_tensor(x.astype(wide)) for x in (_EDGES, _PLACES))
    sums = lowered(number * edges + offset_sums * places, 8)
    return sums if p == 1 else lowered(sums * (sums / ops.maximum(number, 1.0)), 8)
