from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from keras import ops

from deel_seg.certificates import (
    class_iou,
    class_iou_core,
    every_class,
    worst_case_class_iou,
    worst_case_class_ious,
)
from tests.certificates.anew import compiled_anew
from tests.certificates.cases import CASES, labels_for
from tests.certificates.exact import numbers
from tests.certificates.test_class_iou import exact_costs, frontier, worst

EPS = [0.0, 0.3, 0.7, 1.2, 2.0, 1e4]


def assert_sound(logits: np.ndarray, labels: np.ndarray, p: float) -> None:
    values = numbers(worst_case_class_ious(logits, labels, eps=EPS, p=p, ignore_class=255))[0]
    for k in range(logits.shape[-1]):
        if not (labels == k).any():
            assert np.isnan(values[k]).all()
            continue
        pairs = list(frontier(exact_costs(logits[0], labels[0], k, p), p))
        for eps, value in zip(EPS, values[k], strict=True):
            assert Fraction(float(value)) <= worst(pairs, Fraction(eps), p), "certified too much"


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize(
    "name", ["random", "ties", "zero", "huge", "cancelling", "one class", "nineteen classes"]
)
def test_sound(name: str, p: float) -> None:
    assert_sound(CASES[name], labels_for(CASES[name], ignore=255), p)


@pytest.mark.slow
@pytest.mark.one_backend
def test_as_one_class_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(3)
    logits = generator.normal(size=(2, 16, 17, 9)).astype("float32")
    labels = np.where(generator.random((2, 16, 17)) < 0.8, logits.argmax(-1), 4).astype("int32")
    together = numbers(worst_case_class_ious(logits, labels, eps=EPS))
    monkeypatch.setattr(class_iou_core, "_SORTED", 0)
    by_tables = compiled_anew(class_iou_core._worst_case, class_iou_core._STATIC)
    monkeypatch.setattr(class_iou, "compiled_worst_case", by_tables)
    for k in (0, 4):
        alone = numbers(worst_case_class_iou(logits, labels, class_id=k, eps=EPS))
        assert (together[:, k] <= alone + 1e-6).all()
        assert (together[:, k] >= alone - 0.02).all()
    single = numbers(worst_case_class_ious(logits, labels, eps=EPS[2]))
    assert single.shape == (2, 9) and (single == together[..., 2]).all()


@pytest.mark.slow
def test_six_logits_never_cost_more_than_all(monkeypatch: pytest.MonkeyPatch) -> None:
    # All other classes tie: with fewer of them in the way a pixel is cheaper to win.
    logits = np.zeros((1, 4, 4, 19), "float32")
    logits[..., 0] = -1.0
    logits[0, 0, 0, 0] = 5.0
    labels = np.ones((1, 4, 4), "int32")
    labels[0, 0, 0] = 0
    assert_sound(logits, labels, 2)
    few = numbers(worst_case_class_ious(logits, labels, eps=EPS, ignore_class=255))[0, 0]
    monkeypatch.setattr(class_iou_core, "_SORTED", 0)
    exact = numbers(worst_case_class_iou(logits, labels, class_id=0, eps=EPS))[0]
    assert (few <= exact).all()


def test_a_cost_that_is_too_high_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(every_class, "_gained", lambda distances, p: 100.0 * distances[0])
    from deel_seg.certificates import class_ious

    broken = compiled_anew(class_ious._worst_cases, ("p", "num_classes", "ignore_class"))
    monkeypatch.setattr(class_ious, "_compiled_worst_cases", broken)
    with pytest.raises(AssertionError, match="certified too much"):
        assert_sound(CASES["random"], labels_for(CASES["random"]), 2)


@pytest.mark.slow
def test_bad_images_and_arguments() -> None:
    logits, labels = CASES["random"], labels_for(CASES["random"])
    with pytest.raises(ValueError, match="`p` must be 1 or 2"):
        worst_case_class_ious(logits, labels, eps=0.1, p=math.inf)
    with pytest.raises(ValueError, match="a logit for each class"):
        worst_case_class_ious(logits[..., :1], labels, eps=0.1)
    with pytest.raises(ValueError, match="`labels` must lie in"):
        worst_case_class_ious(logits, labels + 9, eps=EPS, ignore_class=255)
    broken = logits.copy()
    broken[0, 0, 0, 0] = np.inf
    with pytest.raises(ValueError, match="finite"):
        worst_case_class_ious(ops.convert_to_tensor(broken), labels, eps=EPS, ignore_class=255)
