"""The unit-profit knapsack: most pixels lost within a budget, least budget to lose n pixels."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from deel_seg.certificates.margin_table import (
    NUM_BINS,
    NUM_OFFSETS,
    MarginTable,
    margins_of_bins,
    refine,
    running_sums,
    tabulate,
)
from deel_seg.certificates.rounding import count_dtype, lowered, raised

Tensor = Any


def most_pixels_lost(margins: Tensor, capacities: Tensor, p: float) -> Tensor:
    """Upper-bounds how many pixels can be lost for each of the capacities.

    All lower bounds of totals that the true number of pixels needs fit its capacity, so counting
    the totals that fit never stops short of it, whether or not rounding keeps them in order.

    Args:
        margins: `(batch, pixels)`, see `tabulate`.
        capacities: `(queries,)`, upper bounds of the sum of $m^p$, or for `p = inf` of the
            largest margin; `inf` pays for every pixel.
        p: Norm order.

    Returns:
        `(batch, queries)`, integer.
    """
    if p == math.inf:
        wide = ops.cast(margins, capacities.dtype)[:, None]
        fits = ops.logical_and(wide >= 0, wide <= capacities[:, None])
        return ops.sum(ops.cast(fits, count_dtype()), axis=-1)
    capacities = capacities[None, :]
    table = _table(margins, p)
    totals = running_sums(table.powers)
    bins = ops.sum(ops.cast(totals[:, None] <= capacities[..., None], "int32"), axis=-1)
    everything, bins = ops.equal(bins, NUM_BINS), ops.minimum(bins, NUM_BINS - 1)
    before, total_before = _before(table, totals, bins)
    # Within its bin every query sees single margins.
    counts = refine(margins, bins)
    powers = _powers(margins_of_bins(bins), p)
    totals_within = _totals_within(total_before, counts, powers)
    fits = totals_within <= capacities[..., None]
    whole = ops.sum(ops.where(fits, counts, 0), axis=-1)
    # Of the pixels at the first margin that do not all fit, some still do.
    index = ops.minimum(ops.sum(ops.cast(fits, "int32"), axis=-1), NUM_OFFSETS - 1)[..., None]
    last = ops.take_along_axis(totals_within, ops.maximum(index - 1, 0), axis=-1)[..., 0]
    left = capacities - ops.where(index[..., 0] > 0, last, total_before)
    power = ops.take_along_axis(powers, index, axis=-1)[..., 0]
    some = raised(ops.maximum(raised(left, 4), 0.0) / power, 12)
    part = ops.minimum(
        ops.cast(ops.minimum(some, 2.0**27), "int32"),
        ops.take_along_axis(counts, index, axis=-1)[..., 0],
    )
    lost = before + ops.cast(whole + part, count_dtype())
    return ops.where(everything, ops.sum(table.counts, axis=-1, keepdims=True), lost)


def least_total(margins: Tensor, pixels: Tensor, p: float) -> Tensor:
    """Lower-bounds the sum of $m^p$ (for `p = inf`: the largest margin) of losing `pixels`.

    Args:
        margins: `(batch, pixels)`, see `tabulate`.
        pixels: `(batch, queries)`, integer; at most as many as count.
        p: Norm order.

    Returns:
        `(batch, queries)`, accumulation dtype; 0 for no pixel.
    """
    table, pixels = _table(margins, p), ops.cast(pixels, count_dtype())
    reached = ops.cumsum(table.counts, axis=-1)
    bins = ops.sum(ops.cast(reached[:, None] < pixels[..., None], "int32"), axis=-1)
    bins = ops.minimum(bins, NUM_BINS - 1)
    before, total_before = _before(table, running_sums(table.powers), bins)
    counts, values = refine(margins, bins), margins_of_bins(bins)
    missing = ops.cast(pixels - before, "int32")[..., None]
    taken = ops.clip(missing - (ops.cumsum(counts, axis=-1) - counts), 0, counts)
    if p == math.inf:
        total = ops.max(ops.where(taken > 0, values, 0.0), axis=-1)
    else:
        total = _totals_within(total_before, taken, _powers(values, p))[..., -1]
    return ops.where(pixels > 0, total, ops.zeros_like(total))


def _totals_within(total_before: Tensor, counts: Tensor, powers: Tensor) -> Tensor:
    """Lower bounds of the totals up to each margin of a bin, that margin included."""
    within = running_sums(ops.cast(counts, powers.dtype) * powers)
    return lowered(total_before[..., None] + within, 4)


def _table(margins: Tensor, p: float) -> MarginTable:
    table = tabulate(margins, p)
    return MarginTable(table.counts[:, 0], table.powers[:, 0])


def _before(table: MarginTable, totals: Tensor, bins: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels, and lower bound of their sum of powers, in the bins below each of `bins`."""
    reached = ops.cumsum(table.counts, axis=-1)
    last = ops.maximum(bins - 1, 0)
    first = ops.equal(bins, 0)
    counts = ops.take_along_axis(reached, last, axis=-1)
    sums = ops.take_along_axis(totals, last, axis=-1)
    return ops.where(first, 0, counts), ops.where(first, 0.0, sums)


def _powers(values: Tensor, p: float) -> Tensor:
    """Lower bounds of p-th powers."""
    return values if p == 1 else lowered(values * values, 1)
