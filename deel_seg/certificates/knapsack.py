"""The unit-profit knapsack: most pixels lost within a budget, least budget to lose n pixels."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from deel_seg._backend import taken
from deel_seg.certificates.margin_table import (
    NUM_BINS,
    NUM_OFFSETS,
    margins_of_bins,
    refine,
    tabulate,
)
from deel_seg.certificates.rounding import count_dtype, lowered, raised
from deel_seg.certificates.running_totals import locate, total_before

Tensor = Any


def most_pixels_lost(margins: Tensor, capacities: Tensor, p: float) -> Tensor:
    """Upper-bounds how many pixels can be lost for each of the capacities.

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
    limits = capacities[None, :, None]
    table = tabulate(margins, p)
    bins, paid = locate(table.powers, lambda totals: totals <= limits)
    # Where every bin fits, this is the number of all pixels.
    lost = total_before(table.counts, bins)
    everything, bins = ops.equal(bins, NUM_BINS), ops.minimum(bins, NUM_BINS - 1)
    # Within its bin every query sees single margins.
    counts, powers = refine(margins, bins), _powers(margins_of_bins(bins), p)
    terms = ops.cast(counts, powers.dtype) * powers
    index, within = locate(terms, lambda totals: _plus(paid[..., None], totals) <= limits)
    within_bin = total_before(counts, index)
    # Of the pixels at the first margin that do not all fit, some still do.
    left = raised(ops.maximum(raised(capacities[None] - _plus(paid, within), 4), 0.0), 4)
    some = raised(left / _at(powers, index), 12)
    part = ops.minimum(ops.cast(ops.minimum(some, 2.0**27), "int32"), _at(counts, index))
    within_bin = within_bin + ops.where(index < NUM_OFFSETS, part, 0)
    return ops.cast(lost + ops.where(everything, 0, within_bin), count_dtype())


def least_total(margins: Tensor, pixels: Tensor, p: float) -> Tensor:
    """Lower-bounds the sum of $m^p$ (for `p = inf`: the largest margin) of losing `pixels`.

    Args:
        margins: `(batch, pixels)`, see `tabulate`.
        pixels: `(batch, queries)`, integer; at most as many as count.
        p: Norm order.

    Returns:
        `(batch, queries)`, accumulation dtype; 0 for no pixel.
    """
    table, pixels = tabulate(margins, p), ops.cast(pixels, "int32")
    bins, reached = locate(table.counts, lambda counts: counts < pixels[..., None])
    bins = ops.minimum(bins, NUM_BINS - 1)
    counts, values = refine(margins, bins), margins_of_bins(bins)
    missing = pixels - reached
    index, within = locate(counts, lambda counts: counts < missing[..., None])
    index = ops.minimum(index, NUM_OFFSETS - 1)
    if p == math.inf:
        total = _at(values, index)
    else:
        powers = _powers(values, p)
        whole = total_before(ops.cast(counts, powers.dtype) * powers, index)
        part = ops.cast(missing - within, powers.dtype) * _at(powers, index)
        total = _plus(_plus(total_before(table.powers, bins), whole), lowered(part, 2))
    return ops.where(pixels > 0, total, ops.zeros_like(total))


def _plus(a: Tensor, b: Tensor) -> Tensor:
    """Lower bound of the sum of two lower bounds."""
    return lowered(a + b, 4)


def _powers(values: Tensor, p: float) -> Tensor:
    """Lower bounds of p-th powers."""
    return values if p == 1 else lowered(values * values, 1)


def _at(values: Tensor, index: Tensor) -> Tensor:
    """Entries `(batch, queries)` of `(batch, queries, n)`, the last one past the end."""
    index = ops.minimum(index, NUM_OFFSETS - 1)[..., None]
    return taken(values, index)[..., 0]
