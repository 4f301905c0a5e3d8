from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from deel_seg.certificates import stability_radius, worst_case_pixel_accuracy, worst_case_stability
from tests.certificates import exact
from tests.certificates.cases import CASES, in_a_corner, of_shared_shapes
from tests.certificates.exact import numbers

# Everywhere ten budgets and the same void label, so that few programs are compiled.
EPS = [0.0, 1e-3, 0.1, 0.5, 1.0, 2.0, 3.0, 8.0, 1e3, 1e20]
VOID: dict[str, Any] = {"ignore_class": 255}


@pytest.mark.parametrize(
    ("name", "p"),
    of_shared_shapes([(name, 2) for name in CASES] + [("random", 1), ("random", math.inf)]),
)
def test_sound_on_adversarial_logits(name: str, p: float) -> None:
    image = exact.image(CASES[name][0], p=p)
    worst = numbers(worst_case_stability(CASES[name], eps=EPS, p=p, **VOID))[0]
    for eps, value in zip(EPS, worst, strict=True):
        exact.assert_share_sound(value, image, eps=eps)
    for fraction in (0.01, 0.333, 0.5, 1):
        share = 1 - Fraction(str(fraction))
        total = exact.cost_of_share(image, share)
        radius = float(stability_radius(CASES[name], fraction=fraction, p=p, **VOID)[0])
        if exact.cost_of_share(image.usable(), share) == total:
            exact.assert_radius_sound(radius, image, total)
        else:
            assert not exact.strictly_affordable(total, p, Fraction(radius))


@pytest.mark.slow
def test_equals_accuracy_against_the_prediction() -> None:
    logits = CASES["nineteen classes"]
    predicted = logits.argmax(-1).astype("int32")
    stability = worst_case_stability(logits, eps=EPS, **VOID)
    accuracy = worst_case_pixel_accuracy(logits, predicted, eps=EPS, **VOID)
    assert (numbers(stability) == numbers(accuracy)).all()


def test_half_of_an_odd_number_of_pixels_is_rounded_up() -> None:
    margins = np.array([1.0, 2.0, 3.0, 4.0, 5.0], "float32").reshape(1, 1, 5)
    logits = np.stack([margins, 0 * margins], -1)
    image = exact.image(logits[0])
    framed, labels = in_a_corner(logits, np.zeros(5, "int32"))
    radius = numbers(stability_radius(framed, labels=labels, **VOID))[0]
    exact.assert_radius_sound(radius, image, Fraction(1 + 4 + 9, 2))


@pytest.mark.slow
@pytest.mark.one_backend
def test_labels_only_say_what_to_ignore() -> None:
    logits = CASES["random"]
    labels = np.full((1, 4, 4), 7)  # names no class of the three
    labels[0, 0, :3] = 255
    options = {"eps": EPS, "ignore_class": 255}
    with_labels = worst_case_stability(logits, labels=labels, **options)
    masked = worst_case_stability(logits, eps=EPS, mask=labels != 255)
    assert (numbers(with_labels) == numbers(masked)).all()
    assert (numbers(with_labels) != numbers(worst_case_stability(logits, eps=EPS))).any()


def test_without_labels_the_prediction_says_what_to_ignore() -> None:
    logits = CASES["random"]
    by_prediction = worst_case_stability(logits, eps=EPS, ignore_class=1)
    masked = worst_case_stability(logits, eps=EPS, mask=logits.argmax(-1) != 1)
    assert (numbers(by_prediction) == numbers(masked)).all()
    untouched = worst_case_stability(logits, eps=EPS, ignore_class=255)
    assert (numbers(untouched) == numbers(worst_case_stability(logits, eps=EPS))).all()


@pytest.mark.parametrize("fraction", [0, -0.5, 1.01, 1 / 3, "much"])
def test_fraction_is_checked(fraction: object) -> None:
    with pytest.raises(ValueError, match="`fraction`"):
        stability_radius(CASES["random"], fraction=fraction)


def test_a_third_is_given_as_a_fraction() -> None:
    margins = np.arange(1, 10, dtype="float32").reshape(1, 3, 3)
    logits = np.stack([margins, 0 * margins], -1)
    framed, labels = in_a_corner(logits, np.zeros(9, "int32"))
    radius = numbers(stability_radius(framed, labels=labels, fraction=Fraction(1, 3), **VOID))[0]
    exact.assert_radius_sound(radius, exact.image(logits[0]), Fraction(1 + 4 + 9, 2))
