r"""The frontier of attacks on one class: how many of its pixels are lost, how many others gained.

An attack turns $i$ true positives into false negatives and $j$ true negatives into false
positives, the cheapest of either first, so that it costs $A(i) + B(j)$, both running sums of
sorted costs (for `p = inf` the larger of the last two). A metric that gets worse either way is
worst, within a budget, at the largest $j$ that still fits beside some $i$; and the least budget
for a value is $A(i) + B(j)$ at the smallest $j$ that brings it beside some $i$.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from deel_seg._backend import accumulation_dtype, taken
from deel_seg.certificates.class_items import ClassItems
from deel_seg.certificates.confusion_counts import Counts
from deel_seg.certificates.inputs import MAX_PIXELS
from deel_seg.certificates.leading import leading
from deel_seg.certificates.rounding import lowered
from deel_seg.certificates.running_totals import running_sums

Tensor = Any


class Frontier(NamedTuple):
    """Costs of an image, as lower bounds of sums of $m^p$ (for `p = inf`: of the largest m)."""

    lost: Tensor  # (batch, pixels + 1), accumulation dtype: A(i); inf past the last one
    gained: Tensor  # (batch, pixels + 1): B(j), in increasing order
    positives: Tensor  # (batch, 1), int32: pixels of the class
    negatives: Tensor  # (batch, 1), int32: all others that count
    p: float

    def farthest(self, capacity: Tensor) -> Counts:
        """Confusion counts, `(batch, pixels + 1)`, of every i that fits and the largest j with it.

        Where i does not fit the counts are those of no attack.
        """
        fits = ops.logical_and(
            self._steps() <= self.positives, self._total(ops.zeros_like(self._steps())) <= capacity
        )
        gained = leading(
            lambda number: self._total(number) <= capacity,
            ops.broadcast_to(self.negatives, ops.shape(self.lost)),
            self._most(),
        )
        return self.counts(ops.where(fits, self._steps(), 0), ops.where(fits, gained, 0))

    def least_total(self, satisfied: Callable[[Counts], Tensor]) -> Tensor:
        """Least total after which the counts satisfy an objective, `(batch,)`; inf if none does."""
        steps = ops.minimum(self._steps(), self.positives)
        gained = leading(
            lambda number: ops.logical_not(satisfied(self.counts(steps, number - 1))),
            ops.broadcast_to(self.negatives + 1, ops.shape(self.lost)),
            self._most(),
        )
        reached = ops.logical_and(self._steps() <= self.positives, gained <= self.negatives)
        total = self._total(ops.minimum(gained, self.negatives))
        return ops.min(ops.where(reached, total, math.inf), axis=-1)

    def counts(self, lost: Tensor, gained: Tensor) -> Counts:
        """Confusion counts after an attack."""
        return Counts(self.positives - lost, gained, lost, self.negatives - gained)

    def _most(self) -> int:
        return self.lost.shape[1] or MAX_PIXELS

    def _steps(self) -> Tensor:
        """The numbers i, `(batch, pixels + 1)`."""
        return ops.broadcast_to(
            ops.arange(ops.shape(self.lost)[1], dtype="int32"), ops.shape(self.lost)
        )

    def _total(self, gained: Tensor) -> Tensor:
        """Lower bound of the total for every i and a number of gained pixels beside it."""
        other = taken(self.gained, gained)
        if self.p == math.inf:
            return ops.maximum(self.lost, other)
        return lowered(self.lost + other, 2)


def frontier(items: ClassItems, p: float) -> Frontier:
    """The frontier of every image."""
    positives = ops.cast(items.num_positives, "int32")[:, None]
    return Frontier(
        _sorted_totals(ops.where(items.is_negative > 0, -1.0, items.margins), p),
        _sorted_totals(ops.where(items.is_negative > 0, items.margins, -1.0), p),
        positives,
        ops.cast(items.num_kept, "int32")[:, None] - positives,
        p,
    )


def _sorted_totals(margins: Tensor, p: float) -> Tensor:
    """Totals of the n cheapest pixels for n = 0, 1, ..., `(batch, pixels + 1)`, increasing.

    Args:
        margins: `(batch, pixels)`, float32; negative where a pixel is none of these.
        p: Norm order.
    """
    # Sorted as float32, of which there is half as much to move.
    margins = ops.sort(ops.where(margins < 0, math.inf, margins), axis=-1)
    wide = ops.cast(margins, accumulation_dtype())
    if p == math.inf:
        return ops.pad(wide, ((0, 0), (1, 0)))
    totals = _increasing_sums(lowered(wide * wide, 1) if p == 2 else wide)
    return ops.pad(totals, ((0, 0), (1, 0)))


def _increasing_sums(powers: Tensor) -> Tensor:
    """Lower bounds of the running sums, in increasing order.

    Rounding may leave a bound below the one before it. The k-th smallest of them is a bound of
    the k-th sum too, as k of them lie below that. In float64 the order is left alone: it is off by
    less than radii are shrunk when they are cast to float32.
    """
    if accumulation_dtype() == "float32":
        return ops.sort(running_sums(powers), axis=-1)
    if powers.shape[-1] is not None:
        return running_sums(powers)
    return lowered(ops.cumsum(powers, axis=-1), 2 * MAX_PIXELS + 4)
