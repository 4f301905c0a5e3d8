"""LipschitzModel: compile, condense, evaluate, files, export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

import deel_seg
from deel_seg.certificates import CRPA, worst_case_pixel_accuracy
from deel_seg.layers import (
    BatchCentering,
    ConstantScaling,
    MaxMin,
    OrthogonalConv2D,
    OrthogonalConv2DTranspose,
    ScaledAdd,
)
from deel_seg.lipschitz import UnknownLipschitzBound
from tests.linear_map import call

IMAGES = np.random.default_rng(0).uniform(size=(4, 6, 4, 3)).astype("float32")
LABELS = np.random.default_rng(1).integers(0, 3, size=(4, 6, 4))


def small_model(scale: float = 1.0, **options: Any) -> deel_seg.LipschitzModel:
    image = keras.Input((None, None, 3))
    x = BatchCentering()(MaxMin()(OrthogonalConv2D(4, 3, 2, name="first")(image)))
    x = ScaledAdd(learned=True)([x, OrthogonalConv2D(4, 3, use_bias=False)(x)])
    x = OrthogonalConv2DTranspose(3, 2, 2)(x)
    return deel_seg.LipschitzModel(image, ConstantScaling(scale)(x), **options)


def compiled(model: Any, metrics: Any = ()) -> Any:
    model.compile(
        keras.optimizers.Adam(0.05),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=list(metrics),
        jit_compile=keras.backend.backend() == "jax",
    )
    return model


def test_compile_binds_certified_metrics() -> None:
    metric = CRPA(eps=0.1)
    compiled(small_model(2.5), [metric])
    assert metric.effective_lipschitz_constant == 2.5


def test_compile_refuses_a_smaller_constant_and_names_both() -> None:
    with pytest.raises(ValueError, match=r"2\.5.*lipschitz_constant=1\.0"):
        compiled(small_model(2.5), [CRPA(eps=0.1, lipschitz_constant=1.0)])
    metric = CRPA(eps=0.1, lipschitz_constant=3.0)
    compiled(small_model(2.5), [metric])
    assert metric.effective_lipschitz_constant == 3.0


def test_compile_refuses_a_model_with_an_unknown_layer_and_names_it() -> None:
    image = keras.Input((None, None, 3))
    model = deel_seg.LipschitzModel(image, layers.Conv2D(3, 3, name="culprit")(image))
    compiled(model)
    with pytest.raises(UnknownLipschitzBound, match="'culprit'"):
        compiled(model, [CRPA(eps=0.1)])
    with pytest.raises(UnknownLipschitzBound, match="'culprit'"):
        _ = model.lipschitz_constant


def test_evaluate_follows_a_constant_that_moved() -> None:
    image = keras.Input((None, None, 3))
    normalization = layers.BatchNormalization(scale=False)
    model = compiled(deel_seg.LipschitzModel(image, normalization(image)), [CRPA(eps=0.2)])
    model.evaluate(IMAGES, LABELS, verbose=0)
    normalization.moving_variance.assign([0.01, 0.02, 0.03])
    value = model.evaluate(IMAGES, LABELS, verbose=0, return_dict=True)["crpa"]
    assert model.lipschitz_constant > 9.0
    logits = model.predict(IMAGES, verbose=0)
    constant = model.lipschitz_constant
    expected = worst_case_pixel_accuracy(logits, LABELS, eps=0.2, lipschitz_constant=constant)
    # The metric keeps its mean in float32.
    assert value == pytest.approx(float(ops.mean(expected)), abs=1e-6)
    stale = worst_case_pixel_accuracy(logits, LABELS, eps=0.2)
    assert float(ops.mean(stale)) > value + 0.05


@pytest.mark.slow
def test_fit_validates_on_fresh_kernels() -> None:
    model = compiled(small_model(), [CRPA(eps=0.05)])
    history = model.fit(
        IMAGES, LABELS, batch_size=2, epochs=2, validation_data=(IMAGES, LABELS), verbose=0
    ).history
    assert set(history) == {"loss", "crpa", "val_loss", "val_crpa"}
    again = model.evaluate(IMAGES, LABELS, verbose=0, return_dict=True)
    # The same function of the same weights, in float32.
    assert again["loss"] == pytest.approx(history["val_loss"][-1], abs=1e-6)
    logits = ops.convert_to_numpy(call(model, IMAGES))
    np.testing.assert_allclose(model.predict(IMAGES, verbose=0), logits, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("with_compile", [False, True])
def test_file_round_trip(with_compile: bool, tmp_path: Path) -> None:
    model = small_model(1.5, name="mine")
    if with_compile:
        compiled(model, [CRPA(eps=0.1)]).fit(IMAGES, LABELS, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded).__name__ == "LipschitzModel"
    assert isinstance(loaded, deel_seg.LipschitzModel)
    assert (loaded.name, loaded.lipschitz_constant) == ("mine", 1.5)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(call(loaded, IMAGES)), ops.convert_to_numpy(call(model, IMAGES))
    )
    if with_compile:
        values = [each.evaluate(IMAGES, LABELS, verbose=0) for each in (model, loaded)]
        assert values[0] == values[1]


def test_clone_and_config() -> None:
    model = small_model(0.5)
    for copy in (
        keras.models.clone_model(model), deel_seg.LipschitzModel.from_config(model.get_config())
    ):  # fmt: skip
        copy.set_weights(model.get_weights())
        assert copy.lipschitz_constant == 0.5
        np.testing.assert_array_equal(
            ops.convert_to_numpy(call(copy, IMAGES)), ops.convert_to_numpy(call(model, IMAGES))
        )


def test_vanilla_export_gives_the_same_logits() -> None:
    model = compiled(small_model(0.5))
    model.fit(IMAGES, LABELS, verbose=0)
    plain = model.vanilla_export()
    kinds = {type(layer).__name__ for layer in plain.layers}
    assert not kinds & {"OrthogonalConv2D", "OrthogonalConv2DTranspose", "BatchCentering"}
    assert {"Conv2D", "Conv2DTranspose", "Rescaling"} <= kinds
    # One float32 kernel either way; the centering is added in another order.
    np.testing.assert_allclose(
        ops.convert_to_numpy(call(plain, IMAGES)), ops.convert_to_numpy(call(model, IMAGES)),
        atol=1e-6,
    )  # fmt: skip


def test_vanilla_export_reaches_nested_models() -> None:
    image = keras.Input((None, None, 3))
    model = deel_seg.LipschitzModel(image, small_model(name="inside")(image))
    plain = model.vanilla_export()
    kinds = {type(layer).__name__ for layer in plain._flatten_layers()}
    assert "OrthogonalConv2D" not in kinds
    np.testing.assert_allclose(
        ops.convert_to_numpy(call(plain, IMAGES)), ops.convert_to_numpy(call(model, IMAGES)),
        atol=1e-6,
    )  # fmt: skip


def test_condense_reaches_nested_models_and_names_a_broken_layer() -> None:
    inside = small_model()
    image = keras.Input((None, None, 3))
    model = deel_seg.LipschitzModel(image, inside(image))
    model.condense()
    first = inside.get_layer("first")
    assert np.max(np.abs(ops.convert_to_numpy(first.kernel))) > 0.0
    first.matrix.assign(np.nan * ops.convert_to_numpy(first.matrix))
    with pytest.raises(ValueError, match=r"'first'.*NaN"):
        model.predict(IMAGES, verbose=0)
