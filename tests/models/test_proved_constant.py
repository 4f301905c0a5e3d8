"""What certificates of a model take for its constant: never less than its weights prove."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import pytest

from deel_seg.certificates import CRPA, CertificateCurve, worst_case_pixel_accuracy
from deel_seg.layers import OrthogonalConv2D
from deel_seg.lipschitz import certified_lipschitz_constant
from deel_seg.models import LipschitzModel, lipschitz_model

IMAGES = np.random.default_rng(0).random((2, 4, 4, 3)).astype("float32")


class Drifting(OrthogonalConv2D):
    gain = 1.0

    def effective_kernel(self, training: bool | None = False) -> Any:
        return super().effective_kernel(training) * self.gain


def drifted(gain: float, **options: Any) -> tuple[LipschitzModel, CRPA, np.ndarray]:
    """A model of a constant above its design, a metric it is compiled with, and labels."""
    layer, image = Drifting(4, 1), keras.Input((4, 4, 3))
    metric = CRPA(0.02, **options)
    model = LipschitzModel(image, layer(image))
    layer.gain = gain
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss, metrics=[metric], run_eagerly=True)
    return model, metric, np.argmax(model(IMAGES), -1)


def test_the_design_where_the_weights_keep_it() -> None:
    model, metric, labels = drifted(1.0)
    assert certified_lipschitz_constant(model) <= 1.0
    assert model.proved_constant() == model.lipschitz_constant == 1.0
    model.evaluate(IMAGES, labels, verbose=0)
    assert metric.effective_lipschitz_constant == 1.0


def test_a_constant_that_is_no_number_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _, labels = drifted(1.0)
    monkeypatch.setattr(lipschitz_model, "certified_lipschitz_constant", lambda model: math.nan)
    assert math.isnan(model.proved_constant())
    with pytest.raises(ValueError, match="lipschitz_constant"):
        model.evaluate(IMAGES, labels, verbose=0)


@pytest.mark.parametrize("gain", [1.01, 4.0])
def test_the_weights_where_they_exceed_it(gain: float) -> None:
    model, metric, labels = drifted(gain)
    assert model.lipschitz_constant == metric.effective_lipschitz_constant == 1.0
    result = model.evaluate(IMAGES, labels, verbose=0, return_dict=True)
    constant = certified_lipschitz_constant(model)
    assert constant > 1.0 and metric.effective_lipschitz_constant == constant
    exact = worst_case_pixel_accuracy(
        np.asarray(model(IMAGES)), labels, eps=0.02, lipschitz_constant=constant
    )
    assert result["crpa"] == pytest.approx(float(np.mean(exact)), abs=1e-5)


def test_a_metric_given_less_is_refused_with_both_numbers() -> None:
    model, _, labels = drifted(2.0, lipschitz_constant=1.5)
    with pytest.raises(ValueError, match=r"below the model's, (1\.99|2\.0).*=1\.5"):
        model.evaluate(IMAGES, labels, verbose=0)


def test_a_curve_takes_it_too() -> None:
    model, _, labels = drifted(3.0)
    curve = CertificateCurve([(IMAGES, labels)], eps=[0.02])
    columns = curve.evaluate(model)
    assert columns["lipschitz_constant"] == [certified_lipschitz_constant(model)]
    with pytest.raises(ValueError, match="must not be below the model's"):
        CertificateCurve([(IMAGES, labels)], eps=[0.02], lipschitz_constant=1.0).evaluate(model)
