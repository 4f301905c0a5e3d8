from __future__ import annotations

import math

import keras
import numpy as np
import pytest

from deel_seg.certificates import PixelAccuracy
from tests.certificates.metrics.example import LABELS, LOGITS, VOID_LABELS, compiled_model


@pytest.mark.parametrize("average", ["image", "pixel"])
def test_equals_counting(average: str) -> None:
    correct = (LOGITS.argmax(-1) == VOID_LABELS).sum((1, 2))
    kept = (VOID_LABELS != 255).sum((1, 2))
    present = kept > 0
    expected = {
        "image": np.mean(correct[present] / kept[present]),
        "pixel": correct.sum() / kept.sum(),
    }[average]
    metric = PixelAccuracy(ignore_class=255, average=average)
    logs = compiled_model(metric).evaluate(
        LOGITS, VOID_LABELS, batch_size=4, verbose=0, return_dict=True
    )
    # Rounded down by some units of float32.
    assert expected * (1 - 1e-5) <= logs["pixel_accuracy"] <= expected


def test_the_two_averages_differ() -> None:
    results = []
    for average in ("image", "pixel"):
        metric = PixelAccuracy(ignore_class=255, average=average)
        metric.update_state(VOID_LABELS, LOGITS)
        results.append(float(metric.result()))
    assert abs(results[0] - results[1]) > 1e-4


def test_binary_logits_predict_above_zero() -> None:
    logits = np.array([[[[2.0], [-1.0], [0.0], [3.0]]]], "float32")
    metric = PixelAccuracy()
    metric.update_state(np.array([[[1, 0, 0, 0]]]), logits)
    assert 0.75 * (1 - 1e-5) < float(metric.result()) <= 0.75


@pytest.mark.parametrize("label", [-1, 3, 1.5])
def test_labels_that_name_no_class_make_it_nan(label: float) -> None:
    labels = LABELS.astype("float32")
    labels[0, 0, 0] = label
    metric = PixelAccuracy()
    metric.update_state(labels, LOGITS)
    assert math.isnan(float(metric.result()))


def test_shapes_and_options_are_checked() -> None:
    with pytest.raises(ValueError, match="`average` must be one of"):
        PixelAccuracy(average="class")
    with pytest.raises(ValueError, match="`y_pred` must have shape"):
        PixelAccuracy().update_state(LABELS, LOGITS[..., 0])
    with pytest.raises(ValueError, match=r"`y_true` must have shape \(2, 8, 8\).*\(2, 1, 8\)"):
        PixelAccuracy().update_state(np.zeros((2, 1, 8), int), np.zeros((2, 8, 8, 3), "float32"))
    with pytest.raises(ValueError, match="`y_true` must have shape"):
        PixelAccuracy().update_state(LABELS[0], LOGITS)


def test_config_round_trip() -> None:
    metric = PixelAccuracy(ignore_class=3, average="pixel", name="clean")
    copy = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert copy.get_config() == metric.get_config()


def test_labels_of_eight_bits_beside_more_classes() -> None:
    """Class 256 is not class 0, which it would be in eight bits; nor is -1 class 255."""
    logits = np.zeros((1, 1, 2, 300), "float32")
    logits[..., 256] = 1.0
    metric = PixelAccuracy()
    metric.update_state(np.zeros((1, 1, 2), "uint8"), logits)
    assert float(metric.result()) == 0.0
    few = PixelAccuracy(ignore_class=-1)
    few.update_state(np.array([[[0, 255]]], "uint8"), np.zeros((1, 1, 2, 2), "float32"))
    assert math.isnan(float(few.result()))
