from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from deel_seg._backend import IS_TENSORFLOW
from deel_seg.losses import TemperatureCrossentropy
from tests.losses import reference
from tests.losses.reference import BINARY_LABELS, BINARY_LOGITS, LOGITS, VOID_LABELS

# float32 softmax of 60 pixels.
CLOSE = {"rel": 1e-5, "abs": 1e-6}


@pytest.mark.parametrize("temperature", [0.1, 1.0, 20.0])
def test_equals_the_formula(temperature: float) -> None:
    kept = VOID_LABELS != 255
    losses = reference.crossentropy(LOGITS, np.where(kept, VOID_LABELS, 0), temperature)
    got = TemperatureCrossentropy(temperature, ignore_class=255)(VOID_LABELS, LOGITS)
    assert float(got) == pytest.approx(reference.mean(losses, kept), **CLOSE)
    losses = reference.crossentropy(BINARY_LOGITS, BINARY_LABELS, temperature)
    got = TemperatureCrossentropy(temperature)(BINARY_LABELS, BINARY_LOGITS)
    assert float(got) == pytest.approx(losses.mean(), **CLOSE)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_temperature_changes_in_a_compiled_step_without_tracing_again(
    jit_compile: bool,
) -> None:
    traced: list[Any] = []

    class Traced(keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            traced.append(None)
            return inputs

    inputs = keras.Input((4, 5, 4))
    model = keras.Model(inputs, Traced()(inputs))
    loss = TemperatureCrossentropy(20.0, ignore_class=255)
    model.compile("sgd", loss, jit_compile=jit_compile)
    kept = VOID_LABELS != 255

    def evaluated_at(temperature: float) -> tuple[float, float]:
        losses = reference.crossentropy(LOGITS, np.where(kept, VOID_LABELS, 0), temperature)
        return model.evaluate(LOGITS, VOID_LABELS, verbose=0), reference.mean(losses, kept)

    got, expected = evaluated_at(20.0)
    assert got == pytest.approx(expected, **CLOSE)
    calls = len(traced)
    loss.temperature = 3.0
    got, expected = evaluated_at(3.0)
    assert got == pytest.approx(expected, **CLOSE)
    loss.temperature.assign(0.5)
    got, expected = evaluated_at(0.5)
    assert got == pytest.approx(expected, **CLOSE)
    assert float(loss.temperature) == 0.5
    if jit_compile or IS_TENSORFLOW:  # without it JAX runs the layers one by one
        assert len(traced) == calls


@pytest.mark.filterwarnings("ignore")  # deel-lip was written for an earlier Keras
def test_deel_lip_schedules_it() -> None:
    if not IS_TENSORFLOW:
        pytest.skip("deel-lip needs TensorFlow")
    callbacks = pytest.importorskip("deel.lip.callbacks")
    inputs = keras.Input((4, 5, 4))
    model = keras.Model(inputs, keras.layers.Dense(4)(inputs))
    loss = TemperatureCrossentropy(20.0, ignore_class=255)
    model.compile(keras.optimizers.SGD(0.0), loss)
    schedule = callbacks.LossParamScheduler("temperature", fp=[20.0, 2.0], xp=[0, 3])
    model.fit(LOGITS, VOID_LABELS, batch_size=1, epochs=2, verbose=0, callbacks=[schedule])
    assert float(loss.temperature) == 2.0
    assert loss.get_config()["temperature"] == 2.0


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan"), float("inf"), "hot", None])
def test_temperature_is_checked(temperature: Any) -> None:
    with pytest.raises(ValueError, match="`temperature`"):
        TemperatureCrossentropy(temperature)
    loss = TemperatureCrossentropy(1.0)
    with pytest.raises(ValueError, match="`temperature`"):
        loss.temperature = temperature
