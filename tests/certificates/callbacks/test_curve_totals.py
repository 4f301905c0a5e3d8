from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from keras import ops

from deel_seg._backend import IS_TENSORFLOW
from deel_seg.certificates import stability_radius
from deel_seg.certificates.callbacks.curve_totals import (
    Curve,
    CurveOptions,
    CurveTotals,
    mean_below,
)
from tests.certificates.callbacks.example import (
    EPS,
    assert_curve_sound,
    exact_accuracy,
    exact_mean_iou,
    exact_shares,
    is_float_below,
    is_nan,
    mean,
)
from tests.certificates.exact import numbers
from tests.certificates.metrics.example import LOGITS, VOID_LABELS

OPTIONS = CurveOptions(tuple(EPS), (Fraction(1, 2),), 2, 255, 0.0)


def totals_of(
    *batches: slice, logits: Any = LOGITS, labels: Any = VOID_LABELS, constant: float = 1.0
) -> CurveTotals:
    totals = CurveTotals(OPTIONS, constant)
    for batch in batches:
        totals.update(*(ops.convert_to_tensor(x[batch]) for x in (logits, labels)))
    return totals


def columns(curve: Curve) -> dict[str, list[Any]]:
    return {"eps": EPS, "crpa": curve.crpa, "crs": curve.crs}


@pytest.mark.parametrize("constant", [1.0, 1.7])
def test_means_are_never_above_the_exact_ones(constant: float) -> None:
    curve = totals_of(slice(0, 4), slice(4, 6), constant=constant).result()
    assert_curve_sound(columns(curve), constant)
    assert is_float_below(curve.pixel_accuracy, exact_accuracy())
    assert (curve.images, curve.skipped) == (5, 1)


def test_the_check_catches_too_small_a_constant_and_a_wrong_mean() -> None:
    loose = totals_of(slice(0, 4), slice(4, 6), constant=1 / 1.7).result()
    with pytest.raises(AssertionError, match="too much"):
        assert_curve_sound(columns(loose))
    curve = totals_of(slice(0, 4), slice(4, 6)).result()
    with pytest.raises(AssertionError, match="too much"):
        rounded_up = [value + 2.0**-23 for value in curve.crs]
        assert_curve_sound({**columns(curve), "crs": rounded_up})
    with pytest.raises(AssertionError, match="far too little"):
        over_all_images = [value * 5 / 6 for value in curve.crpa]
        assert_curve_sound({**columns(curve), "crpa": over_all_images})
    shares = exact_shares(VOID_LABELS, EPS[0])
    assert mean(shares) != sum(shares, Fraction(0)) / len(VOID_LABELS)


def test_mean_iou_is_that_of_the_data_set() -> None:
    value = totals_of(slice(0, 4), slice(4, 6)).result().mean_iou
    assert is_float_below(value, exact_mean_iou())
    assert Fraction(value) > exact_mean_iou() * (1 - Fraction(1, 2**52))
    if not IS_TENSORFLOW:  # Keras' own asks for int64 there, which JAX warns about.
        return
    metric = keras.metrics.MeanIoU(3, ignore_class=255, sparse_y_pred=False)
    metric.update_state(VOID_LABELS.astype("int32"), LOGITS)
    assert abs(float(metric.result()) - value) < 1e-6


def test_a_class_that_nothing_has_does_not_count() -> None:
    logits = np.where(np.arange(3) == 1, LOGITS - 100.0, LOGITS).astype("float32")
    labels = np.where(VOID_LABELS == 1, 2, VOID_LABELS)
    kept, predicted = labels != 255, logits.argmax(-1)
    shares = [
        Fraction(
            int((kept & (predicted == k) & (labels == k)).sum()),
            int((kept & ((predicted == k) | (labels == k))).sum()),
        )
        for k in (0, 2)
    ]
    value = totals_of(slice(0, 4), slice(4, 6), logits=logits, labels=labels).result().mean_iou
    assert is_float_below(value, mean(shares))


def test_stability_is_the_mean_of_its_function() -> None:
    radii = numbers(stability_radius(LOGITS, labels=VOID_LABELS, ignore_class=255))
    expected = mean([Fraction(float(radius)) for radius in radii if not np.isnan(radius)])
    (value,) = totals_of(slice(0, 4), slice(4, 6)).result().stability
    # Of one batch or of two: XLA may sum in another order, by the rounding of the sums.
    assert abs(Fraction(value) - expected) <= expected / (10**6 if IS_TENSORFLOW else 10**4)


def test_the_batches_do_not_matter() -> None:
    whole = totals_of(slice(0, 4), slice(4, 6)).result()
    other = totals_of(slice(2, 6), slice(0, 2)).result()
    assert (whole.crpa, whole.crs, whole.mean_iou) == (other.crpa, other.crs, other.mean_iou)


def test_logits_that_are_not_finite_make_everything_nan() -> None:
    for bad in (math.nan, math.inf):
        logits = LOGITS.copy()
        logits[0, 0, 0, 0] = bad
        curve = totals_of(slice(0, 4), slice(4, 6), logits=logits).result()
        assert is_nan([*curve[:2], *curve.crpa, *curve.crs, *curve.stability])
        assert (curve.images, curve.skipped) == (5, 1)
    # An image of which no pixel counts is left out, whatever it holds.
    logits = LOGITS.copy()
    logits[3] = math.nan
    totals = totals_of(slice(0, 4), slice(4, 6), logits=logits)
    assert totals.result() == totals_of(slice(0, 4), slice(4, 6)).result()


def test_nothing_that_counts_is_nan_and_no_plausible_number() -> None:
    curve = totals_of(slice(0, 4), labels=np.full_like(VOID_LABELS, 255)).result()
    assert is_nan([*curve[:2], *curve.crpa, *curve.crs, *curve.stability])
    assert (curve.images, curve.skipped) == (0, 4)


@pytest.mark.parametrize("label", [3, -1, 2**30])
def test_labels_that_name_no_class_are_refused(label: int) -> None:
    labels = VOID_LABELS.copy()
    labels[0, 0, 0] = label
    with pytest.raises(ValueError, match=r"ignore_class.*classes=3, ignore_class=255"):
        totals_of(slice(0, 4), labels=labels)


@pytest.mark.one_backend
def test_labels_may_be_floats_and_have_a_last_axis() -> None:
    expected = totals_of(slice(0, 4)).result()
    assert totals_of(slice(0, 4), labels=VOID_LABELS[..., None]).result() == expected
    assert totals_of(slice(0, 4), labels=VOID_LABELS.astype("float32")).result() == expected


@pytest.mark.slow
@pytest.mark.one_backend
def test_a_binary_model() -> None:
    logits = LOGITS[:4, ..., :1]
    labels = np.where(VOID_LABELS == 2, 1, VOID_LABELS)[:4]
    curve = totals_of(slice(0, 4), logits=logits, labels=labels).result()
    kept, predicted = labels != 255, (logits[..., 0] > 0).astype(int)
    shares = [
        Fraction(
            int((kept & (predicted == k) & (labels == k)).sum()),
            int((kept & ((predicted == k) | (labels == k))).sum()),
        )
        for k in (0, 1)
    ]
    assert is_float_below(curve.mean_iou, mean(shares))
    assert 0 < curve.crpa[1] <= curve.crpa[0] <= curve.pixel_accuracy


@pytest.mark.parametrize("logits", [[LOGITS, LOGITS], LOGITS[..., 0]])
def test_outputs_that_are_no_logits_are_refused(logits: Any) -> None:
    outputs = logits if isinstance(logits, list) else ops.convert_to_tensor(logits)
    with pytest.raises(ValueError, match="one output"):
        CurveTotals(OPTIONS, 1.0).update(outputs, ops.convert_to_tensor(VOID_LABELS))


# Rounded down as a sum, and again as a mean, it is the second float below.
TWICE_ROUNDED = [
    9.517523817854148e24, 4.704529072156572e35, 4.9700697854985676e35, 5.610827945973493e35,
    5.6108283421143056e35, 1.0268957044753586e36, 1.083423889235011e36, 1.2485852144289593e36,
    *[0.0] * 9,
]  # fmt: skip


@given(st.lists(st.floats(0, 2.0**120, width=32), min_size=1, max_size=20))
@example(TWICE_ROUNDED)
def test_mean_below(values: list[float]) -> None:
    exact = mean([Fraction(value) for value in values])
    below = mean_below(values)
    assert Fraction(below) <= exact
    assert exact < Fraction(math.nextafter(below, math.inf))


def test_a_mean_to_nearest_would_be_caught() -> None:
    generator = np.random.default_rng(0)
    lists = [generator.random(7).tolist() for _ in range(20)]
    exact = [mean([Fraction(value) for value in values]) for values in lists]
    nearest = [math.fsum(values) / len(values) for values in lists]
    assert any(Fraction(value) > bound for value, bound in zip(nearest, exact, strict=True))
    assert all(Fraction(mean_below(v)) <= bound for v, bound in zip(lists, exact, strict=True))


def test_the_mean_of_nothing_and_of_nan_is_nan() -> None:
    assert is_nan([mean_below([]), mean_below([0.5, math.nan])])
    assert mean_below(np.array([0.5, 1.0])) == 0.75
