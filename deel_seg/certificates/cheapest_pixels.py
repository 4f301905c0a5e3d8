"""Which pixels a worst case takes: so many of the cheapest, in a fixed order among equals."""

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
from deel_seg.certificates.running_totals import locate

Tensor = Any


def cheapest_pixels(margins: Tensor, number: Tensor) -> Tensor:
    """Marks the `number` pixels of the smallest margins, those of lower index first among equals.

    Args:
        margins: `(batch, pixels)`, see `tabulate`; negative where a pixel does not count.
        number: `(batch, queries)`, integer; at most as many as count.

    Returns:
        `(batch, queries, pixels)`, bool.
    """
    number = ops.cast(number, "int32")
    last = _nth_margin(margins, number)[..., None]
    margins = margins[:, None]
    below = ops.logical_and(margins >= 0, margins < last)
    number_below = ops.sum(ops.cast(below, "int32"), axis=-1)
    missing = (number - number_below)[..., None]
    equal = ops.equal(margins, last)
    places = ops.cumsum(ops.cast(equal, "int32"), axis=-1)
    return ops.logical_or(below, ops.logical_and(equal, places <= missing))


def _nth_margin(margins: Tensor, number: Tensor) -> Tensor:
    """The largest of the `number` smallest margins, `(batch, queries)` float32; 0 of none."""
    counts = tabulate(margins, math.inf).counts
    bins, reached = locate(counts, lambda totals: totals < number[..., None])
    bins = ops.minimum(bins, NUM_BINS - 1)
    missing = (number - reached)[..., None]
    index, _ = locate(refine(margins, bins), lambda totals: totals < missing)
    index = ops.minimum(index, NUM_OFFSETS - 1)[..., None]
    # All of them are float32 numbers, so that the cast is exact.
    values = taken(margins_of_bins(bins), index)[..., 0]
    return ops.cast(values, "float32")
