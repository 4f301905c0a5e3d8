"""Every pair of certificates on every kind of logits, number of classes and precision.

One-sided, against exact rationals; all kinds of images are one batch, so that a pair compiles once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from keras import ops

from deel_seg.certificates import (
    class_iou_radius,
    confusion_metric_radius,
    fnr_radius,
    pixel_accuracy_radius,
    stability_radius,
    worst_case_class_iou,
    worst_case_confusion_metric,
    worst_case_pixel_accuracy,
    worst_case_recall,
    worst_case_stability,
)
from deel_seg.certificates.confusion_metrics import dice, iou, recall
from tests.certificates import exact
from tests.certificates import exact_confusion as confusion
from tests.certificates.exact import numbers

VOID, CLASS = 255, 0
EPS = (0.0, 2.0**-20, 0.5, 1.0, math.sqrt(0.5), math.sqrt(2.5), 4.0, 1e30)
HALF = 0.5
SHAPE = (2, 4)


def images(num_classes: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name to `(H, W, K)` logits and `(H, W)` labels."""
    generator = np.random.default_rng(num_classes)
    shape = (*SHAPE, num_classes)
    normal = generator.normal(size=shape)
    steps = np.zeros(shape)
    steps[..., 0] = np.arange(8).reshape(SHAPE) / 8  # The squares of these sums are representable.
    logits = {
        "random": normal,
        "ties": generator.integers(0, 2, shape),
        "zero": np.zeros(shape),
        "huge": 6e4 * generator.uniform(-1, 1, shape),
        "huge beside tiny": 10.0 ** generator.uniform(-4, 4, shape),
        "cancelling": 1e3 + 2.0 ** generator.integers(-3, 3, shape),
        "subnormal": 2.0**-24 * generator.integers(-3, 3, shape),
        "progression": steps,
        "one class": normal,
        "all wrong": normal,
        "all void": normal,
    }
    labels = {name: predictions(z) for name, z in logits.items()}
    labels["random"][0, :2] = (VOID, (labels["random"][0, 1] + 1) % max(num_classes, 2))
    labels["one class"][:] = CLASS
    labels["all wrong"] = (labels["all wrong"] + 1) % max(num_classes, 2)
    labels["all void"][:] = VOID
    return {name: (logits[name], labels[name]) for name in logits}


def predictions(logits: np.ndarray) -> np.ndarray:
    binary = logits.shape[-1] == 1
    return (logits[..., 0] > 0).astype("int32") if binary else logits.argmax(-1).astype("int32")


def of_class(metric: Any) -> Callable[..., tuple[Any, Any] | None]:
    def oracle(logits: np.ndarray, labels: np.ndarray) -> tuple[Any, Any] | None:
        image = confusion.class_image(logits, labels, CLASS, ignore_class=VOID)
        if not image.lost:
            return None
        return (
            lambda budget: confusion.worst_value(metric, image, budget),
            confusion.cost_of_value(metric, image, Fraction(1, 2)),
        )

    return oracle


def of_pixels(by_label: bool) -> Callable[..., tuple[Any, Any] | None]:
    def oracle(logits: np.ndarray, labels: np.ndarray) -> tuple[Any, Any] | None:
        reference = labels if by_label else None
        image = exact.image(logits, reference, ignore_class=VOID if by_label else None)
        if not image.costs:
            return None
        return (
            lambda budget: exact.share_left(image, budget),
            exact.cost_of_share(image, Fraction(1, 2)),
        )

    return oracle


# Name to Q1, Q2 and what gives their exact values.
PAIRS: dict[str, tuple[Any, Any, Any]] = {
    "accuracy": (
        lambda z, y: worst_case_pixel_accuracy(z, y, eps=EPS, ignore_class=VOID),
        lambda z, y: pixel_accuracy_radius(z, y, threshold=HALF, ignore_class=VOID),
        of_pixels(by_label=True),
    ),
    "stability": (
        lambda z, _: worst_case_stability(z, eps=EPS),
        lambda z, _: stability_radius(z, fraction=HALF),
        of_pixels(by_label=False),
    ),
    "recall": (
        lambda z, y: worst_case_recall(z, y, positive_class=CLASS, eps=EPS, ignore_class=VOID),
        lambda z, y: fnr_radius(z, y, positive_class=CLASS, threshold=HALF, ignore_class=VOID),
        of_class(recall),
    ),
    "IoU": (
        lambda z, y: worst_case_class_iou(z, y, class_id=CLASS, eps=EPS, ignore_class=VOID),
        lambda z, y: class_iou_radius(z, y, class_id=CLASS, threshold=HALF, ignore_class=VOID),
        of_class(iou),
    ),
    "Dice": (
        lambda z, y: worst_case_confusion_metric(
            dice, z, y, class_id=CLASS, eps=EPS, ignore_class=VOID
        ),
        lambda z, y: confusion_metric_radius(
            dice, z, y, class_id=CLASS, threshold=HALF, ignore_class=VOID
        ),
        of_class(dice),
    ),
}

ALL = [(k, dtype) for k in (1, 2, 19, 150) for dtype in ("float32", "bfloat16", "float16")]
# What every run of the tests takes; the others are slow.
SOME = {("accuracy", 2, "bfloat16"), ("IoU", 19, "bfloat16"), ("stability", 1, "float16")}


def assert_sound(
    pair: tuple[Any, Any, Any], num_classes: int, dtype: str, found: Callable[[Any], Any] = numbers
) -> None:
    """Q1 and Q2 of a whole batch, image by image, never above the exact values."""
    worst_case, radius, oracle = pair
    kinds = images(num_classes)
    narrow = ops.cast(np.stack([z for z, _ in kinds.values()]).astype("float32"), dtype)
    labels = np.stack([y for _, y in kinds.values()])
    values, radii = found(worst_case(narrow, labels)), found(radius(narrow, labels))
    read = numbers(ops.cast(narrow, "float32"))  # What the model's logits are, exactly.
    for kind, z, y, shares, reached in zip(kinds, read, labels, values, radii, strict=True):
        expected = oracle(z, y)
        if expected is None:
            assert np.isnan(shares).all() and np.isnan(reached), kind
            continue
        exact_value, cost = expected
        for eps, share in zip(EPS, shares, strict=True):
            assert Fraction(float(share)) <= exact_value(Fraction(eps)), f"{kind}: too much"
        if cost is None:
            assert reached == math.inf, kind
            continue
        budget = Fraction(float(reached))
        within = exact.strictly_affordable(cost, 2, budget)
        assert budget == 0 or not within, f"{kind}: too large a radius"
        # A budget that is enough in truth is never called far from enough.
        if kind in ("random", "progression", "one class"):
            usable = budget * (1 + confusion.SLACK) + exact.SMALLEST
            assert exact.affordable(cost, 2, usable), f"{kind}: too small a radius"


@pytest.mark.every_set
@pytest.mark.parametrize(
    ("name", "num_classes", "dtype"),
    [
        pytest.param(name, k, dtype, marks=() if (name, k, dtype) in SOME else (pytest.mark.slow,))
        for name in PAIRS
        for k, dtype in ALL
    ],
)
def test_never_better_than_exact(name: str, num_classes: int, dtype: str) -> None:
    assert_sound(PAIRS[name], num_classes, dtype)


def test_a_thousandth_too_much_is_caught() -> None:
    with pytest.raises(AssertionError, match="too large a radius"):
        assert_sound(
            PAIRS["accuracy"],
            2,
            "bfloat16",
            found=lambda values: numbers(values) * (1 if values.ndim > 1 else 1.001),
        )
    with pytest.raises(AssertionError, match="too much"):
        assert_sound(PAIRS["accuracy"], 2, "bfloat16", found=lambda values: numbers(values) * 1.001)
