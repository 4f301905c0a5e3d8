"""Cost of a pixel becoming a given class: water-filling over all logits that stand in the way."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable
from typing import Any

from keras import ops

from deel_seg._backend import materialised
from deel_seg.certificates.class_fold import channel, fold_classes
from deel_seg.certificates.class_lanes import (
    IN_CACHE,
    LANES,
    additions,
    lane_sums,
    largest_of_lanes,
)
from deel_seg.certificates.level_cost import margins_at_level
from deel_seg.certificates.margins import usable_margins
from deel_seg.certificates.rounding import LARGEST, TINY, raised

Tensor = Any

_LARGEST = 5  # Distances that are sorted to start the search,
_STEPS = 3  # and Newton's steps in the pass that does so,
# as long as there are no more than IN_CACHE classes. Of more the largest of each lane do so,
_PASSES = 3  # and then each step is a pass of its own; going on after these is dear.


def becoming_margins(
    logits: Tensor,
    class_id: Tensor,
    logit_tolerance: Tensor,
    num_classes: int,
    p: float,
    *,
    leaving: Tensor | None = None,
) -> Tensor:
    r"""Lower-bounds what it takes for each pixel to become class k, written as a margin.

    With $d_j = z_j - z_k$, class k is on top once it and every higher logit have met at a level
    $\tau$ above $z_k$. For p = 2 that costs $\min_\tau \tau^2 + \sum_j (d_j - \tau)_+^2$, at
    least half of the square of the largest $d_j$, and more where several classes stand above
    $\tau$. The margin returned is the $m$ with $m^2 / 2$ equal to that cost. For p = 1 and inf
    it is the largest $d_j$: raising $z_k$ alone, or all at once by the same amount, is best.

    Args:
        logits: `(batch, H, W, num_classes)`, any float dtype.
        class_id: Scalar integer tensor, k.
        logit_tolerance: Scalar; how far each logit may be from the exact one.
        num_classes: Size of the last axis; 1 for one signed logit, whose margin is its distance
            to the sign of class k.
        p: Norm order.
        leaving: `(batch, H, W)` bool, pixels whose margin of k over all others is wanted in place
            of that of becoming k; `None` for no pixel.

    Returns:
        `(batch, H, W)`, float32: NaN where a logit is not finite; 0 where k is the prediction or
            ties with it (where `leaving`: is not); else as `class_margins`.
    """
    if leaving is None:
        leaving = ops.zeros(ops.shape(logits)[:-1], dtype="bool")
    own = channel(logits, 0 if num_classes == 1 else class_id)
    kind = _Pass if num_classes <= IN_CACHE else _LanePass
    pass_over = kind(logits, own, class_id, logit_tolerance, num_classes, leaving)
    if num_classes == 1:
        return pass_over.signed()
    if p != 2:
        return pass_over.largest()
    return pass_over.water_filling()


class _Pass:
    """The passes over the logits, each of which writes one array."""

    def __init__(
        self,
        logits: Tensor,
        own: Tensor,
        class_id: Tensor,
        logit_tolerance: Tensor,
        num_classes: int,
        leaving: Tensor,
    ) -> None:
        self.logits, self.class_id, self.num_classes = logits, class_id, num_classes
        self.own, self.leaving, self.tolerance = own, leaving, logit_tolerance
        moved = raised(2.0 * logit_tolerance + 2 * TINY, 4)
        self.moved = ops.cast(moved, "float32") * (1 + 2.0**-22)

    def signed(self) -> Tensor:
        """Distances of a signed logit to the sign of class k, or from the other one."""
        away = ops.where(ops.equal(self.class_id, 1), self.own, -self.own)
        margins = usable_margins(ops.where(self.leaving, away, -away), self.tolerance)
        return ops.where(ops.isfinite(self.own), margins, math.nan)

    def largest(self) -> Tensor:
        """Largest distances as margins."""
        return self._once(self._first_pass(lambda *distances: usable_margins(distances[0], 0.0)))

    def water_filling(self) -> Tensor:
        r"""Lower-bounds the root of twice the least of $\phi(\tau)=\tau^2+\sum (d_j-\tau)_+^2$.

        The best level is where $g(\tau) = \tau - \sum (d_j - \tau)_+$ vanishes. It is the largest
        mean of 0 and the m largest distances; some of them start the search below it, and
        Newton's steps on the concave $g$ rise to it without passing it, in as many steps as there
        are classes at most. After a few of them hardly a pixel needs more; where one does, the
        search goes on for all.
        """
        levels = self._first_levels()
        margins = self._once(lambda: self._filled(levels))
        return ops.abs(self._searched(levels, margins))

    def _risen(self, levels: Tensor, steps: int) -> Tensor:
        """Levels after some of Newton's steps, each a pass over the logits."""
        for _ in range(steps):
            levels = self._once(functools.partial(self._newton, levels))
        return levels

    def _searched(self, levels: Tensor, margins: Tensor) -> Tensor:
        """Margins at the best levels, or so near to them that none is negative."""

        def searching(step: Any, _: Tensor, margins: Tensor) -> Tensor:
            return ops.logical_and(step < self.num_classes, ops.any(margins < 0))

        def body(step: Any, levels: Tensor, _: Tensor) -> tuple[Any, Tensor, Tensor]:
            pass_over = copy.copy(self)
            # Were they the same at each step, the compiler would keep all distances in memory.
            pass_over.own = ops.where(step < 0, math.nan, self.own)
            risen = pass_over._risen(levels, 1)
            return step + 1, risen, self._once(lambda: pass_over._filled(risen))

        return ops.while_loop(searching, body, (ops.convert_to_tensor(0), levels, margins))[-1]

    def _first_levels(self) -> Tensor:
        return self._once(self._first_pass(self._first_level))

    def _first_level(self, *largest: Tensor) -> Tensor:
        """Largest mean of 0 and some of the largest distances, and Newton's steps from there."""
        level = total = ops.zeros_like(largest[0])
        for number, distance in enumerate(largest, start=1):
            total = total + distance
            level = ops.maximum(level, total * (1 / (number + 1)))
        for _ in range(_STEPS):
            level = self._newton(level)
        return level

    def _once(self, compute: Callable[[], Tensor]) -> Tensor:
        like = ops.zeros(ops.shape(self.logits)[:-1], dtype="float32")
        return materialised(compute, like, self.logits)

    def _first_pass(self, finish: Callable[..., Tensor]) -> Callable[[], Tensor]:
        """Where `leaving`, the margin of class k; else `finish` of the largest distances."""

        def step(state: Any, logit: Tensor, index: Any) -> Any:
            *largest, finite = state
            own_class = ops.equal(self.class_id, index)
            distance = ops.where(own_class, -math.inf, ops.cast(logit - self.own, "float32"))
            sorted_in = []
            for value in largest:
                sorted_in.append(ops.maximum(value, distance))
                distance = ops.minimum(value, distance)
            return *sorted_in, ops.logical_and(finite, ops.isfinite(logit))

        def compute() -> Tensor:
            lowest = ops.full(ops.shape(self.logits)[:-1], -math.inf, dtype="float32")
            state = (*[lowest] * _LARGEST, ops.isfinite(self.own))
            *distances, finite = fold_classes(step, state, self.logits, self.num_classes)
            left = usable_margins(-distances[0], 2.0 * self.tolerance)
            distances = [ops.clip(d - self.moved, 0.0, LARGEST) for d in distances]
            values = ops.where(self.leaving, left, finish(*distances))
            return ops.where(finite, values, math.nan)

        return compute

    def _above(self, levels: Tensor) -> tuple[Tensor, ...]:
        """Largest distance, number of those above a level, sums of their excess and its square."""

        def step(state: Any, logit: Tensor, _: Any) -> Any:
            largest, number, excess, squares = state
            distance = self._distance(logit - self.own)
            over = ops.maximum(distance - levels, 0.0)
            number = number + ops.cast(over > 0, "float32")
            return ops.maximum(largest, distance), number, excess + over, squares + over * over

        zero = ops.zeros_like(levels)
        state = (zero, zero, zero, zero)
        return fold_classes(step, state, self.logits, self.num_classes)

    def _distance(self, difference: Tensor) -> Tensor:
        return ops.minimum(ops.cast(difference, "float32") - self.moved, LARGEST)

    def _rising(self, levels: Tensor) -> tuple[Tensor, ...]:
        """Number of distances above a level and sum of their excess."""
        return self._above(levels)[1:3]

    def _newton(self, levels: Tensor) -> Tensor:
        number, excess = self._rising(levels)
        risen = levels + ops.maximum(excess - levels, 0.0) / (1.0 + number)
        return ops.where(self.leaving, levels, risen)

    def _filled(self, levels: Tensor) -> Tensor:
        """Margins by the costs at the levels, wherever these stand; the levels where `leaving`."""
        margins = ops.where(self.leaving, levels, margins_at_level(levels, *self._above(levels)))
        return ops.where(ops.isnan(levels), math.nan, margins)


class _LanePass(_Pass):
    """The same passes over more classes than the cache keeps, many of them side by side.

    The largest distances of the lanes are some of all distances: what stands in the way at least.
    They make a first pass over far fewer logits, and a first level not above the best one.
    """

    def __init__(self, logits: Tensor, own: Tensor, class_id: Tensor, *others: Any) -> None:
        super().__init__(logits, own, class_id, *others)
        some = largest_of_lanes(logits, own, class_id, self.num_classes)
        zero = ops.zeros(ops.shape(own), dtype="float32")
        self.some = _Pass(some, zero, -1, self.tolerance, LANES, self.leaving)

    def largest(self) -> Tensor:
        return self.some.largest()

    def _first_levels(self) -> Tensor:
        return self._risen(self.some._first_levels(), _PASSES)

    def _rising(self, levels: Tensor) -> tuple[Tensor, ...]:
        return self._sums(levels, lambda over: (ops.cast(over > 0, "float32"), over))

    def _above(self, levels: Tensor) -> tuple[Tensor, ...]:
        """As that of classes one by one, with the number of additions in place of the distances."""
        largest = self._distance(ops.max(self.some.logits, axis=-1))
        sums = self._sums(levels, lambda over: (over, over * over))
        return ops.maximum(largest, 0.0), additions(self.num_classes), *sums

    def _sums(
        self, levels: Tensor, terms: Callable[[Tensor], tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, ...]:
        own, levels = self.own[..., None, None], levels[..., None, None]
        return lane_sums(
            lambda logits: terms(ops.maximum(self._distance(logits - own) - levels, 0.0)),
            self.logits,
            self.num_classes,
        )
