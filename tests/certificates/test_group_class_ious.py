"""The IoU of every group of classes at once, against exact arithmetic."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from deel_seg.certificates import worst_case_class_ious
from deel_seg.certificates.class_groups import check_class_groups
from deel_seg.certificates.confusion_metrics import iou
from tests.certificates import exact_confusion as confusion
from tests.certificates.cases import labels_for
from tests.certificates.exact import numbers
from tests.certificates.exact_groups import COARSE, group_class_image, six_classes

EPS = (0.0, 0.1, 0.5, 1.0, 1.7, 8.0, 1e30)
GROUPS = check_class_groups(COARSE, 6)


def assert_sound(logits: np.ndarray, labels: np.ndarray, p: float, exact_groups: Any) -> None:
    values = numbers(
        worst_case_class_ious(logits, labels, eps=EPS, p=p, ignore_class=255, class_groups=COARSE)
    )[0]
    assert values.shape == (6, len(EPS))
    for class_id, row in enumerate(values):
        image = group_class_image(logits[0], labels[0], class_id, exact_groups, p=p)
        if not image.lost:
            assert np.isnan(row).all()
            continue
        for eps, value in zip(EPS, row, strict=True):
            exact = confusion.worst_value(iou, image, Fraction(eps))
            assert Fraction(float(value)) <= exact, "certified too much"
            # A fraction of a pixel of each kind is what whole pixels may be worth.
            loose = confusion.worst_value(iou, image, Fraction(eps) * Fraction(1001, 1000))
            assert Fraction(float(value)) >= loose - Fraction(2, len(image.lost))


@pytest.mark.parametrize(
    ("kind", "p"), [("random", 2), ("members level", 2), ("mixed scales", 2), ("ties", 1)]
)
def test_every_group_is_sound(kind: str, p: float) -> None:
    logits = six_classes(kind)
    assert_sound(logits, labels_for(logits, seed=15, ignore=255), p, GROUPS)


@pytest.mark.slow
def test_the_classes_of_a_group_share_its_value() -> None:
    logits = six_classes("random")
    labels = labels_for(logits, seed=15)
    values = numbers(worst_case_class_ious(logits, labels, eps=0.0, class_groups=COARSE))[0]
    assert values[0] == values[2] and values[3] == values[4] == values[5]
    assert len(set(values.tolist())) == 3


def test_the_check_tells_groups_from_classes() -> None:
    logits = six_classes("random")
    with pytest.raises(AssertionError, match="certified too much"):
        assert_sound(logits, labels_for(logits, seed=15, ignore=255), 2, range(6))


def test_groups_that_are_none() -> None:
    logits = six_classes("random")
    with pytest.raises(ValueError, match=r"`class_groups` must hold ids in \[0, 6\)"):
        worst_case_class_ious(logits, labels_for(logits), eps=0.1, class_groups=[(0, 6)])
