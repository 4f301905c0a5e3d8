from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from deel_seg.certificates import worst_case_pixel_accuracy, worst_case_stability
from deel_seg.visualize import certify_segmentation
from deel_seg.visualize.worst_case import _pixels_lost

EPS = (0.0, 0.4, 1.0, 2.7, 1e3)


def scene(classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits on a grid of 1/8, so that margins and their squares are exact, and some void."""
    rng = np.random.default_rng(seed)
    logits = rng.integers(-24, 25, size=(7, 9, classes)) / 8.0
    labels = rng.integers(0, max(classes, 2), size=(7, 9))
    labels[:2, :3] = 255
    return logits.astype("float32"), labels


def exact_cost(logits: np.ndarray, label: int | None) -> Fraction:
    """Squared distance from one pixel's logits to a tie, from the definition."""
    values = [Fraction(float(value)) for value in logits]
    if len(values) == 1:
        wrong = label is not None and label != int(values[0] > 0)
        return Fraction(0) if wrong else values[0] ** 2
    own = values.index(max(values)) if label is None else label
    margin = values[own] - max(value for k, value in enumerate(values) if k != own)
    return max(margin, Fraction(0)) ** 2 / 2


@pytest.mark.parametrize("classes", [1, 2, 5])
@pytest.mark.parametrize("eps", EPS)
@pytest.mark.parametrize("labelled", [True, False])
def test_the_pixels_lost_are_those_behind_the_certificate(
    classes: int, eps: float, labelled: bool
) -> None:
    logits, labels = scene(classes)
    options: dict[str, Any] = {"eps": eps, "lipschitz_constant": 1.0}
    if labelled:
        options["ignore_class"] = 255
        value = worst_case_pixel_accuracy(logits[None], labels[None], **options)
    else:
        value = worst_case_stability(logits[None], **options)
    result = certify_segmentation(logits, labels if labelled else None, **options)
    count, lost = int(result.kept.sum()), int(result.lost.sum())
    assert count == (63 - 6 if labelled else 63)
    assert not (result.lost & ~result.kept).any()
    # The certificate is the share that is left, rounded down to a multiple of 2^-24.
    assert Fraction(math.floor(Fraction(count - lost, count) * 2**24), 2**24) == float(value[0])


@pytest.mark.parametrize("classes", [1, 2, 5])
@pytest.mark.parametrize("eps", EPS)
def test_the_budget_pays_for_the_pixels_lost_and_for_no_more(classes: int, eps: float) -> None:
    logits, labels = scene(classes, seed=1)
    result = certify_segmentation(logits, labels, eps=eps, ignore_class=255)
    costs = {
        index: exact_cost(logits[index], int(labels[index]))
        for index in np.ndindex(labels.shape)
        if labels[index] != 255
    }
    paid = sum(cost for index, cost in costs.items() if result.lost[index])
    left = [cost for index, cost in costs.items() if not result.lost[index]]
    capacity = Fraction(eps) ** 2
    assert paid <= capacity
    assert not left or paid + min(left) > capacity


@pytest.mark.parametrize("eps", EPS)
def test_the_segmentation_shown_is_as_bad_as_certified(eps: float) -> None:
    logits, labels = scene(5, seed=2)
    result = certify_segmentation(logits, labels, eps=eps, ignore_class=255)
    left = (result.worst == labels) & result.kept
    np.testing.assert_array_equal(left, result.kept & ~result.lost)
    blind = certify_segmentation(logits, eps=eps)
    np.testing.assert_array_equal(blind.worst != blind.predicted, blind.lost)


def test_the_constant_scales_the_budget() -> None:
    logits, labels = scene(3)
    once = certify_segmentation(logits, labels, eps=2.0, ignore_class=255)
    twice = certify_segmentation(
        2.0 * logits, labels, eps=2.0, ignore_class=255, lipschitz_constant=2.0
    )
    np.testing.assert_array_equal(once.lost, twice.lost)
    wider = certify_segmentation(logits, labels, eps=2.0, ignore_class=255, lipschitz_constant=2.0)
    assert wider.lost.sum() > once.lost.sum()


def test_a_count_survives_the_rounding_of_its_share() -> None:
    for count in (1, 3, 7, 1000, 3 * 1024 * 1024 + 1):
        for left in {0, 1, count // 3, count // 2, count - 1, count}:
            bound = math.floor(Fraction(left, count) * 2**24) / 2**24
            assert _pixels_lost(bound, count) == count - left


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"eps": -1.0}, "Received: eps=-1.0"),
        ({"logits": np.zeros((2, 2))}, r"Received: shape=\(2, 2\)"),
        ({"logits": np.full((2, 2, 2), np.nan, "float32")}, "finite"),
        ({"labels": np.zeros((2, 3), int)}, "labels"),
        ({"labels": np.full((2, 2), 255), "ignore_class": 255}, "No pixel counts"),
    ],
)
def test_errors_say_what_was_received(changes: dict[str, Any], message: str) -> None:
    arguments = {"logits": np.zeros((2, 2, 2), "float32"), "eps": 1.0, **changes}
    with pytest.raises(ValueError, match=message):
        certify_segmentation(**arguments)
