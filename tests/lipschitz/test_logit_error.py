"""What is measured of rounding, and the certificates that take it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from deel_seg._backend import accumulation_dtype, product_precision
from deel_seg.certificates import pixel_radius
from deel_seg.layers import OrthogonalConv2D
from deel_seg.lipschitz import audit, estimate_logit_error, logit_error_bound
from deel_seg.lipschitz.precision import in_float64
from tests.lipschitz.rounded_networks import SHAPE, ordinary_network, orthogonal_network

HAS_FLOAT64 = accumulation_dtype() == "float64"
float64 = pytest.mark.skipif(not HAS_FLOAT64, reason="needs float64")
IMAGES = np.random.default_rng(0).random((3, *SHAPE)).astype("float32")


def model_of(*stack: Any) -> keras.Model:
    image = keras.Input(SHAPE)
    x = image
    for layer in stack:
        x = layer(x)
    return keras.Model(image, x)


def estimate(model: keras.Model, images: Any = IMAGES, **options: Any) -> float:
    return estimate_logit_error(model, images, verbose=0, **options)


@float64
def test_of_one_product_it_is_the_error() -> None:
    model = model_of(layers.Rescaling(np.float32(1 / 3)))
    exact = IMAGES.astype("float64") * float(np.float32(1 / 3))
    computed = (IMAGES * np.float32(1 / 3)).astype("float64")
    assert estimate(model) == np.abs(computed - exact).max() > 0
    assert estimate(model_of(layers.Rescaling(0.5))) == 0.0


@pytest.mark.slow
@float64
@pytest.mark.one_backend
@pytest.mark.parametrize("build", [orthogonal_network, ordinary_network])
def test_between_nothing_and_what_is_proved(build: Any) -> None:
    model = build(0)
    found = estimate(model)
    assert found == max(estimate(model, IMAGES[index : index + 1]) for index in range(3))
    assert 0 < found < 1e-3 * logit_error_bound(model, SHAPE[:2])
    assert estimate(build(0, "mixed_bfloat16")) > 100 * found


@float64
@pytest.mark.parametrize("layer", [layers.Conv2D, OrthogonalConv2D])
def test_the_kernel_of_half_precision_is_the_rounded_one(layer: Any) -> None:
    model = model_of(layer(4, 3, dtype="mixed_bfloat16"))
    copy = in_float64(model)
    kernel = model.layers[1].kernel if layer is layers.Conv2D else None
    if kernel is None:
        kernel = model.layers[1].effective_kernel()
    used = ops.convert_to_numpy(ops.cast(kernel, "bfloat16")).astype("float64")
    kept = copy.layers[1].kernel if layer is layers.Conv2D else copy.layers[1].effective_kernel()
    assert (ops.convert_to_numpy(kept) == used).all()
    assert (used != ops.convert_to_numpy(kernel)).any()


@float64
def test_statistics_that_were_adapted_are_those_of_the_copy() -> None:
    normalization = layers.Normalization()
    normalization.adapt(IMAGES)
    assert estimate(model_of(normalization)) < 1e-5


@float64
@pytest.mark.one_backend
@pytest.mark.parametrize("seed", range(3))
def test_no_certificate_is_better_than_that_of_the_exact_logits(seed: int) -> None:
    model = orthogonal_network(seed)
    computed = ops.convert_to_numpy(model(IMAGES, training=False))
    exact = ops.convert_to_numpy(in_float64(model)(IMAGES.astype("float64"), training=False))
    tolerance = float(np.abs(computed - exact).max())
    radii = ops.convert_to_numpy(pixel_radius(computed, logit_tolerance=tolerance))
    without = ops.convert_to_numpy(pixel_radius(computed))
    assert (radii < without).any()  # Or the tolerance would say nothing.
    for index in np.ndindex(radii.shape):
        logits = [Fraction(float(value)) for value in exact[index]]
        top = logits.pop(int(np.argmax(computed[index])))
        margin = max(top - max(logits), Fraction())
        assert 2 * Fraction(float(radii[index])) ** 2 <= margin**2


@pytest.mark.skipif(HAS_FLOAT64, reason="for a backend without float64")
def test_without_float64_it_says_so() -> None:
    with pytest.raises(ValueError, match="no float64 on this backend"):
        estimate(model_of(layers.Rescaling(0.5)))


@float64
@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (IMAGES[0], {}, "`images` must be of shape"),
        (IMAGES[:0], {}, "`images` must be of shape"),
        (IMAGES * np.inf, {}, "`images` must be finite"),
        (IMAGES, {"batch_size": 0}, "`batch_size` must be at least 1"),
    ],
)
def test_wrong_arguments(images: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        estimate(model_of(layers.Rescaling(0.5)), images, **options)


@float64
def test_logits_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="logits must be finite"):
        estimate(model_of(layers.Rescaling(1e38), layers.Rescaling(1e38)))
    image = keras.Input(SHAPE)
    with pytest.raises(ValueError, match="one input and one output"):
        estimate(keras.Model(image, 2 * [keras.layers.Identity()(image)]))


@float64
def test_it_shows_progress(capsys: pytest.CaptureFixture[str]) -> None:
    estimate_logit_error(model_of(layers.Rescaling(0.3)), IMAGES, batch_size=2)
    shown = capsys.readouterr().out
    assert "2/2" in shown and "error" in shown


@pytest.mark.one_backend
def test_the_audit_tells_both() -> None:
    model = model_of(OrthogonalConv2D(4, 3), layers.Rescaling(0.3))
    found = audit(model, IMAGES, iterations=1, verbose=0)
    rounding = found.rounding
    assert rounding is not None and found.holds
    assert rounding.image_size == SHAPE[:2] and rounding.products == product_precision()
    assert rounding.input_range == (float(IMAGES.min()), float(IMAGES.max()))
    assert rounding.proved == logit_error_bound(model, SHAPE[:2], input_range=rounding.input_range)
    assert f"{rounding.proved:.3g} proved for all of 8x8 pixels" in found.to_markdown()
    assert found.to_dict()["rounding"]["proved"] == rounding.proved
    if HAS_FLOAT64:
        assert rounding.measured == estimate(model)
    else:
        assert "unknown (there is no float64 on this backend) measured" in str(rounding)
    assert audit(model, verbose=0).rounding is None


@pytest.mark.one_backend
def test_an_audit_goes_on_where_the_bound_is_unknown() -> None:
    found = audit(model_of(layers.Activation("tanh", name="culprit")), IMAGES, verbose=0)
    assert found.rounding is not None and found.rounding.proved is None and found.holds
    assert "unknown (The layer 'culprit'" in str(found)
    assert "'culprit'" in found.to_dict()["rounding"]["reasons"]["proved"]


@float64
@pytest.mark.one_backend
def test_more_measured_than_proved_is_a_contradiction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "deel_seg.lipschitz.audit_rounding.logit_error_bound", lambda *args, **options: 1e-12
    )
    found = audit(model_of(OrthogonalConv2D(4, 3)), IMAGES, iterations=1, verbose=0)
    assert not found.holds and "CONTRADICTION: Rounding" in found.verdict
