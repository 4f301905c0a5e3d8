from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np
import pytest

from deel_seg.certificates import LipschitzMonitor
from deel_seg.layers import OrthogonalConv2D
from deel_seg.lipschitz import (
    UnknownLipschitzBound,
    certified_lipschitz_constant,
    lipschitz_bound,
)
from deel_seg.models import LipschitzModel

IMAGES = np.random.default_rng(0).random((2, 4, 4, 3)).astype("float32")
LABELS = np.zeros((2, 4, 4), "int32")


class Drifting(OrthogonalConv2D):
    """Loses its orthogonality when it is told to."""

    gain = 1.0

    def effective_kernel(self, training: bool | None = False) -> Any:
        return super().effective_kernel(training) * self.gain


def model_of(layer: Any) -> keras.Model:
    image = keras.Input((4, 4, 3))
    model = LipschitzModel(image, layer(image))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def fit(model: keras.Model, *callbacks: Any, epochs: int = 1) -> dict[str, list[float]]:
    return model.fit(IMAGES, LABELS, verbose=0, epochs=epochs, callbacks=list(callbacks)).history


def test_constant_and_drift_are_logged() -> None:
    model = model_of(OrthogonalConv2D(4, 3))
    history = fit(model, LipschitzMonitor(), epochs=2)
    assert history["certified_lipschitz_constant"][-1] == certified_lipschitz_constant(model)
    drift = history["certified_lipschitz_constant"][-1] / lipschitz_bound(model) - 1.0
    assert history["lipschitz_drift"][-1] == drift and abs(drift) < 1e-3
    assert min(history["lipschitz_seconds"]) > 0


def test_a_drift_is_warned_of_once() -> None:
    layer = Drifting(4, 3)
    model = model_of(layer)
    layer.gain = 1.5
    monitor = LipschitzMonitor(tolerance=0.4)
    with pytest.warns(UserWarning, match=r"epoch 0 .*that is (49|50)\.\d+% above") as caught:
        history = fit(model, monitor, epochs=2)
    assert len([item for item in caught if "above that by design" in str(item.message)]) == 1
    assert 0.49 < history["lipschitz_drift"][0] < 0.51
    for tolerance in (0.6, None):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fit(model, LipschitzMonitor(tolerance=tolerance))


def test_an_ordinary_layer_has_no_drift() -> None:
    history = fit(model_of(keras.layers.Conv2D(4, 3, padding="same")), LipschitzMonitor())
    assert "lipschitz_drift" not in history and history["certified_lipschitz_constant"][0] > 0


def test_every_so_many_epochs_and_at_both_ends() -> None:
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seen.append("certified_lipschitz_constant" in logs)

    fit(model_of(OrthogonalConv2D(4, 1)), LipschitzMonitor(every=3), Watch(), epochs=6)
    assert seen == [True, False, False, True, False, True]


def test_what_cannot_be_bounded_is_told_before_training() -> None:
    with pytest.raises(UnknownLipschitzBound, match="'culprit'"):
        fit(model_of(keras.layers.LayerNormalization(name="culprit")), LipschitzMonitor())
    for options, message in (({"every": 0}, "`every`"), ({"tolerance": -1.0}, "`tolerance`")):
        with pytest.raises(ValueError, match=message):
            LipschitzMonitor(**options)
