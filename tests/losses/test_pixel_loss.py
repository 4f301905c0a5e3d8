"""What every loss over pixels has to do, one table for all of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from deel_seg._derivatives import vjp
from deel_seg.losses import HKR, CosineSimilarity, PixelLoss, TemperatureCrossentropy
from tests.losses.reference import BINARY_LABELS, BINARY_LOGITS, LABELS, LOGITS, VOID_LABELS

LOSSES: dict[str, Callable[..., PixelLoss]] = {
    "crossentropy": lambda **options: TemperatureCrossentropy(5.0, **options),
    "cosine": lambda **options: CosineSimilarity(**options),
    "hkr": lambda **options: HKR(3.0, 0.5, **options),
}
every_loss = pytest.mark.parametrize("name", LOSSES)
# The sums of 60 float32 terms in another order.
CLOSE = {"rel": 1e-5, "abs": 1e-6}


def pixel_map(name: str, labels: Any = VOID_LABELS, **options: Any) -> np.ndarray:
    loss = LOSSES[name](reduction="none", ignore_class=255, **options)
    return ops.convert_to_numpy(loss(labels, LOGITS))


def gradient(loss: PixelLoss, labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
    result = vjp(
        lambda z: loss(labels, z), [ops.convert_to_tensor(logits)], ops.convert_to_tensor(1.0)
    )[0]
    return ops.convert_to_numpy(result)


@every_loss
def test_ignored_pixels_count_neither_above_nor_below(name: str) -> None:
    kept = VOID_LABELS != 255
    losses = pixel_map(name)
    assert (losses[~kept] == 0).all() and (losses[kept] != 0).any()
    mean = float(LOSSES[name](ignore_class=255)(VOID_LABELS, LOGITS))
    assert mean == pytest.approx(losses[kept].mean(), **CLOSE)
    assert mean != pytest.approx(losses.mean(), **CLOSE)
    moved = np.where(kept[..., None], LOGITS, 1e6).astype("float32")
    assert float(LOSSES[name](ignore_class=255)(VOID_LABELS, moved)) == pytest.approx(mean)


@every_loss
@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_ignored_pixels_get_no_gradient_whatever_their_logits(name: str, value: float) -> None:
    kept = VOID_LABELS != 255
    logits = np.where(kept[..., None], LOGITS, np.float32(value))
    result = gradient(LOSSES[name](ignore_class=255), VOID_LABELS, logits)
    assert (result[~kept] == 0).all() and np.isfinite(result).all()
    assert (result[kept] != 0).any()


@every_loss
def test_only_void_is_zero(name: str) -> None:
    void = np.full_like(LABELS, 255)
    loss = LOSSES[name](ignore_class=255)
    assert float(loss(void, LOGITS)) == 0 and (gradient(loss, void, LOGITS) == 0).all()


@every_loss
@pytest.mark.parametrize("label", [4, -1, 255])
def test_labels_that_name_no_class_make_it_nan(name: str, label: int) -> None:
    labels = LABELS.copy()
    labels[0, 0, 0] = label
    assert math.isnan(float(LOSSES[name]()(labels, LOGITS)))


@every_loss
def test_a_trailing_axis_of_labels_changes_nothing(name: str) -> None:
    loss = LOSSES[name](ignore_class=255)
    assert float(loss(VOID_LABELS[..., None], LOGITS)) == float(loss(VOID_LABELS, LOGITS))


@every_loss
def test_weights_of_images_and_pixels(name: str) -> None:
    kept, losses = VOID_LABELS != 255, pixel_map(name)
    loss = LOSSES[name](ignore_class=255)
    images = np.array([2.0, 0.5, 0.0], "float32")
    expected = (losses * images[:, None, None])[kept].sum() / kept.sum()
    for shape in ((3,), (3, 1), (3, 1, 1)):
        got = float(loss(VOID_LABELS, LOGITS, images.reshape(shape)))
        assert got == pytest.approx(expected, **CLOSE)
    pixels = np.random.default_rng(5).random(LABELS.shape).astype("float32")
    expected = (losses * pixels)[kept].sum() / kept.sum()
    for shape in (pixels.shape, (*pixels.shape, 1)):
        got = float(loss(VOID_LABELS, LOGITS, pixels.reshape(shape)))
        assert got == pytest.approx(expected, **CLOSE)


@every_loss
def test_reductions(name: str) -> None:
    kept, losses = VOID_LABELS != 255, pixel_map(name)
    images = np.array([2.0, 0.5, 1.0], "float32")
    weights = images[:, None, None] * kept
    expected = {
        "sum": (losses * weights).sum(),
        "mean": (losses * weights).sum() / kept.sum(),
        "mean_with_sample_weight": (losses * weights).sum() / weights.sum(),
    }
    for reduction, value in expected.items():
        loss = LOSSES[name](ignore_class=255, reduction=reduction)
        assert float(loss(VOID_LABELS, LOGITS, images)) == pytest.approx(value, **CLOSE)
    unweighted = LOSSES[name](ignore_class=255, reduction="mean_with_sample_weight")
    assert float(unweighted(VOID_LABELS, LOGITS)) == pytest.approx(losses[kept].mean(), **CLOSE)


@every_loss
def test_class_weights(name: str) -> None:
    class_weights = [1.0, 0.0, 2.5, 0.5]
    kept, losses = VOID_LABELS != 255, pixel_map(name)
    factors = np.take(class_weights, np.where(kept, VOID_LABELS, 0))
    expected = (losses * factors)[kept].sum() / kept.sum()
    loss = LOSSES[name](ignore_class=255, class_weights=class_weights)
    assert float(loss(VOID_LABELS, LOGITS)) == pytest.approx(expected, **CLOSE)
    with pytest.raises(ValueError, match="one weight for each of 4 classes"):
        LOSSES[name](class_weights=[1.0, 2.0])(LABELS, LOGITS)
    with pytest.raises(ValueError, match="`class_weights`"):
        LOSSES[name](class_weights=[1.0, -2.0])


@every_loss
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_widened(name: str, dtype: str) -> None:
    half = ops.cast(LOGITS, dtype)
    loss = LOSSES[name](ignore_class=255)
    got = loss(VOID_LABELS, half)
    assert keras.backend.standardize_dtype(got.dtype) == "float32"
    assert float(got) == float(loss(VOID_LABELS, ops.cast(half, "float32")))
    large = ops.cast(np.float32(30000.0) * np.sign(LOGITS), dtype)
    assert math.isfinite(float(loss(VOID_LABELS, large)))


@every_loss
@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-3, 1e4, 1e30])
def test_gradients_are_finite_at_any_scale(name: str, scale: float) -> None:
    result = gradient(LOSSES[name](), LABELS, (scale * LOGITS).astype("float32"))
    assert np.isfinite(result).all() and (result != 0).any()


@pytest.mark.parametrize("name", ["crossentropy", "hkr"])
def test_binary_gradients_are_finite(name: str) -> None:
    for scale in (0.0, 1.0, 1e6):
        result = gradient(LOSSES[name](), BINARY_LABELS, scale * BINARY_LOGITS)
        assert np.isfinite(result).all() and (result != 0).any()


@every_loss
def test_config_round_trip(name: str) -> None:
    loss = LOSSES[name](ignore_class=255, class_weights=(1, 2, 3, 4), reduction="sum", name="mine")
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(copy) is type(loss) and copy.get_config() == loss.get_config()
    assert float(copy(VOID_LABELS, LOGITS)) == float(loss(VOID_LABELS, LOGITS))


@pytest.mark.parametrize(
    ("name", "jit_compile"), [*((name, True) for name in LOSSES), ("crossentropy", False)]
)
def test_training_lowers_it_and_the_model_is_saved(
    name: str, jit_compile: bool, tmp_path: Path
) -> None:
    inputs = keras.Input((None, None, 4))
    model = keras.Model(inputs, keras.layers.Dense(4)(inputs))
    loss = LOSSES[name](ignore_class=255)
    model.compile(keras.optimizers.Adam(0.05), loss, jit_compile=jit_compile)
    history = model.fit(LOGITS, VOID_LABELS, epochs=5, verbose=0).history["loss"]
    assert history[-1] < history[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    before = model.evaluate(LOGITS, VOID_LABELS, verbose=0)
    assert loaded.evaluate(LOGITS, VOID_LABELS, verbose=0) == pytest.approx(before, **CLOSE)


@every_loss
def test_shapes_are_checked(name: str) -> None:
    with pytest.raises(ValueError, match="`y_pred` must have shape"):
        LOSSES[name]()(LABELS, LOGITS[0])
    with pytest.raises(ValueError, match=r"`y_true` must have shape \(1, 2, 2\).*\(1, 2, 1\)"):
        LOSSES[name]()(np.zeros((1, 2, 1), int), np.zeros((1, 2, 2, 3), "float32"))
    with pytest.raises(ValueError, match="`y_true` must have shape"):
        LOSSES[name]()(LABELS[0], LOGITS)
    with pytest.raises(ValueError, match="`ignore_class`"):
        LOSSES[name](ignore_class="void")
