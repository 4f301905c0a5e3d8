"""The margins of all regions of an image, each region's in increasing order, and their sums."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from keras import ops

from deel_seg._backend import accumulation_dtype, bits_float, float_bits, segment_sum, taken
from deel_seg.certificates.rounding import count_dtype, lowered

Tensor = Any

# Roundings on the way of any pixel into a running total: its power, one addition for each doubling
# up to 2^27 pixels, and the shrinking itself, 29; the rest covers the products of their errors.
_ROUNDINGS = 32


class SortedRegions(NamedTuple):
    """Pixels sorted by region, named by its first pixel, and then by margin.

    Those that do not count come last, as if of a region `pixels`.
    """

    margins: Tensor  # (batch, pixels) float32
    roots: Tensor  # (batch, pixels) int32: region of each sorted pixel
    ranks: Tensor  # (batch, pixels) int32: its place among the pixels of the region, from 0
    sizes: Tensor  # (batch, pixels) int32: pixels of the region, at its root; 0 elsewhere
    starts: Tensor  # (batch, pixels) int32: where the region of a root begins in sorted order

    def running_totals(self, p: float) -> Tensor:
        """Lower bounds of the sum of $m^p$ of a region's pixels up to each one of them.

        Prefix sums of the whole image would have to be subtracted where a region begins, and the
        small ones would vanish in the rounding. So every pixel adds up its region alone, by
        doubling: after k rounds it holds the sum of the 2^k pixels up to it, and no path through
        the additions is longer than the number of rounds. For `p = inf` the largest margin is the
        last.

        Returns:
            `(batch, pixels)`, accumulation dtype.
        """
        wide = ops.cast(self.margins, accumulation_dtype())
        if p == math.inf:
            return wide
        largest = ops.max(self.ranks)

        def unfinished(distance: Tensor, sums: Tensor) -> Tensor:
            return distance <= largest

        def add(distance: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
            before = ops.where(self.ranks >= distance, ops.roll(sums, distance, axis=-1), 0.0)
            return 2 * distance, sums + before

        powers = wide * wide if p == 2 else wide
        one = ops.ones((), dtype="int32")
        return lowered_totals(ops.while_loop(unfinished, add, (one, powers))[1], p)

    def least_total(self, totals: Tensor, needed: Tensor) -> Tensor:
        """Lower-bounds the total of the cheapest `needed` pixels of each region, at its root.

        Args:
            totals: See `running_totals`.
            needed: `(batch, pixels)`, integer; at most as many as the region has.
        """
        needed = ops.cast(needed, "int32")
        place = ops.maximum(self.starts + needed - 1, 0)
        place = ops.minimum(place, ops.shape(place)[1] - 1)
        total = taken(totals, place)
        return ops.where(needed > 0, total, ops.zeros_like(total))

    def count(self, flags: Tensor) -> Tensor:
        """Counts the sorted pixels of each region that are flagged, at its root.

        Args:
            flags: `(batch, queries, pixels)`, bool.

        Returns:
            The same shape, int32; 0 where there is no root.
        """
        before = ops.cumsum(ops.cast(flags, "int32"), axis=-1)
        before = ops.pad(before, ((0, 0), (0, 0), (1, 0)))
        starts = ops.broadcast_to(self.starts[:, None], ops.shape(flags))
        first = taken(before, starts)
        return taken(before, starts + self.sizes[:, None]) - first


def lowered_totals(totals: Tensor, p: float) -> Tensor:
    """Sums that were added up by doubling, shrunk to lower bounds."""
    return totals if p == math.inf else lowered(totals, _ROUNDINGS)


def sort_regions(margins: Tensor, roots: Tensor) -> SortedRegions:
    """Sorts the pixels that count by region and margin.

    Args:
        margins: `(batch, pixels)` float32; negative where a pixel does not count.
        roots: `(batch, pixels)` int32, see `region_roots`.
    """
    batch, pixels = ops.shape(margins)
    counts = margins >= 0
    first = pixels * ops.arange(batch, dtype="int32")[:, None]
    segments = ops.where(counts, roots + first, -1)
    ones = ops.ones_like(roots)
    sizes = segment_sum(ops.reshape(ones, (-1,)), ops.reshape(segments, (-1,)), batch * pixels)
    sizes = ops.reshape(sizes, (batch, pixels))
    starts = ops.cumsum(sizes, axis=-1) - sizes
    margins, roots = _sorted(ops.where(counts, margins, 0.0), ops.where(counts, roots, pixels))
    start = taken(starts, ops.minimum(roots, pixels - 1))
    ranks = ops.where(roots < pixels, ops.arange(pixels, dtype="int32") - start, 0)
    return SortedRegions(margins, roots, ranks, sizes, starts)


def _sorted(margins: Tensor, roots: Tensor) -> tuple[Tensor, Tensor]:
    """Sorts by root first and margin second; floats `>= 0` are ordered like their bits."""
    bits = float_bits(margins)
    if count_dtype() == "int64":
        keys = ops.left_shift(ops.cast(roots, "int64"), 31) + ops.cast(bits, "int64")
        keys = ops.sort(keys, axis=-1)
        bits = ops.cast(ops.bitwise_and(keys, 2**31 - 1), "int32")
        return bits_float(bits), ops.cast(ops.right_shift(keys, 31), "int32")
    # Without wide integers by two stable sorts.
    order = ops.argsort(bits, axis=-1)
    second = ops.argsort(taken(roots, order), axis=-1)
    order = taken(order, second)
    return taken(margins, order), taken(roots, order)
