"""Cost of a pixel becoming a given class: water-filling over all logits that stand in the way."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from deel_seg.certificates.class_fold import channel, fold_classes
from deel_seg.certificates.margins import usable_margins
from deel_seg.certificates.rounding import LARGEST, TINY, raised

Tensor = Any

_UNIT = 2.0**-24  # Unit roundoff of float32, in which this is computed.


def becoming_margins(
    logits: Tensor, class_id: Tensor, logit_tolerance: Tensor, num_classes: int, p: float
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

    Returns:
        `(batch, H, W)`, float32: NaN where a logit is not finite; 0 where k is the prediction or
            ties with it; else as `class_margins`.
    """
    if num_classes == 1:
        logit = channel(logits, 0)
        exact = ops.where(ops.equal(class_id, 1), -logit, logit)
        finite, margins = ops.isfinite(logit), usable_margins(exact, logit_tolerance)
    else:
        own, finite = _own_logit(logits, class_id, num_classes)
        distances = _Distances(logits, own, logit_tolerance, num_classes)
        largest, second, third = distances.three_largest()
        margins = usable_margins(largest, 0.0)
        if p == 2:
            filled = _water_filling(distances, largest, second, third)
            margins = ops.maximum(margins, usable_margins(filled, 0.0))
    return ops.where(finite, margins, math.nan)


class _Distances:
    """How far each logit stands above that of class k, less twice the tolerance.

    In float32, within three units of the exact distances.
    """

    def __init__(
        self, logits: Tensor, own: Tensor, logit_tolerance: Tensor, num_classes: int
    ) -> None:
        self.logits, self.own, self.num_classes = logits, own, num_classes
        moved = raised(2.0 * logit_tolerance + 2 * TINY, 4)
        self.moved = ops.cast(moved, "float32") * (1 + 2.0**-22)

    def _fold(self, step: Any, *state: Tensor) -> tuple[Tensor, ...]:
        def with_distance(state: Any, logit: Tensor, _: Any) -> Any:
            distance = ops.cast(logit - self.own, "float32") - self.moved
            return step(*state, ops.minimum(distance, LARGEST))

        return fold_classes(with_distance, state, self.logits, self.num_classes)

    def three_largest(self) -> tuple[Tensor, ...]:
        """The three largest distances, or zeros in their place."""

        def step(first: Tensor, second: Tensor, third: Tensor, distance: Tensor) -> Any:
            third = ops.maximum(third, ops.minimum(second, distance))
            second = ops.maximum(second, ops.minimum(first, distance))
            return ops.maximum(first, distance), second, third

        zero = ops.zeros_like(self.own, dtype="float32")
        return self._fold(step, zero, zero, zero)

    def above(self, level: Tensor) -> tuple[Tensor, ...]:
        """Number of distances above a level, and the sums of their excess and its square."""

        def step(number: Tensor, excess: Tensor, squares: Tensor, distance: Tensor) -> Any:
            over = ops.maximum(distance - level, 0.0)
            number = number + ops.cast(over > 0, "float32")
            return number, excess + over, squares + over * over

        zero = ops.zeros_like(level)
        return self._fold(step, zero, zero, zero)


def _own_logit(logits: Tensor, class_id: Tensor, num_classes: int) -> tuple[Tensor, ...]:
    """Logit of class k, and whether all logits of the pixel are finite."""

    def step(state: Any, value: Tensor, index: Any) -> Any:
        own, finite = state
        own = ops.where(ops.equal(class_id, index), value, own)
        return own, ops.logical_and(finite, ops.isfinite(value))

    first = channel(logits, 0)
    return fold_classes(step, (first, ops.isfinite(first)), logits, num_classes)


def _water_filling(distances: _Distances, first: Tensor, second: Tensor, third: Tensor) -> Tensor:
    r"""Lower-bounds the root of twice the least of $\phi(\tau) = \tau^2 + \sum (d_j-\tau)_+^2$.

    The best level is where $g(\tau) = \tau - \sum (d_j - \tau)_+$ vanishes. It is the largest mean
    of 0 and the m largest distances; three of them start the search below it, and Newton's steps
    on the concave $g$ rise to it without passing it, in as many steps as there are classes at
    most. Where the search stands does not matter for soundness: $\phi'' \ge 2$ and
    $\phi' = 2 g$, so that $\min \phi \ge \phi(\tau) - g(\tau)^2$ at any level.
    """
    level = ops.maximum(
        ops.maximum(first * 0.5, (first + second) * (1 / 3)), (first + second + third) * 0.25
    )
    level, lost, cost = _newton_step(distances, level)

    def unfinished(step: Any, level: Tensor, lost: Tensor, cost: Tensor) -> Tensor:
        return ops.logical_and(step < distances.num_classes, ops.any(lost > cost * 2.0**-22))

    def body(step: Any, level: Tensor, lost: Tensor, cost: Tensor) -> tuple[Tensor, ...]:
        return (step + 1, *_newton_step(distances, level))

    *_, cost = ops.while_loop(unfinished, body, (0, level, lost, cost))
    return ops.sqrt(2.0 * ops.maximum(cost, 0.0))


def _newton_step(distances: _Distances, level: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Moves the level up once, and returns it, what the bound there falls short by, and the bound.

    Rounding: the distances are within 3 units, a common factor the cost is homogeneous in; each
    excess and its square add 3, sums of n terms n - 1, and the rest less than 6.
    """
    number, excess, _ = distances.above(level)
    level = level + ops.maximum(excess - level, 0.0) / (1.0 + number)
    number, excess, squares = distances.above(level)
    gap = ops.abs(level - excess) + (number + 4.0) * (4 * _UNIT) * (level + excess)
    lost = gap * gap
    cost = (level * level + squares - lost * (1 + 4 * _UNIT)) * (1 - (2 * number + 24) * _UNIT)
    return level, lost, cost
