from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from deel_seg.certificates import (
    CRPA,
    CRS,
    CertifiedMetric,
    PixelAccuracy,
    StabilityRadius,
    stability_radius,
    worst_case_pixel_accuracy,
    worst_case_stability,
)
from tests.certificates.exact import numbers
from tests.certificates.metrics.example import LABELS, LOGITS, VOID_LABELS, compiled_model

OPTIONS: dict[str, Any] = {"lipschitz_constant": 1.0, "ignore_class": 255}
FACTORIES = {
    "crpa": lambda **options: CRPA(0.5, **options),
    "crs": lambda **options: CRS(0.5, **options),
    "stability@50": lambda **options: StabilityRadius(**options),
}


def per_image(name: str, **options: Any) -> np.ndarray:
    """The certificate each metric averages, from its function."""
    options = {**OPTIONS, **options}
    if name == "crpa":
        return numbers(worst_case_pixel_accuracy(LOGITS, VOID_LABELS, eps=0.5, **options))
    if name == "crs":
        return numbers(worst_case_stability(LOGITS, labels=VOID_LABELS, eps=0.5, **options))
    return numbers(stability_radius(LOGITS, labels=VOID_LABELS, **options))


def assert_mean_from_below(value: Any, values: np.ndarray, weights: Any = None) -> None:
    """A result is at most the exact weighted mean, and within 1e-5 of it (float32 roundings)."""
    weights = np.ones(len(values)) if weights is None else weights
    pairs = [
        (Fraction(float(v)), Fraction(float(w)))
        for v, w in zip(values, weights, strict=True)
        if not np.isnan(v)
    ]
    mean = sum(v * w for v, w in pairs) / sum(w for _, w in pairs)
    assert mean * (1 - Fraction(1, 10**5)) <= Fraction(float(value)) <= mean


@pytest.mark.slow
@pytest.mark.parametrize("name", FACTORIES)
def test_mean_over_images_for_any_batching(name: str) -> None:
    values = per_image(name)
    assert np.isnan(values[3]) and np.isfinite(np.delete(values, 3)).all()
    results = []
    for size in (1, 4, 6):
        metric = FACTORIES[name](**OPTIONS)
        for start in range(0, 6, size):
            batch = slice(start, start + size)
            metric.update_state(VOID_LABELS[batch], LOGITS[batch])
        assert_mean_from_below(metric.result(), values)
        assert float(metric.skipped) == 1
        results.append(float(metric.result()))
    assert max(results) - min(results) < 1e-5 * max(results)
    assert metric.name == name and metric._direction == "up"


def test_the_check_catches_a_mean_over_all_images() -> None:
    values = per_image("crpa")
    with pytest.raises(AssertionError):
        assert_mean_from_below(np.nansum(values) / 6, values)
    with pytest.raises(AssertionError):
        assert_mean_from_below(np.nanmean(values) * (1 + 1e-6), values)


@pytest.mark.one_backend
@pytest.mark.parametrize("name", FACTORIES)
def test_sample_weights_of_images_and_pixels(name: str) -> None:
    weights = np.array([1.0, 0.5, 0.0, 2.0, 1.0, 0.25], "float32")
    for shape in ((6,), (6, 1)):
        metric = FACTORIES[name](**OPTIONS)
        metric.update_state(VOID_LABELS, LOGITS, sample_weight=weights.reshape(shape))
        assert_mean_from_below(metric.result(), per_image(name), weights)
    mask = np.random.default_rng(4).random(LABELS.shape) < 0.7
    for shape in (LABELS.shape, (*LABELS.shape, 1)):
        metric = FACTORIES[name](**OPTIONS)
        pixels = mask.astype("float32").reshape(shape)
        metric.update_state(VOID_LABELS[..., None], LOGITS, sample_weight=pixels)
        assert_mean_from_below(metric.result(), per_image(name, mask=mask))


@pytest.mark.one_backend
@pytest.mark.parametrize("name", FACTORIES)
def test_nan_logits_make_the_result_nan_unless_they_have_no_weight(name: str) -> None:
    model = compiled_model(FACTORIES[name](**OPTIONS))
    logits = LOGITS.copy()
    logits[0, 0, 0, 0] = np.nan
    assert math.isnan(model.evaluate(logits, VOID_LABELS, verbose=0, return_dict=True)[name])
    metric = FACTORIES[name](**OPTIONS)
    metric.update_state(VOID_LABELS, LOGITS, sample_weight=np.zeros(6, "float32"))
    assert math.isnan(float(metric.result()))


@pytest.mark.parametrize("jit_compile", [False, True])
def test_evaluate(jit_compile: bool) -> None:
    metrics = [factory(**OPTIONS) for factory in FACTORIES.values()]
    model = compiled_model(*metrics, jit_compile=jit_compile)
    # Six images are no multiple of the batch: the last batch has another shape.
    logs = model.evaluate(LOGITS, VOID_LABELS, batch_size=4, verbose=0, return_dict=True)
    for name in FACTORIES:
        assert_mean_from_below(logs[name], per_image(name))


@pytest.mark.one_backend
def test_fit_with_a_monitor() -> None:
    model = compiled_model(*(factory(**OPTIONS) for factory in FACTORIES.values()))
    best = keras.callbacks.EarlyStopping(monitor="val_stability@50", patience=3)
    history = model.fit(
        LOGITS,
        VOID_LABELS[..., None],
        epochs=2,
        verbose=0,
        validation_data=(LOGITS, VOID_LABELS),
        callbacks=[best],
    ).history
    for name in FACTORIES:
        assert_mean_from_below(history[f"val_{name}"][-1], per_image(name))


@pytest.mark.one_backend
def test_a_binary_model() -> None:
    logits, labels = LOGITS[..., :1], (LABELS > 0).astype("int32")
    metric = CRPA(0.25, lipschitz_constant=1.0)
    metric.update_state(labels, logits)
    expected = worst_case_pixel_accuracy(logits, labels, eps=0.25)
    assert_mean_from_below(metric.result(), numbers(expected))


@pytest.mark.parametrize("name", FACTORIES)
def test_config_round_trip(name: str) -> None:
    metric = FACTORIES[name](
        lipschitz_constant=2.0, ignore_class=7, p=1, logit_tolerance=0.01, name="mine"
    )
    copy = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert type(copy) is type(metric) and copy.get_config() == metric.get_config()
    assert copy.effective_lipschitz_constant == 2.0 and copy.name == "mine"


@pytest.mark.one_backend
def test_compiled_models_are_saved_and_loaded(tmp_path: Path) -> None:
    model = compiled_model(*(factory(**OPTIONS) for factory in FACTORIES.values()))
    before = model.evaluate(LOGITS, VOID_LABELS, verbose=0, return_dict=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    after = loaded.evaluate(LOGITS, VOID_LABELS, verbose=0, return_dict=True)
    assert after == before and set(FACTORIES) < set(after)


def test_a_constant_must_be_known() -> None:
    with pytest.raises(ValueError, match=r"pass lipschitz_constant=\.\.\. to the metric"):
        CRPA(0.5).update_state(LABELS, LOGITS)


def test_the_model_constant_is_used_and_may_change_after_compilation() -> None:
    metric = CRPA(0.5)
    metric.bind_lipschitz_constant(1.0)
    assert metric.effective_lipschitz_constant == 1.0
    assert metric.get_config()["lipschitz_constant"] is None
    model = compiled_model(metric)
    values = []
    for constant in (1.0, 2.0):
        metric.bind_lipschitz_constant(constant)
        values.append(model.evaluate(LOGITS, LABELS, verbose=0, return_dict=True)["crpa"])
        expected = worst_case_pixel_accuracy(LOGITS, LABELS, eps=0.5, lipschitz_constant=constant)
        assert_mean_from_below(values[-1], numbers(expected))
    assert values[0] > values[1]


def test_a_constant_below_the_model_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model's, 1\.5, .*lipschitz_constant=1\.0"):
        CRPA(0.5, lipschitz_constant=1.0).bind_lipschitz_constant(1.5)
    looser = CRPA(0.5, lipschitz_constant=3.0)
    looser.bind_lipschitz_constant(1.5)
    assert looser.effective_lipschitz_constant == 3.0


@pytest.mark.parametrize("constant", [0, -1.0, math.nan, math.inf, "one"])
def test_constants_are_checked(constant: Any) -> None:
    with pytest.raises(ValueError, match="`lipschitz_constant`"):
        CRPA(0.5, lipschitz_constant=constant)
    with pytest.raises(ValueError, match="`lipschitz_constant`"):
        CRPA(0.5).bind_lipschitz_constant(constant)


def test_reset_forgets_the_images_but_not_the_constant() -> None:
    metric = CRPA(0.5)
    metric.bind_lipschitz_constant(1.0)
    metric.update_state(LABELS, -LOGITS)
    metric.reset_state()
    assert math.isnan(float(metric.result()))
    metric.update_state(LABELS, LOGITS)
    assert_mean_from_below(
        metric.result(), numbers(worst_case_pixel_accuracy(LOGITS, LABELS, eps=0.5))
    )


@pytest.mark.one_backend
def test_certified_is_never_above_clean_accuracy() -> None:
    certified, clean = CRPA(0.0, **OPTIONS), PixelAccuracy(ignore_class=255)
    for batch in (slice(0, 4), slice(4, 6)):
        certified.update_state(VOID_LABELS[batch], LOGITS[batch])
        clean.update_state(VOID_LABELS[batch], LOGITS[batch])
    assert isinstance(certified, CertifiedMetric)
    assert 0 < float(certified.result()) <= float(clean.result())


@pytest.mark.parametrize("p", [1, float("inf")])
def test_an_l2_constant_is_none_for_another_norm(p: float) -> None:
    metric = CRPA(eps=0.1, p=p)
    metric.bind_lipschitz_constant(1.0)
    assert metric.effective_lipschitz_constant is None
    with pytest.raises(ValueError, match="for p=2"):
        metric.update_state(LABELS, LOGITS)
    stated = CRPA(eps=0.1, p=p, lipschitz_constant=0.5)
    stated.bind_lipschitz_constant(1.0)
    assert stated.effective_lipschitz_constant == 0.5
