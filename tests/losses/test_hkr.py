from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from deel_seg.losses import HKR
from tests.losses import reference
from tests.losses.reference import BINARY_LABELS, BINARY_LOGITS, LABELS, LOGITS, VOID_LABELS

CLOSE = {"rel": 1e-5, "abs": 1e-6}  # 60 float32 terms


@pytest.mark.parametrize(("alpha", "margin"), [(0.0, 1.0), (10.0, 0.5), (3.0, 2.0)])
def test_equals_the_formula(alpha: float, margin: float) -> None:
    kept = VOID_LABELS != 255
    expected = reference.hkr(LOGITS, VOID_LABELS, kept, alpha, margin)
    got = HKR(alpha, margin, ignore_class=255)(VOID_LABELS, LOGITS)
    assert float(got) == pytest.approx(expected, **CLOSE)
    everywhere = np.ones_like(kept)
    expected = reference.hkr(BINARY_LOGITS, BINARY_LABELS, everywhere, alpha, margin)
    got = HKR(alpha, margin)(BINARY_LABELS, BINARY_LOGITS)
    assert float(got) == pytest.approx(expected, **CLOSE)


def test_infinite_alpha_leaves_the_hinge() -> None:
    kept = np.ones(LABELS.shape, bool)
    hinge = reference.hkr(LOGITS, LABELS, kept, 2.0, 1.0) - reference.hkr(
        LOGITS, LABELS, kept, 1.0, 1.0
    )
    loss = HKR(math.inf, 1.0)
    assert float(loss(LABELS, LOGITS)) == pytest.approx(hinge, **CLOSE)
    assert HKR.from_config(loss.get_config()).hinge_only
    with pytest.raises(ValueError, match="`alpha` is fixed"):
        loss.alpha = 1.0


def test_a_missing_class_is_no_division_by_zero() -> None:
    labels = np.where(LABELS == 2, 0, LABELS)
    assert math.isfinite(float(HKR(1.0)(labels, LOGITS)))
    assert math.isfinite(float(HKR(1.0)(np.zeros_like(LABELS), LOGITS)))


def test_parameters_are_assignable() -> None:
    loss = HKR(1.0, 1.0)
    loss.alpha, loss.min_margin = 10.0, 0.5
    assert float(loss(LABELS, LOGITS)) == float(HKR(10.0, 0.5)(LABELS, LOGITS))
    assert (float(loss.alpha), float(loss.min_margin)) == (10.0, 0.5)


@pytest.mark.parametrize("value", [-1.0, math.nan, "much", None])
def test_parameters_are_checked(value: Any) -> None:
    with pytest.raises(ValueError, match="`alpha`"):
        HKR(value)
    with pytest.raises(ValueError, match="`min_margin`"):
        HKR(1.0, value)
