"""One composition of kernels for all batches of an update: the training that each of its own is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import deel_seg
from deel_seg.layers import BatchCentering, MaxMin, OrthogonalConv2D
from deel_seg.losses import TemperatureCrossentropy
from deel_seg.models.accumulated_kernels import AccumulatedKernels
from deel_seg.models.accumulated_steps import AccumulatedSteps

BATCHES = 3
GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.random((8, 2, 8, 8, 4), dtype="float32")
LABELS = GENERATOR.integers(0, 4, (8, 2, 8, 8))


def network(*, scaled: bool = False) -> deel_seg.LipschitzModel:
    """With a layer that is used twice, and one that is frozen."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 4))
    twice = OrthogonalConv2D(4, 3)
    x = BatchCentering()(twice(MaxMin()(twice(inputs))))
    x = OrthogonalConv2D(4, 3, trainable=False)(x)
    model = deel_seg.LipschitzModel(inputs, OrthogonalConv2D(4, 1)(x))
    optimizer = keras.optimizers.Adam(5e-3, clipnorm=0.1, gradient_accumulation_steps=BATCHES)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model.compile(optimizer, TemperatureCrossentropy(5.0))
    return model


def train(model: keras.Model, images: np.ndarray = IMAGES, start: int = 0) -> list[np.ndarray]:
    """Trainable weights after one batch of two images after another."""
    for index in range(start, len(images)):
        model.train_on_batch(images[index], LABELS[index])
    return [ops.convert_to_numpy(weight) for weight in model.trainable_weights]


def largest_difference(first: list[np.ndarray], second: list[np.ndarray]) -> float:
    return max(float(np.max(np.abs(a - b))) for a, b in zip(first, second, strict=True))


def for_each_batch(monkeypatch: Any) -> None:
    """Kernels composed for each batch, as where gradients are not added up."""
    monkeypatch.setattr(AccumulatedSteps, "_adds_up_kernels", lambda _: False)


def sums(model: keras.Model) -> list[np.ndarray]:
    inner = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    named = [v for v in inner.variables if v.name.startswith("kernel_gradient_")]
    return [ops.convert_to_numpy(variable) for variable in named]


@pytest.mark.parametrize("scaled", [False, True])
def test_the_training_is_that_of_kernels_for_each_batch(scaled: bool, monkeypatch: Any) -> None:
    images = IMAGES.copy()
    if scaled:
        # Its loss overflows: the batch is left out, and the scale is another one after it.
        images[1] = 1e37
    together = train(network(scaled=scaled), images)
    untrained = [ops.convert_to_numpy(weight) for weight in network().trainable_weights]
    for_each_batch(monkeypatch)
    assert largest_difference(together, train(network(scaled=scaled), images)) < 1e-5
    assert largest_difference(together, untrained) > 1e-3


@pytest.mark.one_backend
def test_gradients_that_get_lost_between_batches_are_noticed(monkeypatch: Any) -> None:
    as_it_is = train(network())
    monkeypatch.setattr(AccumulatedKernels, "add_up", lambda _: None)
    assert largest_difference(as_it_is, train(network())) > 1e-3


@pytest.mark.one_backend
def test_kernels_and_their_gradients_wait_for_the_last_batch() -> None:
    model = network()
    layers = [model.layers[1], model.layers[-1]]
    assert [total.shape for total in sums(model)] == [layer.kernel.shape for layer in layers]
    first = model.train_on_batch(IMAGES[0], LABELS[0])
    composed = [ops.convert_to_numpy(layer.effective_kernel(training=True)) for layer in layers]
    for layer, kernel in zip(layers, composed, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(layer.kernel), kernel, rtol=0, atol=1e-6)
    after_one = sums(model)
    assert all(np.any(total) for total in after_one)
    # What the optimiser adds up itself, of the factors, waits for the sums.
    places = {id(v): index for index, v in enumerate(model.optimizer._trainable_variables)}
    for factor in [factor for layer in layers for factor in layer.factors]:
        waiting = model.optimizer._accumulated_gradients[places[id(factor)]]
        assert not np.any(ops.convert_to_numpy(waiting))
    # The next one takes the kernels that are kept, whatever they are.
    for layer in layers:
        layer.kernel.assign(0.5 * layer.kernel)
    second = model.train_on_batch(IMAGES[0], LABELS[0])
    assert abs(float(second) - float(first)) > 1e-3
    model.train_on_batch(IMAGES[0], LABELS[0])
    assert not any(np.any(total) for total in sums(model))


@pytest.mark.one_backend
def test_exchanged_weights_are_composed_anew() -> None:
    model, other = network(), network()
    model.train_on_batch(IMAGES[0], LABELS[0])
    for layer in (model.layers[1], other.layers[1]):
        for factor in layer.factors:
            factor.assign(ops.flip(factor, axis=-2))
    model.reset_metrics()
    after = float(model.train_on_batch(IMAGES[1], LABELS[1]))
    assert after == pytest.approx(float(other.train_on_batch(IMAGES[1], LABELS[1])), abs=1e-6)


@pytest.mark.one_backend
def test_a_training_cut_off_between_two_batches_goes_on(tmp_path: Path) -> None:
    without_a_break = train(network())
    model = network()
    train(model, IMAGES[:4])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert all(np.any(total) for total in sums(loaded))
    assert largest_difference(without_a_break, train(loaded, start=4)) < 1e-6


def test_an_optimiser_has_its_sums_once() -> None:
    model = network()
    count = len(model.optimizer.variables)
    model.compile(model.optimizer, TemperatureCrossentropy(5.0))
    assert len(model.optimizer.variables) == count
    model.compile(keras.optimizers.Adam(5e-3), TemperatureCrossentropy(5.0))
    assert sums(model) == []


@pytest.mark.one_backend
def test_a_kernel_kept_in_training_does_not_hide_weights_off_the_manifold() -> None:
    model = network()
    (factor, *_) = model.layers[1].factors
    factor.assign(1.01 * factor)
    model.train_on_batch(IMAGES[0], LABELS[0])
    with pytest.warns(UserWarning, match="were not orthonormal"):
        model.condense()
