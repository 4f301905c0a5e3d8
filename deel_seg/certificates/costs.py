"""Between margins, costs, budgets and radii: the p-th powers of the paper's knapsack."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from deel_seg.certificates.rounding import LARGEST, TINY, lowered, raised

Tensor = Any


def flip_costs(margins: Tensor, p: float, num_classes: int) -> Tensor:
    r"""Lower-bounds the cost of closing each margin: the p-th power of the least logit change.

    Closing a margin $m$ between two logits takes $\|\alpha\|_p = m\,2^{(1-p)/p}$, each giving
    half; a single signed logit has to travel all of $|z|$. For `p = inf` a cost is the radius
    itself. The margins' own slack of `2u` covers the rounding of one product.
    """
    if p == 2:
        return margins * margins * (1.0 if num_classes == 1 else 0.5)
    if p == 1 or num_classes == 1:
        return margins
    return margins * 0.5


def capacity(eps: Tensor, lipschitz_constant: Tensor, p: float) -> Tensor:
    r"""Upper-bounds $(L\epsilon)^p$ (for `p = inf`: $L\epsilon$), infinite past `LARGEST`.

    `16u` covers the conversion of both factors, their product and the sum; `TINY` covers a
    factor too small for a normal number.
    """
    budget = raised((eps + TINY) * ops.maximum(lipschitz_constant, TINY), 16)
    budget = ops.where(budget > LARGEST, ops.full_like(budget, math.inf), budget)
    return raised(budget * budget, 4) if p == 2 else budget


def radius_below(total_cost: Tensor, lipschitz_constant: Tensor, p: float) -> Tensor:
    """Lower-bounds the input budget that a total cost stands for, in the accumulation dtype.

    `40u` covers the root and the quotient, and exceeds what `capacity` adds to a budget: below
    a returned radius the worst-case value never satisfies the objective.
    """
    root = ops.sqrt(total_cost) if p == 2 else total_cost
    return lowered(root / raised(ops.maximum(lipschitz_constant, TINY), 4), 40)
