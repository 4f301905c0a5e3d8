from __future__ import annotations

import csv
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from deel_seg._backend import IS_TENSORFLOW
from deel_seg.certificates import CRPA, CertifiedIoUCurve, PixelAccuracy
from deel_seg.certificates.callbacks import CertificateCurve
from deel_seg.layers import OrthogonalConv2D
from deel_seg.models import LipschitzModel
from tests.certificates.callbacks.example import (
    DATA,
    EPS,
    assert_curve_sound,
    curve_over,
    exact_accuracy,
    exact_mean_iou,
    is_float_below,
)
from tests.certificates.metrics.example import (
    LABELS,
    LOGITS,
    VOID_LABELS,
    compiled_model,
    identity_model,
)

NAMES = {
    "val_pixel_accuracy", "val_mean_iou", "val_crpa@0_1", "val_crpa@0_5", "val_crs@0_1",
    "val_crs@0_5", "val_stability@50", "val_lipschitz_constant",
}  # fmt: skip


def fit(model: keras.Model, *callbacks: Any, **options: Any) -> dict[str, list[float]]:
    return model.fit(LOGITS, VOID_LABELS, verbose=0, callbacks=list(callbacks), **options).history


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


class Scale(LipschitzModel):
    """A model whose constant is that of its only layer."""

    def __init__(self, factor: float) -> None:
        inputs = keras.Input((None, None, 3))
        layer = OrthogonalConv2D(3, 1, use_bias=False, k_coef_lip=factor)
        super().__init__(inputs, layer(inputs))


@pytest.mark.slow
def test_a_curve_in_the_logs_and_in_columns() -> None:
    curve = curve_over()
    history = fit(compiled_model(), curve, epochs=1)
    assert set(history) == {"loss", *NAMES}
    assert_curve_sound(curve.curve)
    assert set(curve.curve) == {
        "eps", "crpa", "crs", "pixel_accuracy", "mean_iou", "stability@50", "images", "skipped",
        "lipschitz_constant",
    }  # fmt: skip
    assert curve.curve["eps"] == EPS and curve.curve["images"] == [5, 5]
    assert curve.curve["skipped"] == [1, 1] and curve.curve["lipschitz_constant"] == [1.0, 1.0]
    for name in ("crpa", "crs"):
        logged = [history[f"val_{name}@{eps}"][0] for eps in ("0_1", "0_5")]
        assert logged == curve.curve[name]
    assert is_float_below(history["val_pixel_accuracy"][0], exact_accuracy())
    assert is_float_below(history["val_mean_iou"][0], exact_mean_iou())


@pytest.mark.slow
@pytest.mark.one_backend
def test_certified_ious_where_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    curve = curve_over(DATA[:1], certified_iou=True, class_ids=[1], csv_path=path)
    history = fit(compiled_model(), curve)
    reference = CertifiedIoUCurve(EPS, 3, ignore_class=255)
    reference.update(*DATA[0])
    result = reference.result()
    for name, values in (
        ("certified_mean_iou", result.mean_iou),
        ("certified_iou_1", result.iou[1]),
    ):
        assert curve.curve[name] == values.tolist()
        assert [float(row[name]) for row in rows(path)] == values.tolist()
        assert [history[f"val_{name}@{eps}"][0] for eps in ("0_1", "0_5")] == values.tolist()
    assert 0 < result.mean_iou[0] <= curve.curve["mean_iou"][0]  # All classes are labelled.
    images, labels = DATA[0][0].copy(), DATA[0][1]
    images[3] = math.nan  # No pixel counts there.
    curve.data = [(images, labels)]
    assert curve.evaluate(identity_model())["certified_iou_1"] == result.iou[1].tolist()
    images[0, 0, 0, 0] = math.nan
    assert all(math.isnan(value) for value in curve.evaluate(identity_model())["certified_iou_1"])
    with pytest.raises(ValueError, match=r"`class_ids` must lie in \[0, 3\)"):
        curve_over(certified_iou=True, class_ids=[3]).evaluate(identity_model())


@pytest.mark.slow
@pytest.mark.one_backend
def test_it_agrees_with_the_metrics_and_leaves_their_names_alone() -> None:
    metrics = [
        PixelAccuracy(ignore_class=255),
        CRPA(0.5, ignore_class=255, lipschitz_constant=1.0, name="crpa@0_5"),
    ]
    curve = curve_over(DATA[1:])
    history = fit(compiled_model(*metrics), curve, validation_data=(LOGITS, VOID_LABELS))
    # On other data than the validation data, to tell the two apart.
    assert history["val_crpa@0_5"][0] != curve.curve["crpa"][1]
    whole = curve_over().evaluate(identity_model())
    # A metric sums in the accumulation dtype, and rounds to float32.
    for name, value in (
        ("crpa@0_5", whole["crpa"][1]),
        ("pixel_accuracy", whole["pixel_accuracy"][0]),
    ):
        assert 0.99999 * value <= history[f"val_{name}"][0] <= value
    prefixed = fit(compiled_model(), curve_over(prefix="test_"))
    assert "test_crpa@0_5" in prefixed


@pytest.mark.slow
@pytest.mark.one_backend
def test_keras_callbacks_take_the_names(tmp_path: Path) -> None:
    model = compiled_model(CRPA(0.1, ignore_class=255, lipschitz_constant=1.0))
    checkpoint = keras.callbacks.ModelCheckpoint
    history = fit(
        model,
        curve_over(),
        checkpoint(tmp_path / "{epoch:02d}-{val_crpa@0_1:.2f}-{val_stability@50:.2f}.keras"),
        # In auto mode Keras asks the metrics given to `compile`.
        checkpoint(tmp_path / "auto.keras", monitor="val_crpa", save_best_only=True),
        checkpoint(tmp_path / "max.keras", monitor="val_crs@0_5", mode="max", save_best_only=True),
        keras.callbacks.EarlyStopping(monitor="val_crpa"),
        keras.callbacks.EarlyStopping(monitor="val_stability@50", mode="max"),
        keras.callbacks.CSVLogger(tmp_path / "history.csv"),
        epochs=1,
        validation_data=(LOGITS, VOID_LABELS),
    )
    values = [history[name][0] for name in ("val_crpa@0_1", "val_stability@50")]
    assert (tmp_path / "01-{:.2f}-{:.2f}.keras".format(*values)).exists()
    assert (tmp_path / "auto.keras").exists() and (tmp_path / "max.keras").exists()
    (row,) = rows(tmp_path / "history.csv")
    assert set(row) >= NAMES
    assert float(row["val_crpa@0_1"]) == values[0]


@pytest.mark.one_backend
def test_a_file_goes_on_where_a_run_stopped(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    fit(compiled_model(), curve_over(csv_path=path), epochs=3)
    before = rows(path)
    assert [(row["epoch"], float(row["eps"])) for row in before] == [
        (str(epoch), eps) for epoch in range(3) for eps in EPS
    ]
    # Stopped and called again from epoch 1, on a model that does worse.
    model = compiled_model()
    model.set_weights([-weight for weight in model.get_weights()])
    curve = curve_over(csv_path=path)
    fit(model, curve, initial_epoch=1, epochs=2)
    after = rows(path)
    assert [row["epoch"] for row in after] == ["0", "0", "1", "1"]
    assert after[:2] == before[:2] and after[2:] != before[2:4]
    for name, column in curve.curve.items():
        assert [float(row[name]) for row in after[2:]] == column


def test_a_file_of_something_else_is_refused_before_training(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    path.write_text("epoch,loss\n0,1.0\n")
    model = compiled_model()
    with pytest.raises(ValueError, match="holds something else"):
        fit(model, curve_over(csv_path=path))
    assert int(model.optimizer.iterations) == 0


@pytest.mark.slow
@pytest.mark.one_backend
def test_every_so_many_epochs_and_at_both_ends(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    history = fit(compiled_model(), curve_over(csv_path=path, every=3), initial_epoch=1, epochs=6)
    # 1 is the first, 3 a multiple, 5 the last.
    assert [row["epoch"] for row in rows(path)][::2] == ["1", "3", "5"]
    assert len(history["loss"]) == 5 and len(history["val_crpa@0_1"]) == 3


@pytest.mark.one_backend
def test_a_model_knows_its_constant() -> None:
    plain = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match="constant of the model is not known"):
        curve_over(lipschitz_constant=None).evaluate(plain)
    model = Scale(2.0)
    with pytest.raises(ValueError, match=r"below the model's, 2\.0"):
        curve_over().evaluate(model)
    model.compile(keras.optimizers.SGD(0.0), compiled_model().loss)
    with pytest.raises(ValueError, match=r"below the model's, 2\.0"):
        fit(model, curve_over())
    assert int(model.optimizer.iterations) == 0
    own, given = (curve_over(lipschitz_constant=constant) for constant in (None, 2.0))
    assert own.evaluate(model) == given.evaluate(model)


def test_a_factor_set_between_epochs_is_seen() -> None:
    model = Scale(2.0)
    model.compile(keras.optimizers.SGD(0.0), compiled_model().loss)

    def set_factor(epoch: int, logs: Any) -> None:
        model.layers[-1].set_klip_factor(1.0)

    history = fit(
        model,
        curve_over(lipschitz_constant=None),
        keras.callbacks.LambdaCallback(on_epoch_end=set_factor),
        epochs=2,
    )
    assert history["val_lipschitz_constant"] == [2.0, 1.0]
    # Logits and constant are halved together. Logits of the factor of old would certify more.
    assert history["val_crpa@0_5"][0] == history["val_crpa@0_5"][1]


def test_training_weights_are_seen() -> None:
    model = compiled_model()
    model.optimizer.learning_rate = 0.5
    history = fit(model, curve_over(), epochs=2)
    first, second = history["val_pixel_accuracy"]
    assert first != second
    assert curve_over().evaluate(model)["pixel_accuracy"][0] == second


def test_a_diverged_model_is_nan() -> None:
    model = identity_model()
    model.set_weights([np.full_like(weight, math.nan) for weight in model.get_weights()])
    columns = curve_over().evaluate(model)
    assert all(map(math.isnan, [*columns["crpa"], *columns["crs"], *columns["mean_iou"]]))
    assert columns["images"] == [5, 5]


def test_eager_models_run() -> None:
    model = identity_model()
    model.compile(run_eagerly=True)
    assert curve_over().evaluate(model) == curve_over().evaluate(identity_model())


@pytest.mark.slow
@pytest.mark.one_backend
def test_options_reach_the_certificates() -> None:
    model = identity_model()
    base = curve_over(steps=1).evaluate(model)
    assert base == curve_over(DATA[:1]).evaluate(model) and base["images"] == [3, 3]
    tolerant = curve_over(steps=1, logit_tolerance=0.3).evaluate(model)
    assert tolerant["crpa"] < base["crpa"] and tolerant["crs"] < base["crs"]
    other = CertificateCurve(
        [(LOGITS[:4], LABELS[:4])], [0.5], lipschitz_constant=1.0, p=1,
        fractions=(0.25, Fraction(1, 3), 0.25),
    ).evaluate(model)  # fmt: skip
    assert other["stability@25"] < other["stability@33_33333333"]
    assert other["skipped"] == [0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eps": 0.1}, "`eps` must be a sequence"),
        ({"eps": []}, "`eps` must hold different budgets"),
        ({"eps": [0.1, 0.1]}, "`eps` must hold different budgets"),
        ({"eps": [-0.1]}, "`eps` must be >= 0"),
        ({"eps": [math.nan]}, "`eps` must be a finite number"),
        ({"fractions": [0.0]}, "`fractions`"),
        ({"every": 0}, "`every`"),
        ({"lipschitz_constant": 0.0}, "`lipschitz_constant`"),
        ({"ignore_class": 0.5}, "`ignore_class`"),
        ({"p": 3}, "`p` must be one of"),
        ({"logit_tolerance": -1.0}, "`logit_tolerance`"),
        ({"steps": 0}, "`steps`"),
        ({"num_images": -1}, "`num_images`"),
        ({"class_ids": [1]}, "`class_ids` needs certified_iou=True"),
        ({"class_ids": [-1], "certified_iou": True}, "`class_ids`"),
        ({"p": math.inf, "certified_iou": True}, "`p` must be 1 or 2"),
        ({"image_eps": -0.1}, "`image_eps`"),
        ({"data": iter(DATA)}, "`data`"),
    ],
)
def test_arguments_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        curve_over(**options)


@pytest.mark.skipif(not IS_TENSORFLOW, reason="TensorBoard's files are TensorFlow's")
def test_tensorboard(tmp_path: Path) -> None:
    from tests.certificates.callbacks.test_tensorboard import events, tf

    curve = curve_over(tensorboard=tmp_path, num_images=5, image_eps=0.5)
    history = fit(compiled_model(), curve, epochs=2)
    found = events(tmp_path)
    pictures = {"val_radius", "val_certified@0_5"}
    every = NAMES | pictures | {"val_certified_curve"}
    assert set(found) == {(name, epoch) for name in every for epoch in (0, 1)}
    for name in NAMES:
        logged = float(tf.make_ndarray(found[name, 1].tensor))
        np.testing.assert_allclose(logged, history[name][1], rtol=2**-23, atol=0)  # Of float32.
    for name in pictures:
        _, _, *encoded = tf.make_ndarray(found[name, 0].tensor).tolist()
        assert [tf.io.decode_png(png).shape for png in encoded] == [(4, 5, 3)] * 5
