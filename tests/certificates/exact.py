"""The certificates in exact rational arithmetic, written from their definition, and checks.

A certified value must never exceed the exact one, with no tolerance at all. That it does not fall
far below is checked against the exact value for a slightly larger budget, or a smaller cost.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from deel_seg._backend import accumulation_dtype

# How much a budget may look larger than it is. In float64 it is the cast of radii to float32,
# 2.4e-7; in float32 the deflation of sums that are added as a tree, and of the radius itself.
SLACK = Fraction(1, 10**6) if accumulation_dtype() == "float64" else Fraction(2, 10**5)

# Margins below 2^-48 count as zero and above 2^48 as 2^48.
SMALLEST, LARGEST = Fraction(1, 2**48), Fraction(2**48)


class Image(NamedTuple):
    """Exact costs of the pixels of one image that count."""

    costs: list[Fraction]  # p-th powers of radii times L; for p = inf the radii times L
    p: float

    def usable(self) -> Image:
        """The same with margins outside the working range flattened as documented."""
        power = 2 if self.p == 2 else 1
        low, high = (SMALLEST**power, (LARGEST / 2) ** power)
        return Image([Fraction(0) if c <= low else min(c, high) for c in self.costs], self.p)


def margin(logits: Sequence[Fraction], label: int) -> Fraction:
    """How far the label's logit stands above the others, at least 0."""
    if len(logits) == 1:
        return max(Fraction(0), logits[0] if label == 1 else -logits[0])
    others = [z for k, z in enumerate(logits) if k != label]
    return max(Fraction(0), logits[label] - max(others))


def prediction(logits: Sequence[Fraction]) -> int:
    """The class on top."""
    if len(logits) == 1:
        return int(logits[0] > 0)
    return logits.index(max(logits))


def cost(gap: Fraction, num_logits: int, p: float) -> Fraction:
    """p-th power of the least change of the logits that closes a gap; for inf the change."""
    if p == 2:
        return gap * gap / (1 if num_logits == 1 else 2)
    return gap / (2 if p == math.inf and num_logits > 1 else 1)


def image(
    logits: Any,
    labels: Any = None,
    *,
    p: float = 2,
    ignore_class: int | None = None,
    mask: Any = None,
    tolerance: float = 0.0,
    **_: Any,
) -> Image:
    """Exact costs of one image, `(H, W, K)` logits and `(H, W)` labels or the prediction."""
    costs = []
    for row, column in np.ndindex(*np.shape(logits)[:2]):
        pixel = [Fraction(float(z)) for z in np.asarray(logits)[row, column]]
        label = prediction(pixel) if labels is None else int(labels[row][column])
        if label == ignore_class or (mask is not None and not mask[row][column]):
            continue
        shrunk = margin(pixel, label) - (1 if len(pixel) == 1 else 2) * Fraction(tolerance)
        costs.append(cost(max(Fraction(0), shrunk), len(pixel), p))
    return Image(costs, p)


def combined(costs: Sequence[Fraction], p: float) -> Fraction:
    """Cost of losing all of these pixels at once."""
    return max(costs, default=Fraction(0)) if p == math.inf else sum(costs, Fraction(0))


def affordable(total: Fraction, p: float, budget: Fraction) -> bool:
    """Whether a change of size `budget` of the logits pays for a total cost."""
    return total <= (budget * budget if p == 2 else budget)


def share_left(image: Image, budget: Fraction) -> Fraction:
    """Least share of the pixels left within `budget = L * eps`."""
    total, lost = Fraction(0), 0
    for cost in sorted(image.costs):
        total = cost if image.p == math.inf else total + cost
        if not affordable(total, image.p, budget):
            break
        lost += 1
    return Fraction(len(image.costs) - lost, len(image.costs))


def share_left_brute_force(image: Image, budget: Fraction) -> Fraction:
    """The same over all subsets of pixels."""
    count = len(image.costs)
    lost = max(
        size
        for size in range(count + 1)
        for subset in itertools.combinations(image.costs, size)
        if affordable(combined(subset, image.p), image.p, budget)
    )
    return Fraction(count - lost, count)


def cost_of_share(image: Image, share: Fraction) -> Fraction:
    """Least cost that leaves at most `share` of the pixels."""
    needed = math.ceil((1 - share) * len(image.costs))
    return combined(sorted(image.costs)[:needed], image.p)


def assert_share_sound(value: Any, image: Image, *, eps: float, constant: float = 1.0) -> None:
    """A Q1 value holds, and is not much weaker than the exact one."""
    budget = Fraction(eps) * Fraction(constant)
    assert Fraction(float(value)) <= share_left(image, budget), "certified too much"
    loose = share_left(image.usable(), budget * (1 + SLACK) + SMALLEST / 2**60)
    assert Fraction(float(value)) > loose - Fraction(1, 2**24), "certified far too little"


def assert_radius_sound(value: Any, image: Image, total: Fraction, constant: float = 1.0) -> None:
    """A Q2 radius holds, and is not much smaller than the exact one."""
    reached = Fraction(float(value)) * Fraction(constant)
    assert reached == 0 or not strictly_affordable(total, image.p, reached), "certified too much"
    # Costs that the working range flattens are the caller's to pass as flattened totals.
    assert affordable(total, image.p, reached * (1 + SLACK)), "certified far too little"


def strictly_affordable(total: Fraction, p: float, budget: Fraction) -> bool:
    """Whether a change smaller than `budget` pays for a total cost."""
    return total < (budget * budget if p == 2 else budget)


def numbers(tensor: Any) -> np.ndarray:
    """A result as a NumPy array."""
    return np.asarray(ops.convert_to_numpy(tensor))
