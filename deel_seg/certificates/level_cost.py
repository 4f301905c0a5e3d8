"""Cost of all logits that stand in the way meeting at a level, rounded down."""

from __future__ import annotations

from typing import Any

from keras import ops

from deel_seg.certificates.margins import usable_margins
from deel_seg.certificates.rounding import TINY

Tensor = Any

_UNIT = 2.0**-24  # Unit roundoff of float32, in which this is computed.
_LOST = 2.0**-16  # Share of a cost that a level may fall short by before the search goes on.


def margins_at_level(
    level: Tensor, largest: Tensor, additions: Any, excess: Tensor, squares: Tensor
) -> Tensor:
    r"""Margins by what it costs at least to meet, wherever the level stands.

    The sum $E(\tau)$ of the excess is convex and 0 at the largest distance $M$, so it lies below
    its chord from $\tau$ to $M$, and above it before $\tau$. With $g(t) = t - E(t)$ and
    $s = 1 + E(\tau) / (M - \tau)$ that is $g(t) \ge g(\tau) + s (t - \tau)$ above $\tau$, and
    $\le$ below. As $\phi' = 2 g$, $\min \phi \ge \phi(\tau) - g(\tau)^2 / s$ at any level $\tau$.

    Rounding: the distances are within 3 units, a common factor the cost is homogeneous in; each
    excess and its square add 3, the sums one for each addition that a term goes through (a sum of
    n terms has n - 1 at most, and adding 0 is exact), and the rest less than 6.

    Args:
        level: Float32, any shape.
        largest: The largest distance.
        additions: How many additions a term of the two sums goes through at most; the number of
            distances above the level always does.
        excess: Sum of how far they are above it.
        squares: Sum of the squares of that.

    Returns:
        As `becoming_margins`; negative where the level is too far from the best one.
    """
    gap = ops.abs(level - excess) + (additions + 4.0) * (4 * _UNIT) * (level + excess)
    steepness = 1.0 + excess / ops.maximum(largest - level, TINY)
    lost = gap * gap / steepness * (1 + (additions + 16) * _UNIT)
    most = level * level + squares
    cost = ops.maximum((most - lost) * (1 - (2 * additions + 24) * _UNIT), 0.0)
    margins = ops.maximum(usable_margins(largest, 0.0), usable_margins(ops.sqrt(2.0 * cost), 0.0))
    return ops.where(lost > most * _LOST, -margins, margins)
