from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from deel_seg.certificates import pixel_radius
from tests.certificates import exact
from tests.certificates.cases import CASES, labels_for
from tests.certificates.exact import numbers


@pytest.mark.parametrize(
    ("name", "p", "labelled"),
    [(name, 2, labelled) for name in CASES for labelled in (True, False)]
    + [(name, p, True) for name in ("random", "binary") for p in (1, math.inf)],
)
def test_every_radius_is_sound(name: str, p: float, labelled: bool) -> None:
    logits = CASES[name]
    labels = labels_for(logits) if labelled else None
    radii = numbers(pixel_radius(logits, labels, p=p, lipschitz_constant=0.7)).reshape(-1)
    image = exact.image(logits[0], None if labels is None else labels[0], p=p)
    for radius, cost, usable in zip(radii, image.costs, image.usable().costs, strict=True):
        if cost == usable:
            exact.assert_radius_sound(radius, image, cost, 0.7)
        else:
            assert not exact.strictly_affordable(cost, p, Fraction(float(radius)) * Fraction(0.7))


@pytest.mark.parametrize("constant", [1e-38, 1e-30, 1e30, 1e38])
def test_extreme_constants_stay_sound(constant: float) -> None:
    logits = CASES["random"]
    radii = numbers(pixel_radius(logits, lipschitz_constant=constant)).reshape(-1)
    image = exact.image(logits[0])
    for radius, cost in zip(radii, image.costs, strict=True):
        assert math.isfinite(radius)
        reached = Fraction(float(radius)) * Fraction(constant)
        assert not exact.strictly_affordable(cost, 2, reached)


def test_ignored_pixels_are_nan_and_wrong_ones_zero() -> None:
    logits = np.array([[[[2.0, 0.0], [2.0, 0.0], [2.0, 0.0]]]], "float32")
    radii = numbers(pixel_radius(logits, np.array([[[0, 1, 255]]]), ignore_class=255))[0, 0]
    assert 1.414 < radii[0] < 1.41422 and radii[1] == 0 and np.isnan(radii[2])
    masked = numbers(pixel_radius(logits, mask=np.array([[[True, False, True]]])))[0, 0]
    assert np.isnan(masked).tolist() == [False, True, False]


def test_a_binary_logit_has_no_factor() -> None:
    logits = np.array([[[[1.5], [-0.5], [0.0]]]], "float32")
    radii = numbers(pixel_radius(logits))[0, 0]
    assert 1.49999 < radii[0] <= 1.5 and 0.49999 < radii[1] <= 0.5 and radii[2] == 0
    radii = numbers(pixel_radius(logits, np.array([[[1, 1, 0]]])))[0, 0]
    assert radii[0] > 1.49999 and radii[1] == 0 and radii[2] == 0
