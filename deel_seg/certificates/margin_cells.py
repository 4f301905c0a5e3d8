"""A second look at the margins: some bins of a table divided into finer cells, all others whole.

The levels at which a knapsack is cut are known to a bin or two once all pixels are counted by bin.
Around them the bins are divided into the more cells the more pixels they hold, down to single
float32 numbers where there is room, and the pixels are counted once more. The cells of an image are
in the order of their margins: their running totals are those of the sorted pixels, at the ends of
all cells, and in between to the width of a cell.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from deel_seg._backend import accumulation_dtype, bits_float, float_bits, segment_sum, taken
from deel_seg.certificates.cell_sums import cell_powers, cell_sums
from deel_seg.certificates.margin_table import (
    FIRST_UPPER,
    NUM_BINS,
    OFFSET_BITS,
    bin_of,
    digits,
)

Tensor = Any

_SHIFT_BITS = 4  # of a number up to 14
_MOST_LENGTHS = 28  # of counts below 2^27, in bits


class MarginCells(NamedTuple):
    """Pixels of each cell; all but `plan` are `(batch, kinds, cells)`."""

    plan: Tensor  # (batch, kinds, NUM_BINS) int32: first cell of the bin, and bits within a cell
    counts: Tensor  # int32
    powers: Tensor  # accumulation dtype: lower bounds of the sums of m^p
    lower: Tensor  # accumulation dtype: lower edges, margins; the first is 0
    upper: Tensor


def plan_cells(counts: Tensor, wanted: Tensor, num_cells: int) -> Tensor:
    """Divides the wanted bins, in proportion to their pixels, into `num_cells` in all at most.

    Neighbouring bins without any pixel share a cell, of which only the last one's edges are known.

    Args:
        counts: `(batch, kinds, NUM_BINS)` int32, of `tabulate`.
        wanted: The same, bool.
        num_cells: For a kind of an image, at least `NUM_BINS`.

    Returns:
        `MarginCells.plan`.
    """
    # One pixel, or bin 0, where all margins are zero, needs no division.
    divided = ops.logical_and(wanted, counts > 1)
    divided = ops.logical_and(divided, ops.arange(NUM_BINS, dtype="int32") > 0)
    length = ops.right_shift(float_bits(ops.cast(counts, "float32")), 23) - 126  # in bits
    batch, kinds = ops.shape(counts)[0], counts.shape[1]
    tables = _MOST_LENGTHS * ops.reshape(
        ops.arange(batch * kinds, dtype="int32"), (batch, kinds, 1)
    )
    segments = ops.reshape(ops.where(divided, tables + length, -1), (-1,))
    number = segment_sum(ops.ones_like(segments), segments, batch * kinds * _MOST_LENGTHS)
    number = ops.reshape(number, (batch, kinds, 1, _MOST_LENGTHS))

    # From every single number down to no division at all, by factors of two.
    fewer = ops.arange(OFFSET_BITS + _MOST_LENGTHS, dtype="int32")
    lengths = ops.arange(_MOST_LENGTHS, dtype="int32")
    more = ops.left_shift(1, _division(lengths - fewer[:, None])) - 1
    # As floats: the largest would not fit.
    needed = ops.sum(ops.cast(number, "float32") * ops.cast(more, "float32"), axis=-1)
    empty = ops.equal(counts, 0)
    before = ops.pad(empty[..., :-1], ((0, 0), (0, 0), (1, 0)))
    own = ops.cast(ops.logical_not(ops.logical_and(empty, before)), "int32")
    room = ops.cast(num_cells - ops.sum(own, axis=-1, keepdims=True), "float32")
    too_many = ops.sum(ops.cast(needed > room, "int32"), axis=-1, keepdims=True)
    chosen = ops.where(divided, _division(length - too_many), 0)
    sizes = own * ops.left_shift(1, chosen)
    first = ops.cumsum(sizes, axis=-1) - ops.maximum(sizes, 1)
    return ops.left_shift(first, _SHIFT_BITS) + OFFSET_BITS - chosen


def _division(length: Tensor) -> Tensor:
    return ops.clip(length + OFFSET_BITS, 0, OFFSET_BITS)


def count_cells(
    margins: Tensor, kinds: Tensor, plan: Tensor, num_cells: int, p: float
) -> MarginCells:
    """Counts the pixels of each cell and lower-bounds their sums of p-th powers.

    Args:
        margins: `(batch, pixels)`, as in `tabulate`.
        kinds: `(batch, pixels)` int32.
        plan: `(batch, kinds, NUM_BINS)`, of `plan_cells`.
        num_cells: As there.
        p: Norm order; 1 or 2.
    """
    batch, num_kinds = ops.shape(plan)[0], plan.shape[1]
    shape = (batch, num_kinds, num_cells)
    bins, offsets = digits(margins)
    tables = num_kinds * ops.arange(batch, dtype="int32")[:, None] + kinds
    found = ops.take(ops.reshape(plan, (-1,)), ops.maximum(bins, 0) + NUM_BINS * tables)
    first, low_bits = _first(found), _low_bits(found)
    segments = tables * num_cells + first + ops.right_shift(offsets, low_bits)
    counts, sums = (
        ops.reshape(part, shape)
        for part in cell_sums(
            margins,
            low_bits,
            ops.where(bins < 0, -1, segments),
            batch * num_kinds * num_cells,
            p,
        )
    )
    lower_bits, upper_bits, is_zero = _edges(plan, num_cells)
    wide = accumulation_dtype()
    lower = ops.where(is_zero, 0.0, bits_float(lower_bits))
    places = ops.where(is_zero, 0.0, bits_float(_exponent(lower_bits) - (23 << 23)))
    lower, places, upper = (ops.cast(x, wide) for x in (lower, places, bits_float(upper_bits)))
    powers = cell_powers(counts, sums, lower, places, p)
    return MarginCells(plan, counts, powers, lower, upper)


def cell_of(plan: Tensor, margins: Tensor) -> Tensor:
    """Cell of float32 margins that count, `(batch, queries)`, by the plan of one kind.

    Args:
        plan: `(batch, NUM_BINS)`.
        margins: `(batch, queries)`.
    """
    found = taken(plan, bin_of(margins))
    offsets = ops.bitwise_and(float_bits(margins), 2**OFFSET_BITS - 1)
    return _first(found) + ops.right_shift(offsets, _low_bits(found))


def _edges(plan: Tensor, num_cells: int) -> tuple[Tensor, Tensor, Tensor]:
    """Bit patterns of the two edges of all cells, and whether they hold the margins of zero.

    The cells that are left over at the end hold nothing and lie beyond the last bin.
    """
    batch, kinds = ops.shape(plan)[0], plan.shape[1]
    starts = num_cells * ops.reshape(ops.arange(batch * kinds, dtype="int32"), (batch, kinds, 1))
    starts = ops.reshape(starts + _first(plan), (-1,))
    marks = segment_sum(ops.ones_like(starts), starts, batch * kinds * num_cells)
    bins = ops.cumsum(ops.reshape(marks, (batch, kinds, num_cells)), axis=-1) - 1
    found = taken(plan, bins)
    low_bits = _low_bits(found)
    inside = ops.arange(num_cells, dtype="int32") - _first(found)
    inside = ops.minimum(inside, ops.right_shift(2**OFFSET_BITS, low_bits))
    lower = ops.left_shift(FIRST_UPPER + bins, OFFSET_BITS) + ops.left_shift(inside, low_bits)
    return lower, lower + ops.left_shift(1, low_bits), ops.equal(bins, 0)


def _exponent(bits: Tensor) -> Tensor:
    return ops.bitwise_and(bits, 255 << 23)


def _first(plan: Tensor) -> Tensor:
    return ops.right_shift(plan, _SHIFT_BITS)


def _low_bits(plan: Tensor) -> Tensor:
    return ops.bitwise_and(plan, 2**_SHIFT_BITS - 1)
