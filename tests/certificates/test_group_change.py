"""Vanishing and fabrication attacks on a group of classes, against exact arithmetic."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from deel_seg.certificates import (
    fabrication_radius,
    vanishing_radius,
    worst_case_fabrication,
    worst_case_vanishing,
)
from deel_seg.certificates.class_groups import check_class_groups
from deel_seg.certificates.confusion_metrics import recall
from tests.certificates import exact
from tests.certificates import exact_confusion as confusion
from tests.certificates.exact import numbers
from tests.certificates.exact_groups import COARSE, entering_cost, leaving_cost, six_classes

EPS = (0.0, 0.1, 0.5, 1.0, 1.7, 8.0, 1e3)
GROUPS = check_class_groups(COARSE, 6)


def costs(logits: np.ndarray, class_id: int, groups: Any, *, becomes: bool) -> list[Fraction]:
    pixels = [[Fraction(float(z)) for z in pixel] for pixel in logits.reshape(-1, 6)]
    if becomes:
        return [entering_cost(pixel, class_id, groups, 2) for pixel in pixels]
    inside = [p for p in pixels if groups[p.index(max(p))] == groups[class_id]]
    return [leaving_cost(pixel, class_id, groups, 2) for pixel in inside]


def assert_sound(shares: Any, radius: Any, prices: list[Fraction]) -> None:
    """Shares that do not change over `EPS`, and the radius at which half has changed."""
    image = confusion.ClassImage(prices, [], (0, 0, 0, 0), 2)
    for eps, value in zip(EPS, numbers(shares)[0], strict=True):
        confusion.assert_value_sound(value, recall, image, eps=eps)
    total = exact.cost_of_share(exact.Image(prices, 2), Fraction(1, 2))
    confusion.assert_radius_sound(numbers(radius)[0], image, total)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["random", "ties", "members level", "mixed scales"])
def test_a_group_vanishes_or_appears_no_sooner(kind: str) -> None:
    logits = six_classes(kind)
    for class_id in (2, 4):
        prices = costs(logits, class_id, GROUPS, becomes=True)
        options = {"class_id": class_id, "class_groups": COARSE}
        taken = 1 - numbers(worst_case_fabrication(logits, eps=EPS, **options))
        assert_sound(taken, fabrication_radius(logits, fraction=0.5, **options), prices)
        prices = costs(logits, class_id, GROUPS, becomes=False)
        if prices:
            left = worst_case_vanishing(logits, eps=EPS, **options)
            assert_sound(left, vanishing_radius(logits, fraction=0.5, **options), prices)


def test_the_check_tells_a_group_from_a_class() -> None:
    logits = six_classes("random")
    options = {"class_id": 4, "class_groups": COARSE}
    left = worst_case_vanishing(logits, eps=EPS, **options)
    apart = costs(logits, 4, range(6), becomes=False)
    with pytest.raises(AssertionError, match="too much"):
        assert_sound(left, vanishing_radius(logits, fraction=0.5, **options), apart)


def test_wrong_groups_are_refused() -> None:
    for certificate in (worst_case_vanishing, worst_case_fabrication):
        with pytest.raises(ValueError, match=r"ids in \[0, 6\)"):
            certificate(six_classes("random"), class_id=1, eps=0.1, class_groups=[(0, 6)])
