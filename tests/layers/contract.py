"""One harness for what every layer promises: its bound, its files, its sizes, its dtypes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from deel_seg._derivatives import vjp
from tests.linear_map import call, exceeds, matrix_of

HALF_PRECISION = ("mixed_float16", "mixed_bfloat16")


def assert_layer_contract(
    make: Callable[..., keras.layers.Layer],
    shapes: Sequence[tuple[int, int, int]],
    folder: Path,
    *,
    branches: int = 1,
    linear: bool = True,
    impulse: float = 1.0,
) -> None:
    """Checks a layer, fresh and after training with a step far too large for it.

    Args:
        make: Builds the layer; takes Keras' arguments of a layer.
        shapes: Image shapes to check, of the same number of channels.
        folder: To save into.
        branches: Number of inputs, if the layer takes a list.
        linear: Whether the layer is an affine map, of which there is a matrix.
        impulse: As for `matrix_of`.
    """
    layer = make()
    model = functional(layer, shapes[0][-1], branches)
    for state in ("fresh", "trained") if layer.trainable_weights else ("fresh",):
        if state == "trained":
            train(model, shapes[0])
        for shape in shapes:
            for training in (False, True) if shape == shapes[0] else (False,):
                if linear:
                    matrix = matrix_of(model, shape, training=training, impulse=impulse)
                else:
                    matrix = jacobian_of(model, shape, training=training)
                bound = layer.lipschitz_bound(*[1.0] * branches)
                assert not exceeds(matrix, bound), f"{state}, {shape}, training={training}"
    assert_round_trips(model, layer, shapes, folder, branches)
    assert_half_precision(make, shapes[0], branches)


def functional(layer: keras.layers.Layer, channels: int, branches: int = 1) -> keras.Model:
    """The layer as a model of one image of unknown size, which all its inputs are."""
    image = keras.Input((None, None, channels))
    return keras.Model(image, layer(image if branches == 1 else [image] * branches))


def train(
    model: keras.Model, shape: tuple[int, ...], steps: int = 4, optimizer: Any = None
) -> None:
    """Adam with a rate of 0.05, if not told otherwise: each step leaves the manifold far behind."""
    optimizer = optimizer or keras.optimizers.Adam(0.05)
    generator = np.random.default_rng(0)
    images = generator.normal(size=(steps, 2, *shape)).astype("float32")
    size = model.compute_output_shape((1, *shape))[1:]
    target = ops.convert_to_tensor(generator.normal(size=size).astype("float32"))
    optimizer.build(model.trainable_variables)
    step = _step_on_tensorflow if keras.backend.backend() == "tensorflow" else _step_on_jax
    step(model, optimizer, images, target)
    optimizer.finalize_variable_values(model.trainable_variables)


def _step_on_tensorflow(model: Any, optimizer: Any, images: np.ndarray, target: Any) -> None:
    import tensorflow as tf

    @tf.function(jit_compile=False)
    def step(batch: Any) -> None:
        with tf.GradientTape() as tape:
            outputs = ops.cast(model(batch, training=True), "float32")
            loss = ops.mean((outputs - target) ** 2)
        weights = model.trainable_variables
        optimizer.apply(tape.gradient(loss, [weight.value for weight in weights]), weights)

    for batch in images:
        step(batch)


def _step_on_jax(model: Any, optimizer: Any, images: np.ndarray, target: Any) -> None:
    import jax

    def loss_of(weights: Any, others: Any, batch: Any) -> Any:
        outputs, others = model.stateless_call(weights, others, batch, training=True)
        return ops.mean((ops.cast(outputs, "float32") - target) ** 2), others

    @jax.jit
    def step(weights: Any, others: Any, state: Any, batch: Any) -> Any:
        gradients, others = jax.grad(loss_of, has_aux=True)(weights, others, batch)
        weights, state = optimizer.stateless_apply(state, gradients, weights)
        return weights, others, state

    variables = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
    values = tuple([variable.value for variable in group] for group in variables)
    for batch in images:
        values = step(*values, batch)
    for group, results in zip(variables, values, strict=True):
        for variable, result in zip(group, results, strict=True):
            variable.assign(result)


def jacobian_of(layer: Any, shape: tuple[int, ...], *, training: bool = False) -> np.ndarray:
    """Jacobian `(outputs, inputs)` at one random point, a row for each output."""
    point = np.random.default_rng(1).normal(size=shape).astype("float32")
    outputs = tuple(layer(point[None]).shape[1:])
    count = int(np.prod(outputs))
    rows = np.eye(count, dtype="float32").reshape(count, *outputs)
    points = ops.convert_to_tensor(np.broadcast_to(point, (count, *shape)).copy())
    pulled = vjp(lambda x: layer(x, training=training), [points], ops.convert_to_tensor(rows))
    return ops.convert_to_numpy(pulled[0]).astype("float64").reshape(count, -1)


def assert_round_trips(
    model: keras.Model,
    layer: keras.layers.Layer,
    shapes: Sequence[tuple[int, int, int]],
    folder: Path,
    branches: int,
) -> None:
    """Config and file give the same layer; sizes stay free and are what the layer says."""
    copy = layer.__class__.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert copy.lipschitz_bound(*[1.0] * branches) == layer.lipschitz_bound(*[1.0] * branches)
    path = folder / "layer.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    for shape in shapes:
        images = np.random.default_rng(2).normal(size=(2, *shape)).astype("float32")
        outputs = ops.convert_to_numpy(call(model, images))
        np.testing.assert_array_equal(ops.convert_to_numpy(call(loaded, images)), outputs)
        batch = (2, *shape)
        expected = layer.compute_output_shape(batch if branches == 1 else [batch] * branches)
        assert tuple(expected) == outputs.shape


def assert_half_precision(
    make: Callable[..., keras.layers.Layer], shape: tuple[int, int, int], branches: int
) -> None:
    """Outputs in half precision near those in float32, from variables in float32."""
    images = np.random.default_rng(3).normal(size=(2, *shape)).astype("float32")
    reference_layer = make()
    reference_model = functional(reference_layer, shape[-1], branches)
    reference = ops.convert_to_numpy(call(reference_model, images))
    for policy in HALF_PRECISION:
        layer = make(dtype=policy)
        model = functional(layer, shape[-1], branches)
        layer.set_weights(reference_layer.get_weights())
        outputs = call(model, images)
        assert all(variable.dtype in ("float32", "uint32") for variable in layer.variables)
        assert keras.backend.standardize_dtype(outputs.dtype) == policy.removeprefix("mixed_")
        # bfloat16 has 8 bits: 2^-8 an operation, and a few operations on values up to 4.
        difference = ops.convert_to_numpy(ops.cast(outputs, "float32")) - reference
        assert np.max(np.abs(difference)) < 0.1
