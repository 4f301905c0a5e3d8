"""The kept kernel, the way back to the manifold, and what cannot be brought back."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from deel_seg._backend import forget_compiled
from deel_seg._derivatives import vjp
from deel_seg.layers import OrthogonalConv2D, OrthogonalConv2DTranspose
from deel_seg.parametrizations import orthonormality_error
from tests.layers.contract import functional, train
from tests.linear_map import call, exceeds, matrix_of, singular_values

SHAPE = (4, 5, 4)


def built(**options: Any) -> Any:
    """A strided layer, which has both kinds of factors."""
    layer = OrthogonalConv2D(6, 3, 2, name="edge", **options)
    layer.build((None, *SHAPE))
    return layer


def output(layer: Any, training: bool = False) -> np.ndarray:
    images = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype("float32")
    return ops.convert_to_numpy(call(layer, images, training=training))


def rebuilt(layer: Any) -> np.ndarray:
    """What a freshly built layer with the same factors returns."""
    fresh = layer.__class__.from_config(layer.get_config())
    fresh.build((None, *SHAPE))
    for source, target in zip(layer.factors, fresh.factors, strict=True):
        target.assign(source)
    fresh.bias.assign(layer.bias)
    return output(fresh)


def test_training_and_inference_agree() -> None:
    layer = built()
    training = output(layer, training=True)
    # The same float32 operations; XLA may fuse them in another way in each program.
    np.testing.assert_allclose(output(layer), training, atol=3e-6)
    layer.condense()
    np.testing.assert_allclose(output(layer), training, atol=3e-6)


def test_condense_keeps_the_kernel_and_inference_takes_it() -> None:
    layer = built()
    layer.condense()
    before = output(layer)
    # Proof that the kept kernel is what is used: spoil it, against all rules.
    layer.kernel.assign(2.0 * ops.copy(layer.kernel))
    np.testing.assert_array_equal(output(layer), 2.0 * before)
    # Composed by another program than the kept one: other roundings.
    np.testing.assert_allclose(output(layer, training=True), before, atol=3e-6)


@pytest.mark.parametrize("factor", ["projectors", "matrix"])
def test_a_kept_kernel_is_never_stale(factor: str) -> None:
    layer = built()
    layer.condense()
    before = output(layer)
    variable = getattr(layer, factor)
    values = ops.convert_to_numpy(variable).copy()
    values[..., 0] *= -1.0
    variable.assign(values)
    if factor == "matrix":  # A projector does not see the sign of its basis.
        assert np.max(np.abs(output(layer) - before)) > 0.1
    np.testing.assert_array_equal(output(layer), rebuilt(layer))
    one_bit = values.copy()
    one_bit.flat[0] = np.nextafter(one_bit.flat[0], np.float32(2))
    variable.assign(one_bit)
    np.testing.assert_array_equal(output(layer), rebuilt(layer))


def test_a_call_outside_a_graph_compiles_no_branches(monkeypatch: pytest.MonkeyPatch) -> None:
    # JAX compiled both branches of every layer, anew with each call: seconds for a small network.
    layer = OrthogonalConv2D(4, 3)
    layer.build((None, 5, 5, 2))
    layer.condense()

    def fails(*arguments: Any) -> Any:
        raise AssertionError("a condition that is known was left to the backend")

    monkeypatch.setattr(ops, "cond", fails)
    image = np.zeros((1, 5, 5, 2), "float32")
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(image)), 0.0)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="TensorFlow compiles no operations")
def test_layers_of_one_shape_are_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # One operation at a time, JAX took twice as long for the first call of a small network.
    from deel_seg.parametrizations import adaptive_orthogonal

    traced = []
    bounded = adaptive_orthogonal.bounded
    monkeypatch.setattr(adaptive_orthogonal, "bounded", lambda x: traced.append(x) or bounded(x))
    forget_compiled()
    kernels = [ops.convert_to_numpy(built().effective_kernel()) for _ in range(2)]
    assert len(traced) == 2  # The projectors and the matrix of the first layer.
    assert np.abs(kernels[0] - kernels[1]).max() > 0.01


def test_an_optimiser_step_leaves_no_stale_kernel() -> None:
    layer = built()
    model = functional(layer, SHAPE[-1])
    layer.condense()
    before = output(layer)
    train(model, SHAPE, steps=1)
    assert np.max(np.abs(output(layer) - before)) > 0.01
    np.testing.assert_array_equal(output(layer), rebuilt(layer))


def test_loading_leaves_no_stale_kernel(tmp_path: Path) -> None:
    model, other = functional(built(), SHAPE[-1]), functional(built(), SHAPE[-1])
    other.layers[-1].condense()
    model.save_weights(tmp_path / "a.weights.h5")
    other.load_weights(tmp_path / "a.weights.h5")
    np.testing.assert_array_equal(output(other), output(model))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("condensed", [False, True])
def test_gradient_reaches_every_projector_and_the_matrix(training: bool, condensed: bool) -> None:
    layer = OrthogonalConv2D(6, 5, 2, groups=2, use_bias=False)
    layer.build((None, *SHAPE))
    if condensed:
        layer.condense()
    images = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(2, *SHAPE)), "float32")
    for gradient in _weight_gradients(layer, images, training):
        each = np.max(np.abs(gradient), axis=(-1, -2))
        assert np.all(each > 1e-4), each


def _weight_gradients(layer: Any, images: Any, training: bool) -> list[np.ndarray]:
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = ops.sum(layer(images, training=training) ** 3)
        gradients = tape.gradient(loss, [factor.value for factor in layer.factors])
    else:
        import jax

        def loss_of(trainable: Any) -> Any:
            others = [variable.value for variable in layer.non_trainable_variables]
            outputs, _ = layer.stateless_call(trainable, others, images, training=training)
            return ops.sum(outputs**3)

        gradient = jax.jit(jax.grad(loss_of))
        gradients = gradient([variable.value for variable in layer.trainable_variables])
    assert all(gradient is not None for gradient in gradients)
    return [ops.convert_to_numpy(gradient) for gradient in gradients]


def test_gradients_of_inference_and_training_agree() -> None:
    layer = built(use_bias=False)
    images = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(2, *SHAPE)), "float32")
    layer.condense()
    pairs = zip(
        _weight_gradients(layer, images, False), _weight_gradients(layer, images, True), strict=True
    )
    for inference, training in pairs:
        # Two graphs of the same sums, in float32, of values up to 100.
        np.testing.assert_allclose(inference, training, rtol=1e-4, atol=1e-4)


def test_gradient_reaches_the_input_at_inference() -> None:
    layer = built(use_bias=False)
    layer.condense()
    images = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(1, *SHAPE)), "float32")
    outputs = layer(images)
    (pulled,) = vjp(lambda x: layer(x), [images], outputs)
    matrix = matrix_of(layer, SHAPE)
    expected = matrix.T @ (matrix @ ops.convert_to_numpy(images).astype("float64").ravel())
    # Float32 sums of about fifty products.
    np.testing.assert_allclose(ops.convert_to_numpy(pulled).ravel(), expected, atol=1e-5)


SPOILT = {
    "ten_times": lambda values: 10.0 * values,
    "garbage": lambda values: np.random.default_rng(0).normal(size=values.shape),
    "huge": lambda values: 1e15 * values,
    "missed_constraint": lambda values: values + 0.05,
    "one_entry": lambda values: values + 3.0 * (np.arange(values.size) == 0).reshape(values.shape),
}


@pytest.mark.parametrize(
    ("make", "spoil"),
    [(OrthogonalConv2DTranspose, "garbage"), *[(OrthogonalConv2D, spoil) for spoil in SPOILT]],
)
def test_spoilt_weights_never_give_a_norm_above_one(make: Any, spoil: str) -> None:
    layer = make(6, 3, 2, name="edge")
    layer.build((None, *SHAPE))
    for factor in layer.factors:
        factor.assign(SPOILT[spoil](ops.convert_to_numpy(factor)).astype("float32"))
    for training in (False, True):
        assert not exceeds(matrix_of(layer, SHAPE, training=training), layer.lipschitz_constant)
    with pytest.warns(UserWarning, match="'edge' were not orthonormal"):
        layer.condense()
    assert all(np.max(orthonormality_error(factor)) < 1e-5 for factor in layer.factors)
    matrix = matrix_of(layer, SHAPE)
    assert not exceeds(matrix, layer.lipschitz_constant)
    assert singular_values(matrix)[0] > 0.5


def test_the_check_catches_projectors_that_are_not_bounded(monkeypatch: Any) -> None:
    from deel_seg.parametrizations import adaptive_orthogonal

    layer = built()
    for factor in layer.factors:
        factor.assign(1.2 * ops.copy(factor))
    monkeypatch.setattr(adaptive_orthogonal, "bounded", lambda matrix: matrix)
    forget_compiled()  # JAX has compiled this composition before, and keeps the broken one too.
    matrix = matrix_of(layer, SHAPE)
    forget_compiled()
    assert exceeds(matrix, layer.lipschitz_constant)


def test_condense_leaves_good_weights_as_they_are() -> None:
    layer = built()
    before = [ops.convert_to_numpy(factor).copy() for factor in layer.factors]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        layer.condense()
    for values, factor in zip(before, layer.factors, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(factor), values)


@pytest.mark.parametrize("factor", ["projectors", "matrix"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda values: values * np.nan, "NaN"),
        (lambda values: np.where(values == values.max(), np.inf, values), "infinity"),
        (lambda values: np.repeat(values[..., :1], values.shape[-1], axis=-1), "independent"),
        (lambda values: 0.0 * values, "independent"),
    ],
)
def test_weights_beyond_repair_are_refused(factor: str, spoil: Any, message: str) -> None:
    layer = built()
    variable = getattr(layer, factor)
    variable.assign(spoil(ops.convert_to_numpy(variable)).astype("float32"))
    with pytest.raises(ValueError, match=f"`{factor}` of layer 'edge'.*{message}"):
        layer.condense()


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="TensorFlow gives no buffers away")
def test_condense_leaves_each_variable_its_own_buffer() -> None:
    layer = built()
    layer.condense()
    buffers = [variable.value.unsafe_buffer_pointer() for variable in layer.variables]
    assert len(set(buffers)) == len(buffers)
