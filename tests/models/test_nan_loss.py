"""A training whose loss is NaN says what makes it so."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np
import pytest

import deel_seg
from deel_seg.layers import OrthogonalConv2D
from deel_seg.losses import TemperatureCrossentropy

IMAGES = np.random.default_rng(0).uniform(size=(2, 4, 4, 3)).astype("float32")
LABELS = np.random.default_rng(1).integers(0, 3, size=(2, 4, 4))
VOID = np.where(np.arange(4) == 0, 255, LABELS)


class Seen(keras.callbacks.Callback):
    epochs = 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epochs += 1


def model_with(ignore_class: int | None = None) -> Any:
    image = keras.Input((4, 4, 3))
    model = deel_seg.LipschitzModel(image, OrthogonalConv2D(3, 1)(image))
    model.compile("sgd", TemperatureCrossentropy(5.0, ignore_class=ignore_class))
    return model


def test_void_labels_without_ignore_class_are_named_once() -> None:
    seen = Seen()
    with pytest.warns(UserWarning, match=r"loss of epoch 1: NaN.*`ignore_class=255`") as caught:
        model_with().fit(IMAGES, VOID, 2, 2, 0, [seen])  # callbacks by place, as Keras takes them
    assert len([one for one in caught if "NaN" in str(one.message)]) == 1
    assert seen.epochs == 2


def test_the_loss_of_the_validation_is_named_too() -> None:
    with pytest.warns(UserWarning, match=r"^val_loss of epoch 1: NaN"):
        model_with().fit(IMAGES, LABELS, validation_data=(IMAGES, VOID), callbacks=Seen())


def test_nothing_is_said_of_labels_that_are_right() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        history = model_with(255).fit(IMAGES, VOID, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
