"""The public IoU certificates: against all subsets, each other, and what users get wrong."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from deel_seg._backend import accumulation_dtype
from deel_seg.certificates import class_iou as public
from deel_seg.certificates import class_iou_core as module
from deel_seg.certificates import class_iou_radius, worst_case_class_iou
from tests.certificates.anew import compiled_anew
from tests.certificates.cases import CASES, labels_for
from tests.certificates.exact import SLACK, numbers
from tests.certificates.test_becoming import exact_cost

EPS = [0.0, 1e-3, 0.3, 0.7, 1.2, 2.0, 4.0, 1e4]


def exact_costs(
    logits: np.ndarray, labels: np.ndarray, k: int, p: float
) -> tuple[list[Fraction], list[Fraction]]:
    """Sorted costs of one image, as p-th powers of the change of the logits (inf: the change)."""
    lost, added = [], []
    for place in np.ndindex(*labels.shape):
        pixel = [Fraction(float(z)) for z in logits[place]]
        if labels[place] == 255:
            continue
        if labels[place] != k:
            cost, kind = exact_cost(pixel, k, p), added
        elif len(pixel) == 1:
            gap = max(pixel[0] if k == 1 else -pixel[0], Fraction(0))
            cost, kind = (gap**2 / 2 if p == 2 else gap), lost
        else:
            gap = max(pixel[k] - max(z for j, z in enumerate(pixel) if j != k), Fraction(0))
            cost, kind = (gap**2 / 2 if p == 2 else gap), lost
        # For p = 1 a margin costs itself, for inf half; a single logit travels all the way.
        single = len(pixel) == 1
        kind.append(
            cost * (2 if p == 2 and single else 1) / (2 if p == math.inf and not single else 1)
        )
    return sorted(lost), sorted(added)


def frontier(costs: tuple[list[Fraction], list[Fraction]], p: float) -> Any:
    """`(cost, IoU)` of the cheapest i and j, for all i and j."""
    lost, added = costs
    for i in range(len(lost) + 1):
        for j in range(len(added) + 1):
            chosen = lost[:i] + added[:j]
            cost = max(chosen, default=Fraction(0)) if p == math.inf else sum(chosen, Fraction(0))
            yield cost, Fraction(len(lost) - i, len(lost) + j)


def worst(pairs: list[Any], budget: Fraction, p: float) -> Fraction:
    capacity = budget**2 if p == 2 else budget
    return min(iou for cost, iou in pairs if cost <= capacity)


def assert_sound(logits: np.ndarray, labels: np.ndarray, k: int, p: float) -> None:
    options = {"class_id": k, "p": p, "ignore_class": 255}
    values = numbers(worst_case_class_iou(logits, labels, eps=EPS, **options))[0]
    pairs = list(frontier(exact_costs(logits[0], labels[0], k, p), p))
    for eps, value in zip(EPS, values, strict=True):
        assert Fraction(float(value)) <= worst(pairs, Fraction(eps), p), "certified too much"
        loose = worst(pairs, Fraction(eps) * (1 + 8 * SLACK) + Fraction(1, 2**40), p)
        assert Fraction(float(value)) > loose - Fraction(1, 2**23), "certified far too little"
    for threshold in (0, 0.25, 0.5, 0.9):
        radius = Fraction(
            float(class_iou_radius(logits, labels, threshold=threshold, **options)[0])
        )
        least = min(cost for cost, iou in pairs if iou <= Fraction(str(threshold)))
        assert (radius**2 if p == 2 else radius) <= least, "certified too much"
        beyond = radius * (1 + 8 * SLACK) + Fraction(1, 2**40)
        assert (beyond**2 if p == 2 else beyond) >= least, "certified far too little"
        # Below the radius the worst case stays above the threshold.
        below = float(worst_case_class_iou(logits, labels, eps=float(radius), **options)[0])
        assert radius == 0 or below > threshold


@pytest.mark.parametrize("p", [1, 2, math.inf])
@pytest.mark.parametrize("name", ["random", "ties", "zero", "cancelling", "one class", "binary"])
def test_exact_on_small_images(name: str, p: float) -> None:
    logits = CASES[name]
    labels = labels_for(logits, ignore=255)
    for k in (0, 1):
        if (labels == k).any():
            assert_sound(logits, labels, k, p)


@pytest.mark.slow
@pytest.mark.one_backend
@pytest.mark.parametrize("p", [1, 2])
def test_tables_and_sorting_agree(p: float, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(2)
    logits = generator.normal(size=(1, 64, 65, 4)).astype("float32")
    labels = np.where(generator.random((1, 64, 65)) < 0.8, logits.argmax(-1), 2).astype("int32")
    options = {"class_id": 2, "p": p}
    eps, pixels = [0.0, 1.0, 4.0, 20.0, 300.0], (labels == 2).sum()
    sorted_values = numbers(worst_case_class_iou(logits, labels, eps=eps, **options))[0]
    sorted_radius = float(class_iou_radius(logits, labels, threshold=0.4, **options)[0])
    monkeypatch.setattr(module, "_SORTED", 0)
    for name in ("_worst_case", "_radius"):
        by_tables = compiled_anew(getattr(module, name), module._STATIC)
        monkeypatch.setattr(public, f"compiled{name}", by_tables)
    table_values = numbers(worst_case_class_iou(logits, labels, eps=eps, **options))[0]
    table_radius = float(class_iou_radius(logits, labels, threshold=0.4, **options)[0])
    # Both are exact but for what the sums are rounded down by, in float32 a few parts in 10^5.
    if accumulation_dtype() == "float64":
        assert (table_values == sorted_values).all() and table_radius == sorted_radius
    assert (np.abs(table_values - sorted_values) <= 2.5 / pixels).all()
    assert abs(table_radius / sorted_radius - 1) < 1e-4


def test_monotone_and_scaled() -> None:
    logits, labels = CASES["random"], labels_for(CASES["random"])
    eps = np.linspace(0, 3, 16)
    values = numbers(worst_case_class_iou(logits, labels, class_id=1, eps=eps))[0]
    assert (np.diff(values) <= 0).all() and values[0] > values[-1]
    larger = worst_case_class_iou(logits, labels, class_id=1, eps=eps, lipschitz_constant=1.5)
    assert (numbers(larger)[0] <= values).all()
    doubled = worst_case_class_iou(2 * logits, labels, class_id=1, eps=eps, lipschitz_constant=2.0)
    assert (numbers(doubled)[0] == values).all()


def test_the_factor_left_out_in_the_paper_is_caught() -> None:
    logits, labels = CASES["random"], labels_for(CASES["random"])
    lost, added = exact_costs(logits[0], labels[0], 1, 2)
    dear = list(frontier(([2 * cost for cost in lost], [2 * cost for cost in added]), 2))
    right = list(frontier((lost, added), 2))
    budgets = [Fraction(n, 10) for n in range(1, 30)]
    assert any(worst(dear, b, 2) > worst(right, b, 2) for b in budgets)


@pytest.mark.slow
def test_undefined_and_wrong_arguments() -> None:
    logits, labels = CASES["random"], np.zeros((1, 4, 4), "int32")
    assert np.isnan(float(worst_case_class_iou(logits, labels, class_id=1, eps=0.1)[0]))
    assert np.isnan(float(class_iou_radius(logits, labels, class_id=1, threshold=0.5)[0]))
    for changes, message in (
        ({"class_id": 3}, r"`class_id` must lie in \[0, 3\)"),
        ({"class_id": 0, "ignore_class": 0}, "`class_id` must not be `ignore_class`"),
        ({"labels": None}, "`labels` must be given"),
        ({"eps": -1.0}, "`eps`"),
    ):
        arguments = {"labels": labels, "class_id": 0, "eps": 0.1, **changes}
        with pytest.raises(ValueError, match=message):
            worst_case_class_iou(logits, **arguments)
    with pytest.raises(ValueError, match="`threshold`"):
        class_iou_radius(logits, labels, class_id=0, threshold=1.5)
