"""A tiny model and data for metrics to run on."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

LOGITS = np.random.default_rng(0).normal(size=(6, 4, 5, 3)).astype("float32")
LABELS = np.random.default_rng(1).integers(0, 3, (6, 4, 5)).astype("int32")
VOID_LABELS = np.where(np.random.default_rng(2).random(LABELS.shape) < 0.2, 255, LABELS)
VOID_LABELS[3] = 255


def identity_model() -> keras.Model:
    """Returns its input, but has a kernel to train; 1-Lipschitz as built."""
    inputs = keras.Input((None, None, 3))
    kernel = keras.initializers.Identity()
    outputs = keras.layers.Dense(3, kernel_initializer=kernel)(inputs)
    return keras.Model(inputs, outputs)


def compiled_model(*metrics: Any, **options: Any) -> keras.Model:
    """The identity model, compiled with a learning rate of zero."""
    model = identity_model()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)
    model.compile(keras.optimizers.SGD(0.0), loss, metrics=list(metrics), **options)
    return model
