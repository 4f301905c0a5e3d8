r"""Between margins, budgets and radii: the p-th powers of the paper's knapsack.

Closing a margin $m$ between two logits takes $\|\alpha\|_p = m\,2^{(1-p)/p}$, each giving half; a
single signed logit has to travel all of $|z|$. The factor is the same at every pixel, so the
knapsack is over $m^p$ alone, and the factor is applied to its capacity and to its total.
"""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from deel_seg.certificates.rounding import LARGEST, TINY, lowered, raised

Tensor = Any


def _margins_per_change(p: float, num_classes: int) -> float:
    """What a change of 1 is worth, as a sum of p-th powers of margins (`inf`: as a margin)."""
    return 1.0 if num_classes == 1 or p == 1 else 2.0


def capacity(eps: Tensor, lipschitz_constant: Tensor, p: float, num_classes: int) -> Tensor:
    r"""Upper-bounds the sum of $m^p$ that a budget pays for (for `p = inf`: the largest margin).

    It is $(L\epsilon)^p$ over the factor above, and infinite past `LARGEST`. `16u` covers the
    conversion of both factors, their product and the sum; `TINY` covers a factor too small for a
    normal number.
    """
    budget = raised((eps + TINY) * ops.maximum(lipschitz_constant, TINY), 16)
    budget = ops.where(budget > LARGEST, ops.full_like(budget, math.inf), budget)
    powers = raised(budget * budget, 4) if p == 2 else budget
    return powers * _margins_per_change(p, num_classes)


def radius_below(
    total: Tensor, lipschitz_constant: Tensor, p: float, num_classes: int, *, summed: bool = True
) -> Tensor:
    """Lower-bounds the input budget behind a sum of p-th powers, in the accumulation dtype.

    `40u` covers the root and the quotient. `128u` exceeds what `capacity` adds to a budget
    together with what the running totals of a knapsack fall short by, so that below the radius of
    a sum the worst-case value never satisfies the objective.
    """
    total = total / _margins_per_change(p, num_classes)
    root = ops.sqrt(total) if p == 2 else total
    root = root / raised(ops.maximum(lipschitz_constant, TINY), 4)
    return lowered(root, 128 if summed else 40)
