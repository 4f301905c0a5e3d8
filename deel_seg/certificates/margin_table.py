"""Pixels counted by the size of their margin: what the knapsacks read instead of a sorted list.

Sorting a million costs takes as long as fifty passes over them. But a float32 margin is ordered
like its bit pattern, so its upper bits name a bin, in the order of the margins, and its lower
bits an offset within the bin. Counting pixels by bin, and then the pixels of a single bin by
offset, gives every order statistic exactly, and sums of margins and of their squares follow from
sums of integers (`cell_sums`). Nothing depends on the order of the additions, hence on the device,
and permuting the pixels changes no bit of a certificate.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from deel_seg._backend import accumulation_dtype, float_bits, segment_sum, taken
from deel_seg.certificates.cell_sums import cell_powers, cell_sums
from deel_seg.certificates.rounding import LARGEST, SMALLEST
from deel_seg.certificates.running_totals import ROW

Tensor = Any

OFFSET_BITS = 14
NUM_OFFSETS = 2**OFFSET_BITS

_FIRST = int(np.float32(SMALLEST).view(np.int32)) >> OFFSET_BITS
FIRST_UPPER = _FIRST - 1  # What stands for the upper bits in bin 0.
_LAST = int(np.float32(LARGEST).view(np.int32)) >> OFFSET_BITS

# Bin 0 holds the margins of zero, the others `2^-9` of an octave each; the last ones are spare.
NUM_BINS = -(-(_LAST - _FIRST + 2) // ROW) * ROW

_UPPER = np.arange(FIRST_UPPER, FIRST_UPPER + NUM_BINS, dtype=np.int32) << OFFSET_BITS
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
    bins, _ = digits(margins)
    first = num_kinds * ops.arange(shape[0], dtype="int32")[:, None]
    tables = first if kinds is None else first + kinds
    _check_slots(margins.shape[0], num_kinds, NUM_BINS)
    segments = ops.where(bins < 0, -1, bins + NUM_BINS * tables)
    num_segments = shape[0] * num_kinds * NUM_BINS
    counts, sums = (
        ops.reshape(part, shape)
        for part in cell_sums(margins, OFFSET_BITS, segments, num_segments, p)
    )
    wide = accumulation_dtype()
    edges, places = (ops.convert_to_tensor(x.astype(wide)) for x in (_EDGES, _PLACES))
    return MarginTable(counts, cell_powers(counts, sums, edges, places, p))


def refine(margins: Tensor, bins: Tensor) -> Tensor:
    """Counts by offset the pixels of one bin for every query.

    Args:
        margins: As in `tabulate`.
        bins: `(batch, queries)` int32, bin of each query.

    Returns:
        `(batch, queries, NUM_OFFSETS)`, int32.
    """
    batch, queries = ops.shape(bins)
    _check_slots(bins.shape[0], bins.shape[1], NUM_OFFSETS)
    pixel_bins, offsets = digits(margins)
    if bins.shape[1] == 1:
        pixel_slots = ops.where(ops.equal(pixel_bins, bins), 0, -1)
    else:
        # Queries for the same bin share a slot.
        numbers = ops.broadcast_to(ops.arange(queries, dtype="int32"), (batch, queries))
        of_bin = NUM_BINS * ops.arange(batch, dtype="int32")[:, None] + bins
        table = ops.full((batch * NUM_BINS,), -1, dtype="int32")
        table = ops.scatter_update(table, ops.reshape(of_bin, (-1, 1)), ops.reshape(numbers, (-1,)))
        table = ops.reshape(table, (batch, NUM_BINS))
        slots = taken(table, bins)
        found = taken(table, ops.maximum(pixel_bins, 0))
        pixel_slots = ops.where(pixel_bins < 0, -1, found)
    slot_offset = queries * ops.arange(batch, dtype="int32")[:, None]
    segments = ops.where(pixel_slots < 0, -1, (slot_offset + pixel_slots) * NUM_OFFSETS + offsets)
    ones = ops.ones_like(offsets)
    counts = segment_sum(
        ops.reshape(ones, (-1,)), ops.reshape(segments, (-1,)), batch * queries * NUM_OFFSETS
    )
    counts = ops.reshape(counts, (batch, queries, NUM_OFFSETS))
    return counts if bins.shape[1] == 1 else taken(counts, slots)


def _check_slots(*numbers: int | None) -> None:
    # Beyond int32 slots would be negative, and what is counted there as good as not there.
    if None not in numbers and math.prod(numbers) >= 2**31:  # type: ignore[arg-type]
        raise ValueError(
            "These are too many images, times budgets or classes, for one call: certify fewer at a "
            f"time. Received: images={numbers[0]}, of each={numbers[1]}"
        )


def bin_of(margins: Tensor) -> Tensor:
    """Bin of float32 margins that count."""
    return ops.maximum(ops.right_shift(float_bits(margins), OFFSET_BITS) - FIRST_UPPER, 0)


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


def digits(margins: Tensor) -> tuple[Tensor, Tensor]:
    """Bin and offset of every margin; bin -1 where a pixel does not count."""
    offsets = ops.bitwise_and(float_bits(margins), NUM_OFFSETS - 1)
    return ops.where(margins < 0, -1, bin_of(margins)), offsets
