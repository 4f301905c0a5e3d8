"""Whether certified bounds of the prediction hold in exact arithmetic, and how tight they are."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from tests.certificates import exact
from tests.certificates.exact import SMALLEST

EPS = [0.0, 1e-3, 0.1, 0.5, 1.0, 2.0, 3.0, 8.0, 1e3, 1e20]

# Cases with margins outside the working range, of which bounds may be as loose as they like.
FLATTENED = ("subnormal", "mixed scales", "huge")

# How much a budget may look larger than it is: about 300 roundings of 2^-24, of which most are
# those that 2^27 pixels may go through when their costs are added.
SLACK = Fraction(2, 10**5)
# The share itself is lowered by 16 roundings, and off by a few.
SHARE_SLACK = Fraction(2, 10**6)


def claims_too_much(
    logits: np.ndarray,
    bounds: dict[str, np.ndarray],
    *,
    lipschitz_constant: float = 1.0,
    logit_tolerance: float = 0.0,
    eps: Sequence[float] = EPS,
    fraction: Any = 0.5,
) -> set[str]:
    """Names of the bounds above the exact value for some image."""
    wrong = set()
    constant = Fraction(lipschitz_constant)
    for index, pixels in enumerate(logits):
        image = exact.image(pixels, tolerance=logit_tolerance)
        radii = [Fraction(float(radius)) * constant for radius in bounds["radius"][index].flat]
        if any(r * r > cost for r, cost in zip(radii, image.costs, strict=True)):
            wrong.add("radius")
        total = exact.cost_of_share(image, 1 - Fraction(str(fraction)))
        if (Fraction(float(bounds["stability_radius"][index])) * constant) ** 2 > total:
            wrong.add("stability_radius")
        for budget, share in zip(eps, bounds["crs"][index].tolist(), strict=True):
            if Fraction(share) > exact.share_left(image, Fraction(budget) * constant):
                wrong.add("crs")
    return wrong


def assert_tight(logits: np.ndarray, bounds: dict[str, np.ndarray], fraction: Any = 0.5) -> None:
    """Nothing is further below the exact value than is documented, for `L` = 1."""
    for index, pixels in enumerate(logits):
        image = exact.image(pixels).usable()
        for radius, cost in zip(bounds["radius"][index].flat, image.costs, strict=True):
            assert exact.affordable(cost, 2, Fraction(float(radius)) * (1 + SLACK))
        total = exact.cost_of_share(image, 1 - Fraction(str(fraction)))
        radius = Fraction(float(bounds["stability_radius"][index]))
        assert exact.affordable(total, 2, radius * (1 + SLACK))
        for budget, share in zip(EPS, bounds["crs"][index].tolist(), strict=True):
            larger = Fraction(budget) * (1 + SLACK) + SMALLEST / 2**60
            assert Fraction(share) >= exact.share_left(image, larger) * (1 - SHARE_SLACK)
