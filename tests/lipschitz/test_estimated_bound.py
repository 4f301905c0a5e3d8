"""The lower estimate: reached by linear networks, and never above a proved bound."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

import deel_seg
from deel_seg._backend import accumulation_dtype
from deel_seg.layers import MaxMin, OrthogonalConv2D
from deel_seg.lipschitz import certified_lipschitz_constant, estimate_lipschitz_constant
from deel_seg.lipschitz.precision import in_float64
from tests.linear_map import matrix_of, singular_values

SHAPE = (5, 6, 2)
IMAGES = np.random.default_rng(0).random((3, *SHAPE)).astype("float32")
# In float32 an allowance for rounding is taken off.
SHORT = 1e-9 if accumulation_dtype() == "float64" else 1e-3


def model_of(*stack: Any) -> keras.Model:
    image = keras.Input(SHAPE)
    x = image
    for layer in stack:
        x = layer(x)
    return keras.Model(image, x)


def estimate(model: keras.Model, images: Any = IMAGES, **options: Any) -> float:
    return estimate_lipschitz_constant(model, images, verbose=0, **options)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.Conv2D(3, 3),
        lambda: layers.Conv2D(4, 3, strides=2, padding="same"),
        lambda: layers.Dense(3),
        lambda: layers.AveragePooling2D(2),
        lambda: OrthogonalConv2D(4, 3, padding="circular"),
    ],
)
def test_a_linear_layer_reaches_its_norm(layer: Any) -> None:
    model = model_of(layer())
    largest = singular_values(matrix_of(model, SHAPE))[0]
    found = estimate(model, iterations=60)
    assert largest * (1 - 0.02 - SHORT) <= found <= largest * (1 + 1e-9)


@pytest.mark.one_backend
@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 2**31), scale=st.sampled_from([0.1, 1.0, 30.0]))
def test_never_above_the_certified_constant(seed: int, scale: float) -> None:
    keras.utils.set_random_seed(seed)
    model = model_of(
        layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D(2), layers.Dense(3)
    )
    model.layers[1].set_weights([scale * weight for weight in model.layers[1].get_weights()])
    assert 0 < estimate(model, iterations=5) <= certified_lipschitz_constant(model)


@pytest.mark.slow
@pytest.mark.one_backend
def test_a_lipschitz_network() -> None:
    model = deel_seg.LipDeepLabV3(
        {"widths": [8, 8], "convolutions": 2, "aspp_rates": [1, 2]}, num_classes=4
    )
    images = np.random.default_rng(1).random((2, 16, 16, 3)).astype("float32")
    found = estimate(model, images, iterations=10)
    assert 0.3 < found <= certified_lipschitz_constant(model)
    assert found <= model.lipschitz_constant


def test_a_jump_between_images_is_found_where_no_derivative_shows_it() -> None:
    # Flat around the images, and steep a little away from them.
    model = model_of(layers.Rescaling(1.0, offset=-1.5), layers.ReLU(), layers.Rescaling(7.0))
    assert estimate(model, IMAGES, iterations=3) > 1.0
    assert estimate(model, IMAGES, iterations=3) <= 7.0


def test_a_constant_network_moves_nothing() -> None:
    assert estimate(model_of(layers.Rescaling(0.0))) == 0.0


@pytest.mark.one_backend
def test_more_steps_and_more_images_never_see_less() -> None:
    model = model_of(layers.Conv2D(4, 3, activation="relu"), layers.Conv2D(2, 2), MaxMin())
    few = estimate(model, IMAGES[:2], iterations=2, batch_size=2)
    assert estimate(model, IMAGES[:2], iterations=12, batch_size=2) >= few * (1 - 1e-3)
    assert estimate(model, IMAGES[:2], iterations=2, batch_size=2) == few  # By the same seed.
    assert estimate(model, IMAGES, iterations=4, batch_size=2) > 0


def test_it_shows_progress(capsys: pytest.CaptureFixture[str]) -> None:
    estimate_lipschitz_constant(model_of(MaxMin()), IMAGES, iterations=1, batch_size=2)
    shown = capsys.readouterr().out
    assert "8/8" in shown and "ratio" in shown


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (IMAGES[0], {}, r"`images` must be of shape.*shape=\(5, 6, 2\)"),
        (IMAGES[:0], {}, "`images` must be of shape"),
        (IMAGES * np.nan, {}, "`images` must be finite"),
        (IMAGES, {"iterations": 0}, "`iterations` must be at least 1"),
        (IMAGES, {"batch_size": 1.5}, "`batch_size` must be an integer"),
    ],
)
def test_wrong_arguments(images: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        estimate(model_of(MaxMin()), images, **options)


@pytest.mark.skipif(accumulation_dtype() != "float64", reason="JAX without x64 has no float64")
def test_the_copy_in_float64_is_of_the_same_function() -> None:
    model = deel_seg.LipDeepLabV3(
        {"widths": [8, 8], "convolutions": 2, "aspp_rates": [1, 2]}, num_classes=4
    )
    nested = keras.Input((16, 16, 3))
    outer = keras.Model(nested, layers.Rescaling(0.5)(model(nested)))
    images = np.random.default_rng(1).random((2, 16, 16, 3)).astype("float32")
    for network in (model, outer):
        copy = in_float64(network)
        exact = ops.convert_to_numpy(copy(images.astype("float64"), training=False))
        single = ops.convert_to_numpy(network(images, training=False))
        assert exact.dtype == np.float64
        assert 0 < np.abs(exact - single).max() < 1e-5
    assert certified_lipschitz_constant(copy) == certified_lipschitz_constant(outer)
