"""What is proved of rounding: never below what is seen, and told where it is not known."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

import deel_seg
from deel_seg._backend import accumulation_dtype
from deel_seg.layers import (
    BatchCentering,
    MaxMin,
    OrthogonalConv2D,
    OrthogonalConv2DTranspose,
    SizeMultiple,
)
from deel_seg.lipschitz import (
    UnknownRoundingBound,
    kernel_steps,
    logit_error_bound,
    rounding_rules,
)
from deel_seg.lipschitz.arithmetic import Arithmetic
from deel_seg.lipschitz.precision import in_float64
from tests.linear_map import matrix_of
from tests.lipschitz.rounded_networks import SHAPE, ordinary_network, orthogonal_network

float64 = pytest.mark.skipif(accumulation_dtype() != "float64", reason="needs float64")
SMALL = (5, 6, 4)

LINEAR: dict[str, Callable[[], Any]] = {
    "conv": lambda: layers.Conv2D(3, 3),
    "strided": lambda: layers.Conv2D(4, 3, strides=2, padding="same"),
    "dilated": lambda: layers.Conv2D(4, 2, dilation_rate=2, padding="same"),
    "grouped": lambda: layers.Conv2D(4, 3, groups=2),
    "depthwise": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2),
    "transposed": lambda: layers.Conv2DTranspose(3, 3, strides=2),
    "dense": lambda: layers.Dense(30),
    "orthogonal": lambda: OrthogonalConv2D(8, 3, strides=2),
    "circular": lambda: OrthogonalConv2D(4, 3, padding="circular"),
    "adjoint": lambda: OrthogonalConv2DTranspose(3, 2, strides=2),
}


def seen_and_proved(name: str, seed: int, bias: float) -> tuple[float, float]:
    """l2 error of a layer at one image, against the exact function, and its bound."""
    keras.utils.set_random_seed(seed)
    generator = np.random.default_rng(seed)
    image = keras.Input(SMALL)
    layer = LINEAR[name]()
    model = keras.Model(image, layer(image))
    if not isinstance(layer, (OrthogonalConv2D, OrthogonalConv2DTranspose)):
        shape = layer.kernel.shape
        values = generator.normal(size=shape) * 10.0 ** generator.uniform(-3, 3, shape)
        layer.kernel.assign(values.astype("float32"))
    else:
        layer.condense()
    x = generator.uniform(-1.0, 1.0, size=(1, *SMALL)).astype("float32")
    # Without a bias the response to an impulse is the kernel, with nothing to round.
    matrix = matrix_of(layer, SMALL)
    layer.bias.assign((bias * generator.normal(size=layer.bias.shape)).astype("float32"))
    computed = ops.convert_to_numpy(model(x)).astype("float64").ravel()
    added = ops.convert_to_numpy(layer.bias).astype("float64")
    # Products of two float32 are float64 numbers, and `fsum` rounds once.
    exact = [
        math.fsum([*(row * x.ravel().astype("float64")), added[index % len(added)]])
        for index, row in enumerate(matrix)
    ]
    proved = logit_error_bound(model, SMALL[:2], input_range=(-1.0, 1.0))
    return float(np.linalg.norm(computed - exact)), proved


# Composing an orthogonal kernel takes JAX half a minute of compiling.
_CASES = [
    pytest.param(
        name, marks=[pytest.mark.one_backend] if name in ("orthogonal", "circular") else []
    )
    for name in LINEAR
]


@pytest.mark.parametrize("name", _CASES)
@pytest.mark.parametrize("bias", [0.0, 1e4])
def test_a_layer_never_rounds_by_more_than_is_proved(name: str, bias: float) -> None:
    for seed in range(2):
        seen, proved = seen_and_proved(name, seed, bias)
        assert 0.0 < seen <= proved
        assert proved < 1e5 * seen  # A bound of nothing at all would hold too.


@pytest.mark.one_backend
def test_roundings_that_count_a_thousandth_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Arithmetic.relative_error
    monkeypatch.setattr(
        Arithmetic, "relative_error", lambda *args, **counts: counted(*args, **counts) / 1000.0
    )
    found = [seen_and_proved(name, 0, 1e4) for name in LINEAR]
    assert any(seen > proved for seen, proved in found)


def test_a_bias_that_does_not_count_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_steps, "shift_norm", lambda values, shape: 0.0)
    seen, proved = seen_and_proved("adjoint", 0, 1e4)
    assert seen > proved


@pytest.mark.slow
@float64
@pytest.mark.one_backend
@settings(deadline=None, max_examples=6)
@given(
    seed=st.integers(0, 2**31),
    build=st.sampled_from([orthogonal_network, ordinary_network]),
    high=st.sampled_from([1e-3, 1.0, 300.0]),
)
def test_a_network_never_rounds_by_more_than_is_proved(
    seed: int, build: Callable[..., keras.Model], high: float
) -> None:
    model = build(seed)
    images = np.random.default_rng(seed).uniform(0.0, high, (2, *SHAPE)).astype("float32")
    seen = l2_errors(model, images)
    proved = logit_error_bound(model, SHAPE[:2], input_range=(0.0, high))
    assert (seen > 0).all() and (seen <= proved).all()


def l2_errors(model: keras.Model, images: np.ndarray) -> np.ndarray:
    exact = ops.convert_to_numpy(in_float64(model)(images.astype("float64"), training=False))
    computed = ops.convert_to_numpy(model(images, training=False)).astype("float64")
    return np.linalg.norm((computed - exact).reshape(len(images), -1), axis=1)


@float64
@pytest.mark.one_backend
@pytest.mark.parametrize("seed", range(3))
def test_shifts_that_move_to_other_layers_are_covered(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    keras.utils.set_random_seed(seed)
    inputs = keras.Input(SHAPE)
    x = BatchCentering(use_bias=False)(MaxMin()(OrthogonalConv2D(8, 3)(inputs)))
    x = OrthogonalConv2DTranspose(8, 2, strides=2)(x)
    x = BatchCentering(use_bias=False)(MaxMin()(x))
    model = deel_seg.LipschitzModel(inputs, OrthogonalConv2D(4, 1)(x))
    generator = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, BatchCentering):
            # Far above the image, and of sizes that do not fit each other.
            means = generator.normal(size=8) * 10.0 ** generator.uniform(0, 6, 8)
            layer.moving_mean.assign(means.astype("float32"))
    model.condense()
    images = generator.uniform(0.0, 1e-3, (2, *SHAPE)).astype("float32")
    seen = l2_errors(model, images)
    bound = functools.partial(logit_error_bound, model, SHAPE[:2], input_range=(0.0, 1e-3))
    assert (seen > 0).all() and (seen <= bound()).all()
    monkeypatch.setattr(rounding_rules, "shift_norm", lambda *_: 0.0)
    assert (seen > bound()).all()


@float64
@pytest.mark.one_backend
@pytest.mark.parametrize("build", [orthogonal_network, ordinary_network])
def test_bfloat16_rounds_by_more_and_by_no_more_than_is_proved(
    build: Callable[..., keras.Model],
) -> None:
    images = np.random.default_rng(0).random((2, *SHAPE)).astype("float32")
    single, half = build(0), build(0, "mixed_bfloat16")
    seen = l2_errors(half, images)
    assert (seen > 100 * l2_errors(single, images)).all()
    assert (seen <= logit_error_bound(half, SHAPE[:2])).all()


@float64
@pytest.mark.one_backend
def test_the_bound_of_float32_does_not_cover_bfloat16() -> None:
    images = np.random.default_rng(0).random((2, *SHAPE)).astype("float32")
    seen = l2_errors(orthogonal_network(0, "mixed_bfloat16"), images)
    assert (seen > logit_error_bound(orthogonal_network(0), SHAPE[:2])).all()


def shortened(values: np.ndarray, bits: int) -> np.ndarray:
    """float32 cut to that many bits after the first, as hardware may."""
    mask = np.uint32(0xFFFFFFFF << (23 - bits) & 0xFFFFFFFF)
    return (values.astype("float32").view("uint32") & mask).view("float32").astype("float64")


@pytest.mark.parametrize(("products", "bits"), [("tf32", 10), ("bfloat16", 7)])
def test_factors_that_hardware_shortens(products: str, bits: int) -> None:
    image = keras.Input(SMALL)
    layer = layers.Dense(8, use_bias=False)
    model = keras.Model(image, layer(image))
    kernel = np.random.default_rng(0).random(layer.kernel.shape).astype("float32")
    layer.kernel.assign(kernel)
    x = np.random.default_rng(1).random(SMALL).astype("float32")
    error = x.astype("float64") @ kernel - shortened(x, bits) @ shortened(kernel, bits)
    seen = float(np.linalg.norm(error))
    assert seen <= logit_error_bound(model, SMALL[:2], products=products)
    assert seen > logit_error_bound(model, SMALL[:2], products="float32")


@pytest.mark.one_backend
def test_it_grows_with_images_ranges_and_depth() -> None:
    model = deel_seg.LipDeepLabV3(
        {"widths": [8, 8], "convolutions": 1, "aspp_rates": [1]}, num_classes=4
    )
    base = logit_error_bound(model, (8, 8))
    assert base < logit_error_bound(model, (16, 8)) < logit_error_bound(model, (16, 16))
    assert base < logit_error_bound(model, 8, input_range=(-3.0, 1.0))
    image = keras.Input((None, None, 3))
    twice = keras.Model(image, layers.Add()([model(image), model(image)]))
    assert 2 * base <= logit_error_bound(twice, (8, 8)) < 3 * base
    images = keras.Input((None, None, 3), dtype="uint8")
    inner = layers.Rescaling(1 / 255)(images)
    assert logit_error_bound(keras.Model(images, model(inner)), 8, input_range=(0, 255)) > base


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: layers.LayerNormalization(name="culprit"), "'culprit' of type LayerNorm"),
        (lambda: layers.Dense(2, activation="tanh", name="culprit"), "'culprit' of type Dense"),
        (lambda: layers.Conv2D(2, 1, dtype="float16", name="culprit"), "'culprit'.*float16"),
        (lambda: layers.UpSampling2D(2, interpolation="bilinear"), "UpSampling2D"),
        (lambda: layers.Rescaling(1e30, name="culprit"), "'culprit' may overflow"),
        (lambda: layers.Rescaling(1.0, np.nan, name="culprit"), "'culprit' may overflow"),
        (lambda: keras.Sequential([layers.Softmax()], name="inside"), "nested model 'inside'"),
        (lambda: type("Mine", (OrthogonalConv2D,), {})(4, 1), "type Mine"),
        (lambda: type("Mine", (SizeMultiple,), {})(1), "type Mine"),
    ],
)
def test_what_is_not_known_is_named(layer: Callable[[], Any], message: str) -> None:
    image = keras.Input((4, 4, 4))
    with pytest.raises(UnknownRoundingBound, match=message):
        logit_error_bound(keras.Model(image, layer()(image)), (4, 4))


def test_training_is_another_function() -> None:
    image = keras.Input((4, 4, 4))
    x = layers.BatchNormalization(name="culprit")(image, training=True)
    with pytest.raises(UnknownRoundingBound, match=r"'culprit'.*training"):
        logit_error_bound(keras.Model(image, x), (4, 4))


def test_wrong_arguments() -> None:
    image = keras.Input((4, 4, 4))
    model = keras.Model(image, layers.Dense(2)(image))
    with pytest.raises(ValueError, match=r"`image_size` must be one .*=\(8, 4\)"):
        logit_error_bound(model, (8, 4))
    with pytest.raises(ValueError, match="`products` must be one of"):
        logit_error_bound(model, (4, 4), products="float8")
    with pytest.raises(ValueError, match="`input_range` must be a finite number"):
        logit_error_bound(model, (4, 4), input_range=(0.0, np.inf))
    with pytest.raises(ValueError, match="one input and one output"):
        logit_error_bound(keras.Model(image, [image, image]), (4, 4))
    sized = keras.Input((None, None, 4))
    with pytest.raises(ValueError, match="multiples of 4"):
        logit_error_bound(keras.Model(sized, SizeMultiple(4)(sized)), (6, 4))
