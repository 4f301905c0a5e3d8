"""Regions and single pixels of coarse classes."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from deel_seg.certificates import pixel_radius, region_radius, worst_case_region_stability
from deel_seg.certificates.class_groups import check_class_groups, group_of
from tests.certificates import exact
from tests.certificates.device import predictions
from tests.certificates.exact import numbers
from tests.certificates.exact_groups import COARSE, KINDS, leaving_cost, six_classes
from tests.certificates.region_search import searched_regions

GROUPS = check_class_groups(COARSE, 6)
LOGITS = np.concatenate([six_classes(kind) for kind in KINDS])
EPS = (0.0, 0.5, 1.7, 8.0)
# What the few roundings of a cost in float32 may take from it.
SLACK = Fraction(1, 10**4)


def exact_costs(logits: np.ndarray, p: float) -> np.ndarray:
    """Exact costs of leaving the group of the prediction, `(H, W)` of fractions."""
    predicted = predictions(logits[None])[0]
    costs = np.empty(predicted.shape, object)
    for where in np.ndindex(*predicted.shape):
        pixel = [Fraction(float(z)) for z in logits[where]]
        costs[where] = leaving_cost(pixel, int(predicted[where]), GROUPS, p)
    return costs


def groups_of(logits: np.ndarray) -> np.ndarray:
    return numbers(group_of(predictions(logits), GROUPS))


def assert_sound(p: float, fine: bool = False) -> None:
    """Every region and pixel of every image against exact arithmetic."""
    options = {"p": p, "class_groups": None if fine else COARSE}
    radius, regions = map(numbers, region_radius(LOGITS, fraction=0.5, **options))
    shares = numbers(worst_case_region_stability(LOGITS, eps=EPS, **options).share)
    alone = numbers(pixel_radius(LOGITS, **options))
    for image, z in enumerate(LOGITS):
        costs = exact_costs(z, p)
        everywhere = np.ones(costs.shape, bool)
        expected = searched_regions(groups_of(z[None])[0], everywhere, 4)
        assert (regions[image] == expected).all(), "other regions"
        for where in np.ndindex(*costs.shape):
            assert_radius(alone[image][where], costs[where], p)
        for number in range(1, expected.max() + 1):
            inside = expected == number
            region = exact.Image(list(costs[inside]), p)
            (value,) = set(radius[image][inside].tolist())
            assert_radius(value, exact.cost_of_share(region, Fraction(1, 2)), p)
            for eps, share in zip(EPS, shares[image], strict=True):
                (left,) = set(share[inside].tolist())
                assert Fraction(left) <= exact.share_left(region, Fraction(eps)), "share too large"


def assert_radius(value: float, cost: Fraction, p: float) -> None:
    reached = Fraction(float(value))
    assert reached == 0 or not exact.strictly_affordable(cost, p, reached), "radius too large"
    usable = min(cost, (exact.LARGEST / 2) ** (2 if p == 2 else 1))
    budget = reached * (1 + SLACK) + exact.SMALLEST
    assert exact.affordable(usable, p, budget), "radius far too small"


@pytest.mark.parametrize("p", [2, math.inf])
def test_sound(p: float) -> None:
    assert_sound(p)


def test_regions_of_single_classes_are_caught() -> None:
    with pytest.raises(AssertionError, match="other regions"):
        assert_sound(2, fine=True)


def test_groups_merge_regions() -> None:
    fine, coarse = (
        numbers(region_radius(LOGITS, class_groups=groups).regions) for groups in (None, COARSE)
    )
    for image in range(len(LOGITS)):
        assert coarse[image].max() <= fine[image].max()


def test_wrong_groups_are_refused() -> None:
    for certificate in (
        pixel_radius,
        region_radius,
        lambda *args, **kwargs: worst_case_region_stability(*args, eps=1.0, **kwargs),
    ):
        with pytest.raises(ValueError, match="`class_groups` must hold each class once"):
            certificate(LOGITS, class_groups=[(0, 1), (1, 2)])
