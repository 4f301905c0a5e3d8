from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from keras import ops

from deel_seg.certificates import ExactMetric, check_confusion_metric, confusion_metrics
from deel_seg.certificates.confusion_counts import Counts
from deel_seg.certificates.measured_metric import MeasuredMetric
from tests.certificates.exact import numbers

COUNTS = (7, 2, 3, 88)
READY = {
    confusion_metrics.iou: Fraction(7, 12),
    confusion_metrics.dice: Fraction(14, 19),
    confusion_metrics.precision: Fraction(7, 9),
    confusion_metrics.recall: Fraction(7, 10),
    confusion_metrics.specificity: Fraction(88, 90),
    confusion_metrics.balanced_accuracy: (Fraction(7, 10) + Fraction(88, 90)) / 2,
    confusion_metrics.f_beta(1): Fraction(14, 19),
    confusion_metrics.f_beta(2): Fraction(35, 49),
    confusion_metrics.f_beta(0.5): Fraction(7 * 5, 7 * 5 + 3 * 1 + 2 * 4),
}


@pytest.mark.parametrize(("metric", "expected"), READY.items())
def test_values(metric: ExactMetric, expected: Fraction) -> None:
    assert Fraction(*metric.fraction(*COUNTS)) == expected
    assert float(metric(*COUNTS)) == pytest.approx(float(expected), rel=1e-6)
    columns = [np.array([[count, 0]]) for count in COUNTS]
    assert numbers(metric(*columns)).shape == (1, 2)
    check_confusion_metric(metric)


@pytest.mark.parametrize(
    ("metric", "undefined"),
    [
        (confusion_metrics.iou, {"no positive"}),
        (confusion_metrics.dice, {"no positive"}),
        (confusion_metrics.f_beta(2), {"no positive"}),
        (confusion_metrics.precision, {"no positive"}),
        (confusion_metrics.recall, {"no positive"}),
        (confusion_metrics.specificity, {"no negative"}),
        (confusion_metrics.balanced_accuracy, {"no positive", "no negative"}),
    ],
)
def test_where_nothing_can_be_measured(metric: ExactMetric, undefined: set[str]) -> None:
    counts = {"no positive": (0, 3, 0, 5), "no negative": (3, 0, 2, 0), "neither": (0, 0, 0, 0)}
    for name, values in counts.items():
        assert math.isnan(float(metric(*values))) == (name in undefined or name == "neither")


def test_precision_of_nothing_predicted_is_zero() -> None:
    assert float(confusion_metrics.precision(0, 0, 4, 9)) == 0.0


def test_f_beta_is_one_object_for_one_beta() -> None:
    assert confusion_metrics.f_beta(2) is confusion_metrics.f_beta(2.0)
    assert confusion_metrics.f_beta(Fraction(1, 3)) is not confusion_metrics.f_beta(3)
    for beta in (0, -1, "two", None, True, math.nan, math.inf, math.pi, [1]):
        with pytest.raises(ValueError, match="`beta`"):
            confusion_metrics.f_beta(beta)


def matthews(tp: Any, fp: Any, fn: Any, tn: Any) -> Any:
    both = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    value = (tp * tn - fp * fn) / ops.sqrt(ops.maximum(both, 1.0))
    return ops.where((tp + fn) * (tn + fp) > 0, value, float("nan"))


@pytest.mark.parametrize(
    "metric",
    [
        lambda tp, fp, fn, tn: tp / (tp + fn + fp),
        lambda tp, fp, fn, tn: -1.0 * fn - 3.0 * fp,
        lambda tp, fp, fn, tn: 0.5 + 0.0 * tp,
        lambda tp, fp, fn, tn: ops.sqrt((tp / (tp + fn)) * (tn / (tn + fp))),
    ],
)
def test_functions_that_fall_pass(metric: Callable) -> None:
    check_confusion_metric(metric)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (lambda tp, fp, fn, tn: tp + fp, r"`metric` must not rise.*value=.*tp=.*tn="),
        (lambda tp, fp, fn, tn: fn, "must not rise"),
        (lambda tp, fp, fn, tn: tp / (tp + fp), "must be finite"),
        (lambda tp, fp, fn, tn: 1.0 / (fp + 1.0) + 1e-3 * fn, "must not rise"),
        (lambda tp, fp, fn, tn: ops.log(tp), "must be finite"),
        (lambda tp, fp, fn, tn: ops.mean(tp), r"one value for each entry.*shape=\(\)"),
        (ExactMetric(lambda tp, fp, fn, tn: (fp, tp + fp + tn + fn)), "must not rise"),
        (ExactMetric(lambda tp, fp, fn, tn: (2 * tp, tp + fn)), "0 <= numerator <= denominator"),
        ("iou", r"`metric` must be a hashable function.*metric='iou'"),
        (None, "must be a hashable function"),
    ],
)
def test_others_are_refused(metric: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_confusion_metric(metric)


def test_what_hides_a_rise_in_its_rounding_passes() -> None:
    def wavers(tp: Any, fp: Any, fn: Any, tn: Any) -> Any:
        return tp / (tp + fn + fp) + 1e-4 * ops.cos(1e3 * (fp + fn))

    with pytest.raises(ValueError, match="must not rise"):
        check_confusion_metric(wavers)
    check_confusion_metric(wavers, rounding=1e-4)
    for rounding in (-1.0, math.nan, "much"):
        with pytest.raises(ValueError, match="`rounding`"):
            check_confusion_metric(wavers, rounding=rounding)


def test_a_metric_is_evaluated_once_for_its_check() -> None:
    calls = []

    def counted(tp: Any, fp: Any, fn: Any, tn: Any) -> Any:
        calls.append(tp)
        return tp / (tp + fn + fp)

    check_confusion_metric(counted)
    first = len(calls)
    check_confusion_metric(counted)
    assert 0 < first == len(calls)


def as_counts(columns: Any) -> Counts:
    return Counts(*(ops.convert_to_tensor(np.array([c], "int32")) for c in columns))


@pytest.mark.parametrize("metric", READY)
def test_the_least_value_is_exact_to_the_last_step(metric: ExactMetric) -> None:
    generator = np.random.default_rng(0)
    for largest in (5, 2000, 2**24):
        columns = generator.integers(1, largest, (4, 50))
        got = float(metric.worst(as_counts(columns))[0])
        exact = min(Fraction(*metric.fraction(*point)) for point in columns.T.tolist())
        assert got == math.floor(exact * 2**24) / 2**24


@pytest.mark.parametrize("metric", READY)
def test_thresholds_are_exact(metric: ExactMetric) -> None:
    generator = np.random.default_rng(1)
    for largest in (12, 2**24):
        columns = generator.integers(1, largest, (4, 50))
        values = [Fraction(*metric.fraction(*point)) for point in columns.T.tolist()]
        for threshold in (Fraction(0), Fraction(3, 10), values[0].limit_denominator(10**6)):
            parts = metric.read_threshold(threshold, relative=False)
            got = numbers(metric.at_most(as_counts(columns), parts, None))[0]
            assert got.tolist() == [value <= threshold for value in values]
        clean = as_counts(columns[:, :1])
        for share in ("0.5", "0.999999", "1"):
            parts = metric.read_threshold(Fraction(share), relative=True)
            got = numbers(metric.at_most(as_counts(columns), parts, clean))[0]
            assert got.tolist() == [value <= Fraction(share) * values[0] for value in values]


def test_a_value_equal_to_the_threshold_has_reached_it() -> None:
    counts = as_counts([[3, 29, 1, 7], [7, 50, 2, 2], [0, 21, 0, 1], [4, 4, 4, 4]])
    metric = confusion_metrics.iou
    for threshold in ("0.3", "0.29"):
        # 0.29 * 100 is 28.999999999999996 in floats.
        parts = metric.read_threshold(Fraction(threshold), relative=False)
        got = numbers(metric.at_most(counts, parts, None))[0].tolist()
        assert got == [True if threshold == "0.3" else False, True, False, False]


def test_measured_values_are_lowered_by_what_they_may_be_off() -> None:
    generator = np.random.default_rng(2)
    columns = generator.integers(1, 1000, (4, 50))
    counts = as_counts(columns)
    for function, fraction in (
        (lambda tp, fp, fn, tn: tp / (tp + fp + fn), lambda a, b, c, d: Fraction(a, a + b + c)),
        (lambda tp, fp, fn, tn: -fn / (tp + fn), lambda a, b, c, d: Fraction(-c, a + c)),
    ):
        exact = [fraction(*point) for point in columns.T.tolist()]
        metric = MeasuredMetric(function, 0.0)
        worst = Fraction(float(metric.worst(counts)[0]))
        assert worst <= min(exact) <= worst + Fraction(1, 10**5)
        for threshold in (exact[0], exact[1] - Fraction(1, 100)):
            parts = metric.read_threshold(float(threshold), relative=False)
            reached = numbers(metric.at_most(counts, parts, None))[0]
            for value, hit in zip(exact, reached, strict=True):
                assert hit or value > Fraction(float(threshold))
                assert not hit or value <= Fraction(float(threshold)) + Fraction(1, 10**4)
        off = Fraction(float(MeasuredMetric(function, 0.125).worst(counts)[0]))
        assert off <= min(exact) - Fraction(1, 8) <= off + Fraction(1, 10**4)


def test_measured_values_that_are_nan_are_neither_good_nor_bad() -> None:
    metric = MeasuredMetric(lambda tp, fp, fn, tn: tp / (tp + fp), 0.0)
    counts = as_counts([[0, 1], [0, 1], [1, 1], [1, 1]])
    assert math.isnan(float(metric.worst(counts)[0]))
    parts = metric.read_threshold(0.1, relative=False)
    assert numbers(metric.at_most(counts, parts, None)).tolist() == [[True, False]]


def test_a_correlation_needs_to_say_how_far_its_terms_cancel() -> None:
    check_confusion_metric(matthews, rounding=1e-4)
