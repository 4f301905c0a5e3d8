"""One certificate at several levels: the same as one call each, and levels that are none."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from keras import ops

from deel_seg.certificates import (
    certify_hierarchy,
    pixel_radius,
    stability_radius,
    worst_case_pixel_accuracy,
)
from deel_seg.certificates.class_groups import check_class_groups
from tests.certificates import exact
from tests.certificates.cases import labels_for
from tests.certificates.exact import numbers
from tests.certificates.exact_groups import COARSE, leaving_cost, six_classes

LEVELS: dict[str, Any] = {"fine": None, "coarse": COARSE, "coarsest": [(0, 1, 2), (3, 4, 5)]}
EPS = (0.0, 0.1, 0.5, 1.0, 1.7, 8.0)


def exact_share(logits: np.ndarray, labels: np.ndarray, groups: Any, eps: float) -> Fraction:
    """Exact worst-case accuracy at a level; labels of 255 are left out."""
    groups = check_class_groups(groups, 6)
    costs = [
        leaving_cost([Fraction(float(z)) for z in logits[where]], int(labels[where]), groups, 2)
        for where in np.ndindex(*labels.shape)
        if labels[where] != 255
    ]
    return exact.share_left(exact.Image(costs, 2), Fraction(eps))


@pytest.mark.one_backend
@pytest.mark.parametrize("kind", ["random", "members level"])
def test_every_level_is_sound_and_none_is_below_a_finer_one(kind: str) -> None:
    logits, labels = six_classes(kind), labels_for(six_classes(kind), ignore=255)
    options = {"eps": EPS, "ignore_class": 255}
    worst = certify_hierarchy(worst_case_pixel_accuracy, logits, labels, levels=LEVELS, **options)
    assert list(worst) == list(LEVELS)
    for name, groups in LEVELS.items():
        single = worst_case_pixel_accuracy(logits, labels, class_groups=groups, **options)
        assert (numbers(worst[name]) == numbers(single)).all()
        for eps, value in zip(EPS, numbers(worst[name])[0], strict=True):
            assert Fraction(float(value)) <= exact_share(logits[0], labels[0], groups, eps)
    for finer, coarser in itertools.pairwise(worst.values()):
        assert (numbers(finer) <= numbers(coarser)).all()
    # A level is a level: what is certified of the coarsest does not hold for the finest.
    assert any(
        Fraction(float(value)) > exact_share(logits[0], labels[0], None, eps)
        for eps, value in zip(EPS, numbers(worst["coarsest"])[0], strict=True)
    )


def test_pixels_stand_further_from_coarser_classes() -> None:
    radii = certify_hierarchy(pixel_radius, six_classes("random"), levels=LEVELS)
    for finer, coarser in itertools.pairwise(radii.values()):
        assert (numbers(finer) <= numbers(coarser)).all()
        assert (numbers(finer) < numbers(coarser)).any()


def test_functions_of_other_arguments() -> None:
    logits = six_classes("random")
    passed = certify_hierarchy(
        lambda *arrays, **options: (arrays, options), logits, levels=LEVELS, fraction=0.5
    )
    assert list(passed) == list(LEVELS)
    for name, (arrays, options) in passed.items():
        assert len(arrays) == 1 and arrays[0] is logits
        assert options == {"class_groups": LEVELS[name], "fraction": 0.5}


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ({}, "not empty.*levels={}"),
        ([COARSE], "`levels` must be a dict"),
        ({"coarse": COARSE, "fine": None}, "fine to coarse.*level='fine', before='coarse'"),
        ({"a": [(0, 1)], "b": [(0, 2), (1, 3)]}, r"torn_apart=\[0, 1\]"),
        ({"a": [(0, 1), (2, 3)], "b": [(0, 1)]}, r"torn_apart=\[2, 3\]"),
        ({"a": [(0, 0)]}, r"`levels\['a'\]` is not a level: .*each once"),
        ({"a": None, "b": [(0, 9)]}, r"ids in \[0, 6\)"),
    ],
)
def test_levels_that_are_none(levels: Any, message: str) -> None:
    logits = six_classes("random")
    with pytest.raises(ValueError, match=message):
        certify_hierarchy(stability_radius, logits, levels=levels)


def test_what_cannot_be_certified_by_levels() -> None:
    logits = six_classes("random")
    for certificate in (ops.argmax, "accuracy"):
        with pytest.raises(ValueError, match=r"must be a function.*`class_groups`"):
            certify_hierarchy(certificate, logits, levels=LEVELS)
    with pytest.raises(ValueError, match="`class_groups` must be left out"):
        certify_hierarchy(stability_radius, logits, levels=LEVELS, class_groups=COARSE)
