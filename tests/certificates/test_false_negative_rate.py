from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deel_seg.certificates import (
    fnr_radius,
    pixel_accuracy_radius,
    worst_case_fnr,
    worst_case_pixel_accuracy,
    worst_case_recall,
)
from tests.certificates import exact
from tests.certificates.cases import CASES, in_a_corner, labels_for, of_shared_shapes
from tests.certificates.exact import numbers

# Everywhere ten budgets and the same void label, so that few programs are compiled.
VOID: dict[str, Any] = {"ignore_class": 255}
EPS = [0.0, 1e-38, 0.1, 0.5, 1.0, 1.7, 2.0, 8.0, 1e3, 1e30]
THRESHOLDS = (0, 0.05, 0.3, 0.5, 0.7, 1)


def assert_sound(logits: np.ndarray, labels: np.ndarray, positive: int, p: float = 2) -> None:
    """Both questions for the first image against exact arithmetic; labels of 255 are left out."""
    options = {"positive_class": positive, "p": p, **VOID}
    rates = numbers(worst_case_fnr(logits, labels, eps=EPS, **options))[0]
    radii = [numbers(fnr_radius(logits, labels, threshold=t, **options))[0] for t in THRESHOLDS]
    image = exact.image(logits[0], labels[0], p=p, mask=labels[0] == positive)
    if not image.costs:
        assert np.isnan(rates).all() and np.isnan(radii).all()
        return
    for eps, rate in zip(EPS, rates, strict=True):
        exact.assert_share_sound(1 - Fraction(float(rate)), image, eps=eps)
    for threshold, radius in zip(THRESHOLDS, radii, strict=True):
        share = 1 - Fraction(str(threshold))
        total = exact.cost_of_share(image, share)
        if exact.cost_of_share(image.usable(), share) == total:
            exact.assert_radius_sound(radius, image, total)
        else:
            reached = Fraction(float(radius))
            assert reached == 0 or not exact.strictly_affordable(total, p, reached)


@pytest.mark.parametrize(
    ("name", "p"),
    of_shared_shapes([(name, 2) for name in CASES] + [("random", 1), ("random", math.inf)]),
)
def test_sound_on_adversarial_logits(name: str, p: float) -> None:
    labels = labels_for(CASES[name], ignore=255)
    for positive in (0, 1):
        assert_sound(CASES[name], labels, positive, p)


@settings(deadline=None, max_examples=25)
@given(
    logits=hnp.arrays(np.float32, (1, 4, 4, 3), elements=st.floats(-4, 4, width=32)),
    labels=hnp.arrays(np.int32, (1, 4, 4), elements=st.sampled_from([0, 1, 2, 255])),
    positive=st.integers(0, 2),
    p=st.sampled_from([1, 2, math.inf]),
)
def test_sound_on_random_images(
    logits: np.ndarray, labels: np.ndarray, positive: int, p: float
) -> None:
    assert_sound(logits, labels, positive, p)


@pytest.mark.parametrize("p", [1, 2, math.inf])
def test_equals_all_subsets_on_a_grid_of_eighths(p: float) -> None:
    generator = np.random.default_rng(3)
    # Off the sums of such margins, where any rounding fits.
    eps = [0.03, 0.11, 0.31, 0.52, 0.77, 1.02, 1.23, 1.51, 2.01, 3.3]
    for _ in range(5):
        logits = (generator.integers(-8, 9, (1, 2, 4, 2)) / 8).astype("float32")
        labels = labels_for(logits)
        labels[0, 0, 0] = 1
        image = exact.image(logits[0], labels[0], p=p, mask=labels[0] == 1)
        expected = [exact.share_left_brute_force(image, Fraction(e)) for e in eps]
        options = {"positive_class": 1, "eps": eps, "p": p, **VOID}
        logits, labels = in_a_corner(logits, labels)
        recall = numbers(worst_case_recall(logits, labels, **options))[0]
        assert recall.tolist() == [math.floor(share * 2**24) / 2**24 for share in expected]
        rate = numbers(worst_case_fnr(logits, labels, **options))[0]
        assert rate.tolist() == [math.ceil((1 - share) * 2**24) / 2**24 for share in expected]


@pytest.mark.slow
@pytest.mark.one_backend
def test_is_the_accuracy_on_the_positive_pixels() -> None:
    logits, labels = CASES["nineteen classes"], labels_for(CASES["nineteen classes"])
    mask = np.random.default_rng(5).random(labels.shape) < 0.8
    for positive in np.unique(labels[mask])[:3]:
        inside = mask & (labels == positive)
        recall = worst_case_recall(logits, labels, positive_class=int(positive), eps=EPS, mask=mask)
        accuracy = worst_case_pixel_accuracy(logits, labels, eps=EPS, mask=inside)
        assert (numbers(recall) == numbers(accuracy)).all()
        radius = fnr_radius(logits, labels, positive_class=int(positive), threshold=0.25, mask=mask)
        same = pixel_accuracy_radius(logits, labels, threshold=0.75, mask=inside)
        assert (numbers(radius) == numbers(same)).all()


def test_the_two_questions_invert_each_other() -> None:
    logits, labels = CASES["random"], labels_for(CASES["random"])
    options = {"positive_class": 1, **VOID}
    for threshold in (0.1, 0.3, 0.7, 1):
        radius = numbers(fnr_radius(logits, labels, threshold=threshold, **options))[0]
        # A radius of 0 has nothing below it.
        below, above = float(radius) * (1 - 1e-6), float(radius) * (1 + 1e-4)
        eps = [*np.linspace(0, below, 9), above]
        rates = numbers(worst_case_fnr(logits, labels, eps=eps, **options))[0]
        assert radius == 0 or Fraction(float(max(rates[:-1]))) < Fraction(str(threshold))
        assert Fraction(float(rates[-1])) >= Fraction(str(threshold))


@pytest.mark.one_backend
def test_an_image_without_the_class_is_undefined() -> None:
    logits = np.concatenate([CASES["random"]] * 2)
    labels = np.concatenate([labels_for(CASES["random"])] * 2)
    labels[1] = np.where(labels[1] == 2, 0, labels[1])
    for certified in (
        worst_case_fnr(logits, labels, positive_class=2, eps=0.1),
        worst_case_recall(logits, labels, positive_class=2, eps=0.1),
        fnr_radius(logits, labels, positive_class=2, threshold=0.1),
    ):
        assert np.isnan(numbers(certified)).tolist() == [False, True]


def test_wrong_labels_of_other_pixels_are_refused() -> None:
    labels = labels_for(CASES["random"])
    labels[0, 1, 1] = 7
    with pytest.raises(ValueError, match="label=7"):
        worst_case_fnr(CASES["random"], labels, positive_class=0, eps=EPS, **VOID)


@pytest.mark.parametrize("positive", [-1, 3, 0.5, None, True])
def test_the_class_is_checked(positive: object) -> None:
    labels = labels_for(CASES["random"])
    for function, question in ((worst_case_fnr, {"eps": 0.1}), (fnr_radius, {"threshold": 0.1})):
        with pytest.raises(ValueError, match=rf"`positive_class`.*{positive}"):
            function(CASES["random"], labels, positive_class=positive, **question)


def test_a_class_that_is_left_out_is_refused() -> None:
    labels = labels_for(CASES["random"])
    with pytest.raises(ValueError, match=r"positive_class=1, ignore_class=1"):
        worst_case_fnr(CASES["random"], labels, positive_class=1, eps=0.1, ignore_class=1)


def test_labels_and_threshold_are_checked() -> None:
    logits, labels = CASES["random"], labels_for(CASES["random"])
    with pytest.raises(ValueError, match="`labels` must be given"):
        worst_case_fnr(logits, None, positive_class=0, eps=1.0)
    for threshold in (-0.1, 1.5, float("nan"), True):
        with pytest.raises(ValueError, match="`threshold`"):
            fnr_radius(logits, labels, positive_class=0, threshold=threshold)


@pytest.mark.parametrize("broken", ["nothing", "ceil in floats", "every pixel counts"])
def test_the_check_catches_a_broken_radius(broken: str) -> None:
    # Ten positive pixels of margins 1 to 10, of which 3 have to be missed, and wrong negatives.
    margins = np.concatenate([np.arange(1.0, 11.0), np.full(10, 4.0)]).reshape(4, 5)
    logits = np.stack([margins, 0 * margins], -1)
    labels = (np.arange(20) >= 10).astype(int).reshape(4, 5)
    threshold = 1 - Fraction("0.7")
    image = exact.image(logits, labels, mask=labels == 0)
    needed, costs = math.ceil(threshold * 10), sorted(image.costs)
    if broken == "ceil in floats":
        needed = math.ceil((1 - 0.7) * 10)
    if broken == "every pixel counts":
        needed = math.ceil(threshold * 20)
    radius = np.sqrt(float(sum(costs[:needed]))) * (1 - 1e-7)
    total = exact.cost_of_share(image, 1 - threshold)
    if broken == "nothing":
        exact.assert_radius_sound(radius, image, total)
    else:
        with pytest.raises(AssertionError, match="too much"):
            exact.assert_radius_sound(radius, image, total)
