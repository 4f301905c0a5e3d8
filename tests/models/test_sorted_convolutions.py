"""Layers that are computed together at inference give what they give one by one."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import deel_seg
from deel_seg._backend import compiled, fuses_layers
from deel_seg._derivatives import vjp
from deel_seg.layers import BatchCentering, MaxMin, OrthogonalConv2D, OrthogonalConv2DTranspose
from deel_seg.models.sorted_convolutions import (
    SortedConvolution,
    joined,
    sorted_and_shifted,
    sorted_convolutions,
)

IMAGES = np.random.default_rng(0).random((2, 8, 8, 3), dtype="float32")


def scrambled(model: Any) -> Any:
    """The model with biases and means that are not zero."""
    generator = np.random.default_rng(1)
    for layer in model.layers:
        for variable in (getattr(layer, "moving_mean", None), getattr(layer, "bias", None)):
            if variable is not None:
                variable.assign(generator.normal(size=variable.shape, scale=0.3))
    return model


def network(upwards: Any = None, last: Any = None, **options: Any) -> Any:
    """Convolution, sorting and centering, downwards and upwards, and a last convolution."""
    inputs = keras.Input((8, 8, 3))
    x = OrthogonalConv2D(8, 3, strides=2, **options)(inputs)
    x = BatchCentering()(MaxMin()(x))
    x = OrthogonalConv2DTranspose(8, 2, strides=2, **(upwards or {"use_bias": False}))(x)
    x = BatchCentering(use_bias=False)(MaxMin()(x))
    last = {"kernel_size": 1, **(last or {})}
    return scrambled(deel_seg.LipschitzModel(inputs, OrthogonalConv2D(4, **last)(x)))


def one_by_one(model: Any, images: Any) -> Any:
    for layer in model.layers[1:]:
        images = layer(images)
    return images


def together(model: Any, images: Any) -> Any:
    """As the model computes it on TensorFlow's processor, on any backend and device."""
    found = sorted_convolutions(model)
    assert found
    operation_fn = joined(lambda layer: layer, found)
    for layer in model.layers[1:]:
        images = operation_fn(layer)(images)
    return images


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": "valid"},
        {"use_bias": False},
        {"upwards": {"use_bias": True}},
        {"last": {"kernel_size": 3}},
        {"last": {"kernel_size": 3}, "upwards": {"use_bias": True}},
        {"last": {"use_bias": False}},
        {"last": {"k_coef_lip": 0.5}},
        {"last": {"groups": 2}},
    ],
    ids=str,
)
def test_the_outputs_are_those_of_the_layers(options: dict[str, Any]) -> None:
    model = network(**options)
    assert len(sorted_convolutions(model)) == 2
    expected = ops.convert_to_numpy(one_by_one(model, IMAGES))
    for found in (together(model, IMAGES), model(IMAGES), model.predict(IMAGES, verbose=0)):
        # Offsets are added in another order: 100 roundings of values below 4.
        assert np.abs(ops.convert_to_numpy(found) - expected).max() < 100 * 4 * 2.0**-24


tensorflow_only = pytest.mark.skipif(fuses_layers(), reason="about TensorFlow on a processor")


def xla_functions(function: Any) -> list[str]:
    """Functions of a graph that XLA compiles."""
    definitions = function.graph.as_graph_def().library.function
    return [each.signature.name for each in definitions if each.attr["_XlaMustCompile"].b]


@tensorflow_only
@pytest.mark.xla
@pytest.mark.parametrize(
    "options",
    [{}, {"use_bias": False}, {"upwards": {"use_bias": True}}, {"last": {"kernel_size": 3}}],
    ids=str,
)
def test_in_a_graph_of_one_size_xla_gives_what_the_layers_give(options: dict[str, Any]) -> None:
    model = network(**options)
    expected = ops.convert_to_numpy(one_by_one(model, IMAGES))
    infer = traced(model, IMAGES.shape)
    assert len(xla_functions(infer)) == 2
    for found in (infer(ops.convert_to_tensor(IMAGES)), model.predict(IMAGES, verbose=0)):
        assert np.abs(ops.convert_to_numpy(found) - expected).max() < 100 * 4 * 2.0**-24


def traced(model: Any, shape: Any) -> Any:
    import tensorflow as tf

    infer = tf.function(lambda images: model(images, training=False))
    return infer.get_concrete_function(tf.TensorSpec(shape, tf.float32))


@tensorflow_only
@pytest.mark.xla
def test_no_graph_of_any_size_is_compiled_for_each() -> None:
    inputs = keras.Input((None, None, 3))
    x = BatchCentering()(MaxMin()(OrthogonalConv2D(8, 3)(inputs)))
    model = deel_seg.LipschitzModel(inputs, x)
    assert len(xla_functions(traced(model, (2, 8, 8, 3)))) == 1
    assert not xla_functions(traced(model, (2, None, 8, 3)))


@tensorflow_only
@pytest.mark.xla
def test_many_filters_are_convolved_in_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deel_seg.models.sorted_convolutions._MANY_FILTERS", 8)
    assert not xla_functions(traced(network(), IMAGES.shape))


@tensorflow_only
@pytest.mark.xla
def test_what_is_exported_needs_no_xla(tmp_path: Any) -> None:
    import tensorflow as tf

    model = network()
    model.export(tmp_path / "model", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "model")
    assert not xla_functions(loaded.signatures["serving_default"])
    expected = ops.convert_to_numpy(model(IMAGES))
    found = ops.convert_to_numpy(loaded.serve(IMAGES))
    assert np.abs(found - expected).max() < 100 * 4 * 2.0**-24


@pytest.mark.xla
@pytest.mark.parametrize("place", [0, 5])
def test_no_nan_is_lost(place: int) -> None:
    """Of two numbers of which one is NaN, XLA on a processor gives the first as the larger."""
    values = np.random.default_rng(0).normal(size=(1, 2, 2, 8)).astype("float32")
    values[0, 1, 1, place] = np.nan
    inputs = keras.Input((2, 2, 8))
    model = keras.Model(inputs, MaxMin()(inputs))
    model.compile(jit_compile=True)
    halves = ops.split(values, 2, axis=-1)
    together = compiled(lambda first, second: sorted_and_shifted(first, second))(*halves)
    for pairs in (model.predict(values, verbose=0), together):
        lost = ~np.isnan(ops.convert_to_numpy(pairs)).any(axis=-1)
        assert (lost == ~np.isnan(values).any(axis=-1)).all()


@tensorflow_only
@pytest.mark.xla
def test_the_gradient_through_xla_is_that_of_the_layers() -> None:
    model = network()
    infer = compiled(lambda images: model(images, training=False), xla=False)
    direction = ops.convert_to_tensor(np.random.default_rng(2).normal(size=(2, 8, 8, 4)), "float32")
    images = ops.convert_to_tensor(IMAGES)
    (expected,) = vjp(lambda x: one_by_one(model, x), [images], direction)
    (found,) = vjp(infer, [images], direction)
    assert np.abs(ops.convert_to_numpy(found - expected)).max() < 1e-5


def test_a_model_takes_them_where_nothing_else_fuses(monkeypatch: pytest.MonkeyPatch) -> None:
    model, called = network(), []
    monkeypatch.setattr(SortedConvolution, "__call__", lambda self, x: called.append(self) or x)
    try:
        model(IMAGES)
    except ValueError:
        pass  # The next layer misses its channels.
    assert bool(called) == (not fuses_layers())


def test_the_gradient_is_that_of_the_layers() -> None:
    model = network()
    direction = ops.convert_to_tensor(np.random.default_rng(2).normal(size=(2, 8, 8, 4)), "float32")
    images = ops.convert_to_tensor(IMAGES)
    (expected,) = vjp(lambda x: one_by_one(model, x), [images], direction)
    (found,) = vjp(lambda x: together(model, x), [images], direction)
    # Sums of some hundred products, in another order.
    assert np.abs(ops.convert_to_numpy(found - expected)).max() < 1e-5


def test_tied_pairs_send_their_gradients_to_their_places() -> None:
    first = ops.convert_to_tensor(np.float32([1, 2, 3]).reshape(1, 1, 1, 3))
    second = ops.convert_to_tensor(np.float32([1, 3, 2]).reshape(1, 1, 1, 3))
    upstream = ops.reshape(ops.arange(6, dtype="float32"), (1, 1, 1, 6))
    expected = vjp(MaxMin(), [ops.concatenate([first, second], axis=-1)], upstream)[0]
    found = vjp(sorted_and_shifted, [first, second, ops.zeros(3)], upstream)
    np.testing.assert_array_equal(np.concatenate(found[:2], axis=-1), expected)
    np.testing.assert_array_equal(found[2], [3, 4, 5])


def test_training_runs_layer_by_layer() -> None:
    model = network()
    centering = next(layer for layer in model.layers if isinstance(layer, BatchCentering))
    before = ops.convert_to_numpy(centering.moving_mean)
    model(IMAGES, training=True)
    assert (ops.convert_to_numpy(centering.moving_mean) != before).any()


def taker(build: Any) -> Any:
    """What takes the shift of the one that there is."""
    inputs = keras.Input((8, 8, 4))
    x = BatchCentering()(MaxMin()(OrthogonalConv2D(8, 3)(inputs)))
    return sorted_convolutions(keras.Model(inputs, build(x)))[0].pointwise


def test_a_convolution_of_single_pixels_takes_the_shift() -> None:
    layer = OrthogonalConv2D(4, 1)
    assert taker(layer) is layer
    # What sorts and shifts anew has a shift of its own to take.
    assert taker(lambda x: BatchCentering()(MaxMin()(OrthogonalConv2D(8, 1)(x)))) is None


@pytest.mark.parametrize(
    "build",
    [
        OrthogonalConv2D(4, 3),
        OrthogonalConv2D(4, 1, groups=2),
        lambda x: [OrthogonalConv2D(4, 1)(x), x],
        lambda x: [OrthogonalConv2D(4, 1)(x), MaxMin()(x)],
        lambda x: OrthogonalConv2D(4, 1)(MaxMin()(x)),
        lambda x: (layer := OrthogonalConv2D(8, 1))(layer(x)),
        lambda x: [(layer := OrthogonalConv2D(8, 1))(x), layer(MaxMin()(x))],
    ],
    ids=["window", "groups", "output", "two uses", "later", "twice", "elsewhere"],
)
def test_the_shift_stays_before_any_other(build: Any) -> None:
    assert taker(build) is None


def only_one(build: Any) -> int:
    inputs = keras.Input((8, 8, 4))
    return len(sorted_convolutions(keras.Model(inputs, build(inputs))))


class OtherSorting(MaxMin):
    """A subclass may compute anything."""


@pytest.mark.parametrize(
    "build",
    [
        lambda x: BatchCentering()(OtherSorting()(OrthogonalConv2D(8, 3)(x))),
        lambda x: BatchCentering()(MaxMin()(OrthogonalConv2D(8, 3, groups=2)(x))),
        lambda x: BatchCentering()(MaxMin()(OrthogonalConv2D(8, 3, padding="circular")(x))),
        lambda x: [y := MaxMin()(OrthogonalConv2D(8, 3)(x)), BatchCentering()(y)],
        lambda x: [y := OrthogonalConv2D(8, 3)(x), BatchCentering()(MaxMin()(y))],
        lambda x: BatchCentering()(MaxMin()(OrthogonalConv2D(8, 3)(x)), training=True),
        lambda x: (layer := BatchCentering())(layer(MaxMin()(OrthogonalConv2D(8, 3)(x)))),
        lambda x: MaxMin()(OrthogonalConv2D(8, 3)(x)),
    ],
    ids=["subclass", "groups", "circular", "output", "two uses", "training", "shared", "no centre"],
)
def test_what_is_left_alone(build: Any) -> None:
    assert only_one(build) == 0
    assert only_one(lambda x: BatchCentering()(MaxMin()(OrthogonalConv2D(8, 3)(x)))) == 1


def test_factors_that_are_set_later_count() -> None:
    model = network()
    before = ops.convert_to_numpy(one_by_one(model, IMAGES))
    for layer in model.layers[1:]:
        layer.set_klip_factor(0.5)
        expected = ops.convert_to_numpy(one_by_one(model, IMAGES))
        found = ops.convert_to_numpy(together(model, IMAGES))
        assert np.abs(found - expected).max() < 100 * 4 * 2.0**-24
    assert np.abs(expected - before).max() > 0.01


def test_a_network_in_half_precision_rounds_no_layer_that_is_not() -> None:
    """One that was saved in float32 and loaded under another policy has it for itself alone."""
    model = network(upwards={"use_bias": True})
    expected = ops.convert_to_numpy(one_by_one(model, IMAGES))
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        loaded = deel_seg.LipschitzModel.from_config(model.get_config())
    finally:
        keras.config.set_dtype_policy("float32")
    loaded.set_weights(model.get_weights())
    assert loaded.compute_dtype == "bfloat16"
    assert {layer.compute_dtype for layer in loaded.layers[1:]} == {"float32"}
    outputs = ops.convert_to_numpy(loaded(IMAGES))
    np.testing.assert_allclose(outputs, expected, atol=1e-5)  # As far as float32 rounds.
