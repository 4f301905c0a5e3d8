"""Kernels composed, and weights retracted, side by side: what the layers would do one by one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import deel_seg
from deel_seg.layers import MaxMin, OrthogonalConv2D, kernels_together
from deel_seg.losses import TemperatureCrossentropy
from deel_seg.models import accumulated_steps, lipschitz_model
from deel_seg.parametrizations import (
    AdaptiveOrthogonalKernel,
    OrthonormalInitializer,
    orthonormality_error,
)

CONFIG = {"widths": [4], "convolutions": 3}
GENERATOR = np.random.default_rng(0)
CONTEXTS = [(lipschitz_model, "composed_together"), (accumulated_steps, "retracted_together")]
IMAGES = GENERATOR.random((4, 16, 16, 3), dtype="float32")
LABELS = GENERATOR.integers(0, 3, (4, 16, 16))


def apart(*_: Any) -> Any:
    """Takes the place of both contexts: each layer and each variable for itself."""
    return contextlib.nullcontext()


def network(**options: Any) -> keras.Model:
    keras.utils.set_random_seed(0)
    return deel_seg.LipFCN(CONFIG, 3, **options)


def trained(optimizer: keras.optimizers.Optimizer, **options: Any) -> list[np.ndarray]:
    """Weights after six steps, the last of each epoch with a smaller batch."""
    model = network(**options)
    model.compile(optimizer, TemperatureCrossentropy(5.0))
    model.fit(IMAGES, LABELS, batch_size=3, epochs=3, shuffle=False, verbose=0)
    return [ops.convert_to_numpy(weight) for weight in model.trainable_weights]


def largest_difference(first: list[np.ndarray], second: list[np.ndarray]) -> float:
    return max(float(np.max(np.abs(a - b))) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(
    ("kernel_size", "strides", "groups"),
    [((3, 3), (1, 1), 1), ((3, 2), (1, 1), 2), ((3, 3), (2, 2), 1), ((2, 2), (2, 2), 2)],
)
def test_kernels_together_are_those_of_each(
    kernel_size: tuple[int, int], strides: tuple[int, int], groups: int
) -> None:
    plan = AdaptiveOrthogonalKernel(8, 4, kernel_size, strides, groups)
    draw = OrthonormalInitializer(seed=keras.random.SeedGenerator(0))
    factors = [
        tuple(
            None if shape is None else draw(shape)
            for shape in (plan.projectors_shape, plan.matrix_shape)
        )
        for _ in range(3)
    ]
    for kernel, each in zip(plan.together(factors), factors, strict=True):
        alone = ops.convert_to_numpy(plan(*each))
        np.testing.assert_allclose(ops.convert_to_numpy(kernel), alone, rtol=0, atol=1e-6)


OPTIMIZERS: dict[str, Callable[[], keras.optimizers.Optimizer]] = {
    "sgd": lambda: keras.optimizers.SGD(0.5),
    "accumulated": lambda: keras.optimizers.SGD(0.5, gradient_accumulation_steps=2),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.5)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_is_what_it_is_layer_by_layer(name: str, monkeypatch: Any) -> None:
    together = trained(OPTIMIZERS[name]())
    for module, context in CONTEXTS:
        monkeypatch.setattr(module, context, apart)
    one_by_one = trained(OPTIMIZERS[name]())
    untrained = [ops.convert_to_numpy(weight) for weight in network().trainable_weights]
    assert largest_difference(together, one_by_one) < 1e-5
    assert largest_difference(together, untrained) > 1e-3


@pytest.mark.slow
def test_kernels_of_other_layers_are_noticed(monkeypatch: Any) -> None:
    as_it_is = trained(OPTIMIZERS["sgd"]())
    composed = kernels_together.AdaptiveOrthogonalKernel.together

    def exchanged(plan: Any, factors: Any) -> Any:
        return composed(plan, factors)[::-1]

    monkeypatch.setattr(kernels_together.AdaptiveOrthogonalKernel, "together", exchanged)
    assert largest_difference(as_it_is, trained(OPTIMIZERS["sgd"]())) > 1e-3


@pytest.mark.one_backend
def test_both_happen_in_training(monkeypatch: Any) -> None:
    used: list[str] = []
    for module, context in CONTEXTS:
        original = getattr(module, context)

        def noted(*parts: Any, original: Any = original, context: str = context) -> Any:
            used.append(context)
            return original(*parts)

        monkeypatch.setattr(module, context, noted)
    model = network()
    model(IMAGES, training=False)
    assert not used
    trained(OPTIMIZERS["sgd"]())
    assert set(used) == {context for _, context in CONTEXTS}


@pytest.mark.one_backend
@pytest.mark.parametrize("scaled", [False, True])
def test_weights_go_back_when_the_last_of_several_batches_updates_them(scaled: bool) -> None:
    model = network()
    layers = [layer for layer in model.layers if isinstance(layer, OrthogonalConv2D)]
    optimizer = OPTIMIZERS["accumulated"]()
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model.compile(optimizer, TemperatureCrossentropy(5.0))
    values: list[list[np.ndarray]] = []
    off = 1.0 + 2.0**-10  # Off the manifold, from where a retraction would bring them back.
    for layer in layers:
        for factor in layer.factors:
            factor.assign(off * factor)
    for _ in range(4):
        values.append([ops.convert_to_numpy(f) for layer in layers for f in layer.factors])
        model.train_on_batch(IMAGES, LABELS)
    for before, after in ((values[0], values[1]), (values[2], values[3])):
        assert all((a == b).all() for a, b in zip(before, after, strict=True))
    assert all((a != b).any() for a, b in zip(values[1], values[2], strict=True))
    for before, after in zip(values[1], values[2], strict=True):
        errors = [np.max(orthonormality_error(factor)) for factor in (before, after)]
        assert errors[1] < 1e-5 < 1e-3 < errors[0]


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_weights_stay_on_the_manifold(dtype: str) -> None:
    model = network(dtype=keras.dtype_policies.get(dtype))
    model.compile(keras.optimizers.AdamW(5e-3), TemperatureCrossentropy(5.0))
    model.fit(IMAGES, LABELS, batch_size=2, epochs=3, verbose=0)
    for weight in model.trainable_weights:
        if weight.constraint is not None:
            assert weight.dtype == "float32"
            assert np.max(orthonormality_error(weight)) < 1e-5


def test_a_frozen_layer_and_a_layer_used_twice() -> None:
    inputs = keras.Input((8, 8, 4))
    twice = OrthogonalConv2D(4, 3)
    x = twice(MaxMin()(twice(inputs)))
    outputs = OrthogonalConv2D(4, 3, trainable=False)(x)
    model = deel_seg.LipschitzModel(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.5), TemperatureCrossentropy(5.0))
    frozen = [ops.convert_to_numpy(factor) for factor in model.layers[-1].factors]
    moved = [ops.convert_to_numpy(factor) for factor in twice.factors]
    images = GENERATOR.random((4, 8, 8, 4), dtype="float32")
    model.fit(images, LABELS[:, :8, :8], epochs=2, verbose=0)
    assert largest_difference(frozen, [*map(ops.convert_to_numpy, model.layers[-1].factors)]) == 0
    assert largest_difference(moved, [*map(ops.convert_to_numpy, twice.factors)]) > 1e-3
