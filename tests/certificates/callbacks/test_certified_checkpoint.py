from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from deel_seg.certificates import CRPA
from deel_seg.certificates.callbacks import CertifiedCheckpoint
from tests.certificates.callbacks.example import DATA, curve_over
from tests.certificates.metrics.example import (
    LOGITS,
    VOID_LABELS,
    compiled_model,
    identity_model,
)


class Trained:
    """A model under a callback, whose weights tell the epochs apart."""

    def __init__(self, callback: CertifiedCheckpoint, model: keras.Model | None = None) -> None:
        self.callback = callback
        self.model = identity_model() if model is None else model
        if model is None:
            self.model.compile()
        callback.set_model(self.model)

    def run(self, values: dict[int, Any], name: str = "val_crpa") -> None:
        """Epochs whose logs hold these values; `None` leaves the name out."""
        self.callback.on_train_begin()
        for epoch, value in values.items():
            self.callback.on_epoch_begin(epoch)
            self.model.layers[-1].bias.assign([float(epoch)] * 3)
            logs = {"loss": 1.0} if value is None else {"loss": 1.0, name: value}
            self.callback.on_epoch_end(epoch, logs)


def saved_epoch(path: Path) -> int:
    return int(keras.models.load_model(path, compile=False).layers[-1].bias[0])


def record(path: Path) -> dict[str, Any]:
    return json.loads(Path(f"{path}.json").read_text())


def test_the_best_epoch_is_kept_with_its_record(tmp_path: Path) -> None:
    path = tmp_path / "new" / "best.keras"
    callback = CertifiedCheckpoint(path)
    Trained(callback).run({0: 0.5, 1: 0.75, 2: 0.75, 3: 0.25})
    assert saved_epoch(path) == 1
    assert callback.record == record(path) == {
        "epoch": 1, "monitor": "val_crpa", "value": 0.75, "mode": "max", "lipschitz_constant": None,
    }  # fmt: skip
    assert {item.name for item in path.parent.iterdir()} == {"best.keras", "best.keras.json"}


def test_nan_is_never_better(tmp_path: Path) -> None:
    path = tmp_path / "best.keras"
    trained = Trained(CertifiedCheckpoint(path))
    trained.run({0: math.nan, 1: math.inf})
    assert not path.exists() and trained.callback.record == {}
    trained.run({0: math.nan, 1: 0.25, 2: math.nan, 3: 0.125})
    assert saved_epoch(path) == 1 and record(path)["value"] == 0.25


def test_keras_own_would_take_nan_for_the_best(tmp_path: Path) -> None:
    path = tmp_path / "best.keras"
    trained = Trained(CertifiedCheckpoint(path))
    trained.callback = keras.callbacks.ModelCheckpoint(
        path, "val_crpa", mode="max", save_best_only=True
    )
    trained.callback.set_model(trained.model)
    trained.run({0: math.nan, 1: 0.25})
    assert saved_epoch(path) == 0


def test_values_are_compared_in_full_precision(tmp_path: Path) -> None:
    path = tmp_path / "best.keras"
    Trained(CertifiedCheckpoint(path)).run({0: 0.5, 1: 0.5 + 2.0**-40, 2: 0.5 + 2.0**-41})
    assert saved_epoch(path) == 1 and record(path)["value"] == 0.5 + 2.0**-40


@pytest.mark.parametrize(
    ("monitor", "mode"),
    [
        ("val_crpa", "max"),
        ("val_crpa@0_1", "max"),
        ("crs@0_25", "max"),
        ("val_stability@50", "max"),
        ("val_certified_iou@3", "max"),
        ("val_certified_mean_iou", "max"),
        ("val_pixel_accuracy", "max"),
        ("val_worst_case_recall", "max"),
        ("val_certified_fnr@0_1", "min"),
        ("val_fnr_radius", "max"),
        ("val_loss", "min"),
    ],
)
def test_the_direction_is_that_of_the_certificate(tmp_path: Path, monitor: str, mode: str) -> None:
    path = tmp_path / "best.keras"
    Trained(CertifiedCheckpoint(path, monitor)).run({0: 0.5, 1: 0.25, 2: 0.75}, monitor)
    assert record(path)["mode"] == mode
    assert saved_epoch(path) == (2 if mode == "max" else 1)


def test_a_metric_knows_its_direction(tmp_path: Path) -> None:
    metric = CRPA(0.1, ignore_class=255, lipschitz_constant=3.0)
    metric._direction = "down"  # Whatever words its name holds.
    model = compiled_model(metric)
    model.evaluate(LOGITS, VOID_LABELS, verbose=0)
    Trained(CertifiedCheckpoint(tmp_path / "best.keras"), model).run({0: 0.5, 1: 0.25, 2: 0.75})
    assert record(tmp_path / "best.keras")["mode"] == "min"
    assert saved_epoch(tmp_path / "best.keras") == 1


def test_an_unknown_direction_is_to_be_given(tmp_path: Path) -> None:
    path = tmp_path / "best.keras"
    with pytest.raises(ValueError, match=r'mode="max".*monitor=\'val_mine\''):
        Trained(CertifiedCheckpoint(path, "val_mine")).run({0: 0.5}, "val_mine")
    Trained(CertifiedCheckpoint(path, "val_mine", mode="min")).run({0: 0.5, 1: 0.25}, "val_mine")
    assert saved_epoch(path) == 1
    with pytest.raises(ValueError, match="`mode` must be one of"):
        CertifiedCheckpoint(path, mode="best")


def test_a_monitor_that_is_not_there_is_refused(tmp_path: Path) -> None:
    trained = Trained(CertifiedCheckpoint(tmp_path / "best.keras"))
    with pytest.raises(ValueError, match=r"hold \['loss'\].*Received: monitor='val_crpa'"):
        trained.run({0: None, 1: 0.5})
    with pytest.raises(ValueError, match=r"hold \['loss'\]"):
        callbacks = [CertifiedCheckpoint(tmp_path / "other.keras")]
        compiled_model().fit(LOGITS, VOID_LABELS, verbose=0, callbacks=callbacks)
    # Later on, an epoch may be one without a curve.
    trained.run({0: 0.5, 1: None, 2: 0.75, 3: None})
    assert saved_epoch(tmp_path / "best.keras") == 2


def test_a_run_that_goes_on_has_a_value_to_beat(tmp_path: Path) -> None:
    path = tmp_path / "best.keras"
    Trained(CertifiedCheckpoint(path)).run({0: 0.25, 1: 0.5})
    Trained(CertifiedCheckpoint(path)).run({2: 0.375})
    assert saved_epoch(path) == 1
    Trained(CertifiedCheckpoint(path)).run({2: 0.375, 3: 0.75})
    assert saved_epoch(path) == 3
    Trained(CertifiedCheckpoint(path, initial_value_threshold=0.9)).run({4: 0.8})
    assert saved_epoch(path) == 3
    # Another value is not to be compared with that one, and a new run starts anew.
    Trained(CertifiedCheckpoint(path, "val_crs")).run({4: 0.125}, "val_crs")
    assert saved_epoch(path) == 4
    Trained(CertifiedCheckpoint(path)).run({0: 0.0625})
    assert saved_epoch(path) == 0


def test_a_run_killed_while_it_saves_leaves_no_record(tmp_path: Path) -> None:
    path = tmp_path / "best.keras"
    trained = Trained(CertifiedCheckpoint(path))
    trained.run({0: 0.25})

    def killed(*_: Any, **__: Any) -> None:
        path.write_bytes(b"broken")
        raise KeyboardInterrupt

    trained.model.save = killed
    with pytest.raises(KeyboardInterrupt):
        trained.run({1: 0.5})
    assert not Path(f"{path}.json").exists()
    Trained(CertifiedCheckpoint(path)).run({1: 0.125})
    assert saved_epoch(path) == 1


def test_weights_and_placeholders(tmp_path: Path) -> None:
    callback = CertifiedCheckpoint(
        tmp_path / "{epoch:02d}-{val_crpa:.2f}.weights.h5", save_weights_only=True
    )
    trained = Trained(callback)
    trained.run({0: 0.5, 1: 0.75})
    path = tmp_path / "02-0.75.weights.h5"
    assert record(path)["epoch"] == 1
    model = identity_model()
    model.load_weights(path)
    np.testing.assert_array_equal(model.layers[-1].bias, [1.0] * 3)


@pytest.mark.slow
@pytest.mark.one_backend
def test_fit_with_a_metric_and_with_a_curve(tmp_path: Path) -> None:
    metric = CRPA(0.1, ignore_class=255, lipschitz_constant=3.0)
    model, curve = compiled_model(metric), curve_over(lipschitz_constant=2.0)
    history = model.fit(
        LOGITS,
        VOID_LABELS,
        verbose=0,
        validation_data=(LOGITS, VOID_LABELS),
        callbacks=[
            curve,
            CertifiedCheckpoint(tmp_path / "metric.keras"),
            CertifiedCheckpoint(tmp_path / "curve.keras", "val_crpa@0_5"),
        ],
    ).history
    of_metric, of_curve = record(tmp_path / "metric.keras"), record(tmp_path / "curve.keras")
    assert of_metric["value"] == history["val_crpa"][0]
    assert of_curve["value"] == curve.curve["crpa"][1]
    assert (of_metric["lipschitz_constant"], of_curve["lipschitz_constant"]) == (3.0, 2.0)
    loaded = keras.models.load_model(tmp_path / "curve.keras", compile=False)
    again = curve_over(DATA, lipschitz_constant=2.0).evaluate(loaded)
    assert again["crpa"][1] == of_curve["value"]
