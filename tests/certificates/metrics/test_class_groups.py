"""Coarse classes in the metrics: the means of what the functions certify, saved and loaded."""

from __future__ import annotations

import itertools
import json
from fractions import Fraction
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from deel_seg.certificates import (
    CRPA,
    CRS,
    CertifiedFNR,
    FNRRadius,
    StabilityRadius,
    worst_case_fnr,
    worst_case_pixel_accuracy,
)
from deel_seg.certificates.metrics import crs, fnr_radius_metric, stability_radius
from tests.certificates.exact import numbers
from tests.certificates.metrics.example import LABELS, LOGITS

GROUPS = [(0, 2)]
OPTIONS: dict[str, Any] = {"ignore_class": 255, "class_groups": GROUPS}
# The labels of the second image are those of the group, but for the class that is asked for.
GROUP_LABELS = np.where(np.arange(6)[:, None, None] == 1, 2, LABELS)
METRICS = {
    "crpa": lambda **options: CRPA(0.5, **options),
    "crs": lambda **options: CRS(0.5, **options),
    "stability@50": lambda **options: StabilityRadius(**options),
    "certified_fnr_0": lambda **options: CertifiedFNR(0.5, 0, **options),
    "fnr_radius_0@50": lambda **options: FNRRadius(0.5, 0, **options),
}


def per_image(name: str, **options: Any) -> np.ndarray:
    """The certificate each metric averages, from its function."""
    arguments = (LOGITS, GROUP_LABELS)
    if name == "crpa":
        return numbers(worst_case_pixel_accuracy(*arguments, eps=0.5, **options))
    return numbers(worst_case_fnr(*arguments, eps=0.5, positive_class=0, **options))


def assert_mean(name: str, value: Any, values: np.ndarray) -> None:
    """On the safe side of the exact mean, and within 1e-5 of it."""
    exact = sum((Fraction(float(v)) for v in values), Fraction(0)) / len(values)
    sign = -1 if name == "certified_fnr_0" else 1
    below = sign * (exact - Fraction(float(value)))
    assert 0 <= below <= Fraction(1, 10**5), "not the mean, or on its wrong side"


@pytest.mark.slow
@pytest.mark.one_backend
@pytest.mark.parametrize("name", ["crpa", "certified_fnr_0"])
def test_mean_over_images(name: str) -> None:
    metric = METRICS[name](lipschitz_constant=1.0, **OPTIONS)
    for start in (0, 3):
        metric.update_state(GROUP_LABELS[start : start + 3], LOGITS[start : start + 3])
    # An image with another class of the group counts, though it has no pixel of class 0.
    assert float(metric.skipped) == 0
    assert_mean(name, metric.result(), per_image(name, **OPTIONS))


@pytest.mark.one_backend
def test_classes_apart_have_another_mean() -> None:
    metric = CertifiedFNR(0.5, 0, lipschitz_constant=1.0, **OPTIONS)
    metric.update_state(GROUP_LABELS, LOGITS)
    apart = per_image("certified_fnr_0", ignore_class=255)
    assert np.isnan(apart).tolist() == [n == 1 for n in range(6)]
    with pytest.raises(AssertionError, match="not the mean"):
        assert_mean("certified_fnr_0", metric.result(), np.delete(apart, 1))


@pytest.mark.parametrize(
    ("module", "function"),
    [
        (crs, "worst_case_stability"),
        (stability_radius, "stability_radius"),
        (fnr_radius_metric, "fnr_radius"),
    ],
)
def test_groups_reach_the_certificate(
    module: Any, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[Any] = []

    def certificate(logits: Any, *_: Any, class_groups: Any = None, **options: Any) -> Any:
        passed.append(class_groups)
        return ops.zeros(len(logits))

    monkeypatch.setattr(module, function, certificate)
    for name, groups in itertools.product(METRICS, (None, GROUPS)):
        metric = METRICS[name](lipschitz_constant=1.0, class_groups=groups)
        if type(metric).__module__ == module.__name__:
            metric.update_state(LABELS, LOGITS)
    assert passed == [None, [[0, 2]]]


@pytest.mark.parametrize("name", METRICS)
def test_saved_and_loaded(name: str) -> None:
    metric = METRICS[name](lipschitz_constant=1.0, **OPTIONS)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(metric)))
    again = keras.saving.deserialize_keras_object(config)
    assert again.name == name and again.get_config() == metric.get_config()
    assert again.get_config()["class_groups"] == [[0, 2]]
    assert METRICS[name]().get_config()["class_groups"] is None


@pytest.mark.parametrize(
    ("class_groups", "message"),
    [
        ([(0, -2)], "ids in .*group"),
        ([(0, 1), (1, 2)], "each class once.*repeated=1"),
        ("01", "sequence of sequences"),
    ],
)
def test_wrong_groups_are_refused_before_anything_runs(class_groups: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CRPA(0.5, class_groups=class_groups)


def test_groups_of_other_classes_than_the_models_are_refused() -> None:
    metric = CRPA(0.5, lipschitz_constant=1.0, class_groups=[(0, 3)])
    with pytest.raises(ValueError, match=r"ids in \[0, 3\)"):
        metric.update_state(LABELS, LOGITS)
