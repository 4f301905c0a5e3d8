from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from deel_seg.certificates import CertifiedFNR, FNRRadius, fnr_radius, worst_case_fnr
from tests.certificates.exact import numbers
from tests.certificates.metrics.example import LABELS, LOGITS, compiled_model

OPTIONS = {"lipschitz_constant": 1.0, "ignore_class": 255}


def without_class() -> np.ndarray:
    """Labels of which the second image has no pixel of class 1."""
    labels = LABELS.copy()
    labels[1][labels[1] == 1] = 2
    return labels


@pytest.mark.slow
def test_mean_over_the_images_with_the_class() -> None:
    labels = without_class()
    rates = numbers(worst_case_fnr(LOGITS, labels, positive_class=1, eps=0.5))
    radii = numbers(fnr_radius(LOGITS, labels, positive_class=1, threshold=0.75))
    assert np.isnan(rates[1]) and np.isnan(radii[1])
    rate, radius = CertifiedFNR(0.5, 1, **OPTIONS), FNRRadius(0.75, 1, **OPTIONS)
    for start in (0, 2, 4):
        for metric in (rate, radius):
            metric.update_state(labels[start : start + 2], LOGITS[start : start + 2])
    present = [n for n in range(6) if n != 1]
    exact = sum(Fraction(float(rates[n])) for n in present) / 5
    assert exact <= Fraction(float(rate.result())) <= exact + Fraction(1, 2**18)
    exact = sum(Fraction(float(radii[n])) for n in present) / 5
    assert exact * (1 - Fraction(1, 2**18)) <= Fraction(float(radius.result())) <= exact
    assert float(rate.skipped) == float(radius.skipped) == 1


@pytest.mark.slow
@pytest.mark.one_backend
def test_in_evaluate() -> None:
    model = compiled_model(CertifiedFNR(0.5, 1, **OPTIONS), FNRRadius(0.5, 1, **OPTIONS))
    logs = model.evaluate(LOGITS, without_class(), batch_size=4, verbose=0, return_dict=True)
    assert {"certified_fnr_1", "fnr_radius_1@50"} <= set(logs)
    assert 0 < logs["certified_fnr_1"] <= 1


def test_directions_names_and_configs() -> None:
    rate = CertifiedFNR(0.5, 2, **OPTIONS)
    radius = FNRRadius(Fraction(1, 3), 2, **OPTIONS)
    assert rate._direction == "down" and radius._direction == "up"
    for metric in (rate, radius):
        assert "." not in metric.name
        again = type(metric).from_config(metric.get_config())
        assert again.get_config() == metric.get_config()


def test_wrong_arguments() -> None:
    for make, message in (
        (lambda: CertifiedFNR(-1.0, 0), "`eps`"),
        (lambda: CertifiedFNR(0.1, -1), "`positive_class`"),
        (lambda: FNRRadius(1.5, 0), "`threshold`"),
        (lambda: FNRRadius(0.5, 1.5), "`positive_class`"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
