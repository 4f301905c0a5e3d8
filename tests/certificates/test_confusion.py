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
    ExactMetric,
    confusion_metric_radius,
    worst_case_confusion_metric,
    worst_case_recall,
)
from deel_seg.certificates.confusion_metrics import (
    balanced_accuracy,
    dice,
    f_beta,
    iou,
    precision,
    recall,
    specificity,
)
from tests.certificates import exact
from tests.certificates import exact_confusion as confusion
from tests.certificates.cases import CASES, labels_for
from tests.certificates.exact import numbers
from tests.certificates.test_in_graph import traced

EPS = (0.0, 1e-38, 0.1, 0.5, 1.0, 1.7, 2.0, 8.0, 1e3, 1e30)
# Off the sums of margins on a grid of eighths, where any rounding fits.
EPS_OFF_SUMS = (0.03, 0.11, 0.31, 0.52, 0.77, 1.02, 1.23, 1.51, 2.01, 3.3)
THRESHOLDS = (0, 0.3, 0.5, 0.75, 1)
READY = {
    "iou": iou,
    "dice": dice,
    "precision": precision,
    "recall": recall,
    "specificity": specificity,
    "balanced_accuracy": balanced_accuracy,
    "f_2": f_beta(2),
}
# The norm and the metric do not meet: two metrics show the others.
METRICS_AND_NORMS = [(name, 2) for name in READY] + [("iou", 1), ("balanced_accuracy", math.inf)]


def questions(
    metric: Any, logits: np.ndarray, labels: np.ndarray, eps: Any = EPS, **options: Any
) -> tuple[np.ndarray, list[np.float32]]:
    """Worst values and radii of the first image; labels of 255 are left out."""
    options = {"ignore_class": 255, **options}
    worst = worst_case_confusion_metric(metric, logits, labels, eps=eps, **options)
    radii = [
        numbers(confusion_metric_radius(metric, logits, labels, threshold=t, **options))[0]
        for t in THRESHOLDS
    ]
    return numbers(worst)[0], radii


def assert_sound(
    metric: ExactMetric, logits: np.ndarray, labels: np.ndarray, class_id: int, p: float = 2
) -> None:
    """Both questions against exact arithmetic."""
    worst, radii = questions(metric, logits, labels, class_id=class_id, p=p)
    image = confusion.class_image(logits[0], labels[0], class_id, p=p, ignore_class=255)
    if not confusion.defined(metric, image):
        assert np.isnan(worst).all() and np.isnan(radii).all()
        return
    for eps, value in zip(EPS, worst, strict=True):
        confusion.assert_value_sound(value, metric, image, eps=eps)
    for threshold, radius in zip(THRESHOLDS, radii, strict=True):
        total = confusion.cost_of_value(metric, image, Fraction(str(threshold)))
        confusion.assert_radius_sound(radius, image, total)


@pytest.mark.parametrize("name", [name for name in CASES if name != "one large among small"])
def test_sound_on_adversarial_logits(name: str) -> None:
    labels = labels_for(CASES[name], ignore=255)
    for class_id in (0, 1):
        assert_sound(iou, CASES[name], labels, class_id)


@pytest.mark.parametrize(("name", "p"), METRICS_AND_NORMS)
def test_every_ready_metric_is_sound(name: str, p: float) -> None:
    for case in ("random", "ties", "mixed scales"):
        for class_id in range(3):
            labels = labels_for(CASES[case], seed=class_id, ignore=255)
            assert_sound(READY[name], CASES[case], labels, class_id, p)


@settings(deadline=None, max_examples=25)
@given(
    logits=hnp.arrays(np.float32, (1, 4, 4, 3), elements=st.floats(-4, 4, width=32)),
    labels=hnp.arrays(np.int32, (1, 4, 4), elements=st.sampled_from([0, 1, 2, 255])),
    class_id=st.integers(0, 2),
    measured=st.sampled_from(
        [(iou, 2), (balanced_accuracy, 2), (iou, 1), (balanced_accuracy, math.inf)]
    ),
)
def test_sound_on_random_images(
    logits: np.ndarray, labels: np.ndarray, class_id: int, measured: tuple[ExactMetric, float]
) -> None:
    metric, p = measured
    assert_sound(metric, logits, labels, class_id, p)


@pytest.mark.parametrize(("name", "p"), METRICS_AND_NORMS)
def test_equals_all_subsets_on_a_grid_of_eighths(name: str, p: float) -> None:
    metric, generator = READY[name], np.random.default_rng(3)
    for seed in range(3):
        logits = (generator.integers(-8, 9, (1, 4, 4, 3)) / 8).astype("float32")
        labels = np.full((1, 4, 4), 255, "int32")
        labels[0, 0], labels[0, 1] = (1, 1, 1, 0), (2, 2, 0, 1)
        labels[0, 1, seed] = 255
        image = confusion.class_image(logits[0], labels[0], 1, p=p, ignore_class=255)
        worst, radii = questions(metric, logits, labels, EPS_OFF_SUMS, class_id=1, p=p)
        for eps, value in zip(EPS_OFF_SUMS, worst, strict=True):
            share = confusion.worst_value(metric, image, Fraction(eps), brute_force=True)
            assert float(value) == math.floor(share * 2**24) / 2**24
        for threshold, radius in zip(THRESHOLDS, radii, strict=True):
            share = Fraction(str(threshold))
            total = confusion.cost_of_value(metric, image, share, brute_force=True)
            assert total is not None
            confusion.assert_radius_sound(radius, image, total)


@pytest.mark.parametrize("metric", [iou, balanced_accuracy])
def test_the_two_questions_invert_each_other(metric: ExactMetric) -> None:
    for name in ("random", "ties", "cancelling"):
        logits, labels = CASES[name], labels_for(CASES[name], ignore=255)
        _, radii = questions(metric, logits, labels, class_id=1)
        radii = [float(radius) for radius in radii]
        eps = [r * (1 - 1e-6) for r in radii] + [r * (1 + 1e-4) for r in radii]
        worst, _ = questions(metric, logits, labels, eps, class_id=1)
        below, above = worst[: len(radii)], worst[len(radii) :]
        for threshold, radius, value, after in zip(THRESHOLDS, radii, below, above, strict=True):
            # A radius of 0 has nothing below it.
            assert radius == 0 or Fraction(float(value)) > Fraction(str(threshold))
            assert Fraction(float(after)) <= Fraction(str(threshold))


@pytest.mark.slow
def test_recall_is_that_of_its_own_certificate() -> None:
    for name in ("random", "ties"):
        labels = labels_for(CASES[name], ignore=255)
        worst, _ = questions(recall, CASES[name], labels, class_id=1)
        own = worst_case_recall(CASES[name], labels, positive_class=1, eps=EPS, ignore_class=255)
        assert (worst == numbers(own)[0]).all()


def test_monotone_and_scaling_with_the_logits() -> None:
    logits, labels = CASES["random"], labels_for(CASES["random"], ignore=255)
    for metric in (iou, balanced_accuracy):
        worst, radii = questions(metric, logits, labels, class_id=1)
        assert (np.diff(worst) <= 0).all() and (np.diff(radii) <= 0).all()
        weaker, smaller = questions(metric, logits, labels, class_id=1, lipschitz_constant=1.5)
        assert (weaker <= worst).all() and (np.array(smaller) <= radii).all()
        twice, same = questions(metric, 2 * logits, labels, class_id=1, lipschitz_constant=2.0)
        assert (twice == worst).all() and same == radii
        order = np.random.default_rng(0).permutation(16)
        moved = logits.reshape(1, 16, 3)[:, order].reshape(logits.shape)
        moved_labels = labels.reshape(1, 16)[:, order].reshape(labels.shape)
        assert (questions(metric, moved, moved_labels, class_id=1)[0] == worst).all()
        shifted = logits + np.array(8.0, "float32")  # Rounds the logits, hence nearly the same.
        np.testing.assert_allclose(
            questions(metric, shifted, labels, class_id=1)[1], radii, rtol=1e-4
        )


@pytest.mark.slow
@pytest.mark.parametrize("share", [0, 0.5, 0.9, 1])
def test_relative_to_the_clean_value(share: float) -> None:
    for name in ("random", "ties"):
        for metric in (iou, balanced_accuracy):
            logits, labels = CASES[name], labels_for(CASES[name], seed=4, ignore=255)
            image = confusion.class_image(logits[0], labels[0], 1, ignore_class=255)
            clean = confusion.value(metric, image.clean)
            radius = confusion_metric_radius(
                metric,
                logits,
                labels,
                class_id=1,
                threshold=share,
                relative=True,
                ignore_class=255,
            )
            total = confusion.cost_of_value(metric, image, Fraction(str(share)) * clean)
            confusion.assert_radius_sound(numbers(radius)[0], image, total)


def test_a_tolerance_can_only_lower_what_is_certified() -> None:
    logits, labels = CASES["random"], labels_for(CASES["random"], ignore=255)
    generator = np.random.default_rng(11)
    held, radii = questions(iou, logits, labels, class_id=1, logit_tolerance=0.125)
    options = {"class_id": 1, "threshold": 0.5, "relative": True, "ignore_class": 255}
    half = confusion_metric_radius(iou, logits, labels, logit_tolerance=0.125, **options)
    for _ in range(5):
        moved = (logits + generator.uniform(-0.12, 0.12, logits.shape)).astype("float32")
        image = confusion.class_image(moved[0], labels[0], 1, ignore_class=255)
        for eps, value in zip(EPS, held, strict=True):
            assert Fraction(float(value)) <= confusion.worst_value(iou, image, Fraction(eps))
        for threshold, radius in zip(THRESHOLDS, radii, strict=True):
            total = confusion.cost_of_value(iou, image, Fraction(str(threshold)))
            assert total is not None
            assert radius == 0 or not exact.strictly_affordable(total, 2, Fraction(float(radius)))
        goal = confusion.value(iou, image.clean) / 2
        total = confusion.cost_of_value(iou, image, goal)
        assert total is not None
        assert not exact.strictly_affordable(total, 2, Fraction(float(numbers(half)[0])))


def a_users_iou(tp: Any, fp: Any, fn: Any, tn: Any) -> Any:
    return tp / (tp + fp + fn)


def test_a_users_function_agrees_with_the_exact_metric() -> None:
    for name in ("random", "ties"):
        logits, labels = CASES[name], labels_for(CASES[name], ignore=255)
        worst, radii = questions(iou, logits, labels, class_id=1)
        measured, radii_measured = questions(a_users_iou, logits, labels, class_id=1)
        assert (measured <= worst).all()
        assert (measured >= worst * (1 - 1e-5) - 2.0**-23).all()
        assert radii_measured == radii  # No value lies within roundings of these thresholds.
        half = {"class_id": 1, "threshold": 0.5, "relative": True, "ignore_class": 255}
        one = confusion_metric_radius(a_users_iou, logits, labels, **half)
        other = confusion_metric_radius(iou, logits, labels, **half)
        assert (numbers(one) == numbers(other)).all()


def weighted_errors(tp: Any, fp: Any, fn: Any, tn: Any) -> Any:
    return -(3.0 * fn + fp)


@pytest.mark.slow
def test_a_users_function_may_be_negative() -> None:
    logits, labels = CASES["random"], labels_for(CASES["random"], ignore=255)
    image = confusion.class_image(logits[0], labels[0], 1, ignore_class=255)
    options = {"class_id": 1, "ignore_class": 255}
    worst = worst_case_confusion_metric(weighted_errors, logits, labels, eps=EPS, **options)
    for eps, value in zip(EPS, numbers(worst)[0], strict=True):
        least = min(
            -3 * fn - fp
            for total, (_, fp, fn, _) in image.attacks()
            if exact.affordable(total, 2, Fraction(eps))
        )
        assert Fraction(float(value)) <= least <= Fraction(float(value)) * Fraction(9999, 10000)
    for threshold in (-1, -7.5, -1000):
        radius = confusion_metric_radius(
            weighted_errors, logits, labels, threshold=threshold, **options
        )
        totals = [total for total, (_, fp, fn, _) in image.attacks() if -3 * fn - fp <= threshold]
        confusion.assert_radius_sound(numbers(radius)[0], image, min(totals, default=None))


@pytest.mark.slow
@pytest.mark.one_backend
def test_undefined_images_are_nan_and_only_they() -> None:
    logits = np.concatenate([CASES["random"]] * 4)
    labels = np.concatenate([labels_for(CASES["random"])] * 4)
    labels[1] = np.where(labels[1] == 2, 0, labels[1])
    labels[2] = 2
    labels[3] = 255
    for metric, expected in (
        (balanced_accuracy, [False, True, True, True]),
        (weighted_errors, [False, False, False, True]),
    ):
        worst = worst_case_confusion_metric(
            metric, logits, labels, class_id=2, eps=0.1, ignore_class=255
        )
        assert np.isnan(numbers(worst)).tolist() == expected
        radius = confusion_metric_radius(
            metric, logits, labels, class_id=2, threshold=0, ignore_class=255
        )
        assert np.isnan(numbers(radius)).tolist() == expected


def test_wrong_arguments_are_refused() -> None:
    logits, labels = CASES["random"], labels_for(CASES["random"])
    good = {"class_id": 0, "eps": 0.1}
    for changes, message in (
        ({"class_id": 3}, r"`class_id` must lie in \[0, 3\).*class_id=3"),
        ({"class_id": 1.0}, "`class_id` must be an integer"),
        ({"class_id": 1, "ignore_class": 1}, "`class_id` must not be `ignore_class`"),
        ({"eps": -1}, "`eps`"),
        ({"rounding": -1}, "`rounding`"),
    ):
        with pytest.raises(ValueError, match=message):
            worst_case_confusion_metric(iou, logits, labels, **{**good, **changes})
    with pytest.raises(ValueError, match="`labels` must be given"):
        worst_case_confusion_metric(iou, logits, None, **good)
    with pytest.raises(ValueError, match="`metric` must not rise"):
        worst_case_confusion_metric(lambda tp, fp, fn, tn: fp, logits, labels, **good)
    for threshold in (-0.1, 1.1, math.nan, 1 / 3, None):
        with pytest.raises(ValueError, match="`threshold`"):
            confusion_metric_radius(iou, logits, labels, class_id=0, threshold=threshold)
    for threshold, relative in ((math.nan, False), ("low", False), (1.5, True)):
        with pytest.raises(ValueError, match="`threshold`"):
            confusion_metric_radius(
                a_users_iou, logits, labels, class_id=0, threshold=threshold, relative=relative
            )


@pytest.mark.parametrize("broken", ["nothing", "factor missing", "naive sums", "nothing gained"])
def test_the_check_catches_a_broken_value(broken: str) -> None:
    # Pixels of the class are dear, so that others are gained at a cost of 1.2 each.
    lost, gained = [Fraction(50)] * 20, [Fraction(12, 10)] * 300
    image = confusion.ClassImage(lost, gained, (20, 0, 0, 300), 2)
    budget = math.sqrt(300.5)
    costs = np.full(300, 1.2) * (2 if broken == "factor missing" else 1)
    # Past 256 a float16 sum rounds each 1.2 up to 1.25.
    sums = np.cumsum(costs, dtype="float16" if broken == "naive sums" else "float64")
    most = 0 if broken == "nothing gained" else int(np.sum(sums.astype("float64") <= budget**2))
    value = math.floor(Fraction(20, 20 + most) * 2**24) / 2**24
    if broken == "nothing":
        confusion.assert_value_sound(value, iou, image, eps=budget)
    else:
        with pytest.raises(AssertionError, match="too much"):
            confusion.assert_value_sound(value, iou, image, eps=budget)


@pytest.mark.parametrize("broken", ["nothing", "floor in floats", "strictly below"])
def test_the_check_catches_a_broken_radius(broken: str) -> None:
    image = confusion.ClassImage([Fraction(12, 10)] * 100, [Fraction(60)] * 50, (100, 0, 0, 50), 2)
    threshold = Fraction("0.29")
    left = math.floor(threshold * 100)
    if broken == "floor in floats":
        left = math.floor(0.29 * 100)
    if broken == "strictly below":
        left -= 1
    radius = math.sqrt((100 - left) * 1.2) * (1 - 1e-7)
    total = confusion.cost_of_value(iou, image, threshold)
    if broken == "nothing":
        confusion.assert_radius_sound(radius, image, total)
    else:
        with pytest.raises(AssertionError, match="too much"):
            confusion.assert_radius_sound(radius, image, total)


@pytest.mark.slow
@pytest.mark.one_backend
@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_same_in_a_graph(jit_compile: bool) -> None:
    def certify(logits: Any, labels: Any, eps: Any) -> Any:
        options = {"class_id": 1, "ignore_class": 255}
        return (
            worst_case_confusion_metric(iou, logits, labels, eps=eps, **options),
            confusion_metric_radius(iou, logits, labels, threshold=0.5, **options),
        )

    function = traced(certify, jit_compile)
    for height in (4, 5):  # The second time TensorFlow leaves the height open.
        logits = np.random.default_rng(height).normal(size=(2, height, 4, 3)).astype("float32")
        labels = logits.argmax(-1).astype("int32")
        labels[:, 0] = 1
        eps = np.array([0.1, 0.5, 1.0], "float32")
        for inside, outside in zip(
            function(logits, labels, eps), certify(logits, labels, eps), strict=True
        ):
            np.testing.assert_allclose(numbers(inside), numbers(outside), rtol=1e-6)
        for where, wrong in (("logits", math.nan), ("labels", 7)):
            bad = {"logits": logits.copy(), "labels": labels.copy()}
            bad[where][1, 0, 0] = wrong
            for inside in function(bad["logits"], bad["labels"], eps):
                assert np.isnan(numbers(inside)).reshape(2, -1).all(axis=1).tolist() == [
                    False,
                    True,
                ]
                assert not np.isnan(numbers(inside)[0]).any()
