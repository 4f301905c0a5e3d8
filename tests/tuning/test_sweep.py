"""A sweep that is stopped at any moment ends as one that is not."""

from __future__ import annotations

import gc
import random
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

from deel_seg.certificates import PixelAccuracy
from deel_seg.tuning import SweepResult, sweep

if keras.backend.backend() != "tensorflow":
    pytest.skip("streams are tf.data's", allow_module_level=True)

EPOCHS, STEPS = 2, 2
OBJECTIVES = [
    keras_tuner.Objective("val_pixel_accuracy", "max"), keras_tuner.Objective("val_loss", "min"),
]  # fmt: skip


class OnePixel(keras_tuner.HyperModel):
    """The least network there is, so that many sweeps take seconds."""

    def __init__(self, rates: list[float] | tuple[float, ...] = (0.5, 5.0)) -> None:
        super().__init__()
        self.rates = list(rates)
        self.built = 0

    def build(self, hp: Any) -> keras.Model:
        self.built += 1
        inputs = keras.Input((2, 2, 3))
        model = keras.Model(inputs, keras.layers.Conv2D(2, 1)(inputs))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        rate = hp.Choice("learning_rate", self.rates)
        # Eagerly, for to trace it takes longer than to train it.
        model.compile(
            keras.optimizers.Adam(rate), loss, metrics=[PixelAccuracy()], run_eagerly=True
        )
        return model

    def settings(self) -> str:
        return "one pixel"


def batches(seed: int, count: int) -> list[tuple[Any, Any]]:
    generator = np.random.default_rng(seed)
    return [
        (generator.random((2, 2, 2, 3), "float32"), generator.integers(0, 2, (2, 2, 2)))
        for _ in range(count)
    ]


def stream(epoch: int) -> tf.data.Dataset:
    """Each epoch has batches of its own, so that a wrong one is seen."""
    found = [batch for e in range(epoch, EPOCHS) for batch in batches(e, STEPS)]
    images, labels = (np.stack(each) for each in zip(*found, strict=True))
    return tf.data.Dataset.from_tensor_slices((images, labels)).repeat()


def run(folder: Path, hypermodel: Any = None, **changes: Any) -> SweepResult:
    validation = tf.data.Dataset.from_tensors(batches(99, 1)[0])
    options: dict[str, Any] = {
        "objectives": OBJECTIVES, "epochs": EPOCHS, "steps_per_epoch": STEPS, "verbose": 0,
    }  # fmt: skip
    found = sweep(
        hypermodel or OnePixel(), stream, validation, folder=folder, **{**options, **changes}
    )
    found.save(folder)
    return found


def files(folder: Path) -> dict[str, bytes]:
    """What has to be the same whatever happened: all but networks and times."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".keras" and path.name != "history.csv"
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    run(folder)
    return folder


def test_a_sweep_compares_its_trials(whole: Path) -> None:
    hypermodel = OnePixel()
    again = run(whole, hypermodel)
    assert [trial.values for trial in again.trials] == [
        {"learning_rate": 0.5}, {"learning_rate": 5.0},
    ]  # fmt: skip
    assert set(again.trials[0].metrics) == {"val_loss", "val_pixel_accuracy"}
    assert again.objectives == {"val_pixel_accuracy": "max", "val_loss": "min"}
    assert hypermodel.built == 1, "trials that are there are not built again"


# Before and after each file takes its place: settings, two networks and a result for each trial.
MOMENTS = [(when, number) for number in range(1, 8) for when in ("before", "after")]


# Where it is stopped, Keras' CSVLogger has its file open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("when", "number"), random.Random(0).sample(MOMENTS, 5), ids=lambda value: str(value)
)
def test_a_sweep_that_was_stopped_ends_as_one_that_was_not(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, number: int
) -> None:
    replace, count = Path.replace, 0

    def stop(path: Path, target: Any) -> Path:
        nonlocal count
        count += 1
        if count == number and when == "before":
            raise KeyboardInterrupt
        done = replace(path, target)
        if count == number:
            raise KeyboardInterrupt
        return done

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    assert count == number
    gc.collect()
    run(tmp_path)
    left = {name: data for name, data in files(tmp_path).items() if not name.endswith(".partial")}
    assert left == files(whole)


def test_a_longer_list_uses_the_trials_that_are_there(whole: Path, tmp_path: Path) -> None:
    first = run(tmp_path, OnePixel([0.5]))
    hypermodel = OnePixel([0.5, 5.0])
    assert run(tmp_path, hypermodel).to_csv() == (whole / "sweep.csv").read_text()
    assert hypermodel.built == 2, "once for the space, once for the new trial"
    assert len(first.trials) == 1


def test_a_random_search_draws_from_its_seed(tmp_path: Path) -> None:
    rates = [1.0, 2.0, 3.0, 4.0, 5.0]
    options: dict[str, Any] = {"search": "random", "max_trials": 2, "epochs": 1}
    first, again = (run(tmp_path / "a", OnePixel(rates), **options) for _ in range(2))
    assert len(first.trials) == 2 and first == again
    with pytest.raises(ValueError, match=r"`seed` is 0, and asked for is 1"):
        run(tmp_path / "a", OnePixel(rates), **options, seed=1)


def test_a_trial_that_diverges_is_listed_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(tmp_path, OnePixel([1e38, 0.5]), verbose=1)
    assert [len(trial.metrics) for trial in found.trials] == [0, 2]
    assert [trial.values["learning_rate"] for trial in found.front()] == [0.5]
    shown = capsys.readouterr().out.splitlines()
    assert "trial 2 of 2, learning_rate 0.5: epoch 2 of 2, val_pixel_accuracy" in shown[-1]
    assert shown[-1].endswith("nothing left to do")
    assert run(tmp_path, OnePixel([1e38, 0.5])) == found


def test_what_is_wrong_is_said(whole: Path, tmp_path: Path) -> None:
    for options, message in (
        ({"objectives": []}, "`objectives` must be one or more"),
        ({"objectives": [PixelAccuracy()] * 2}, "of different names"),
        ({"search": "tree"}, "`search` must be one of 'grid', 'random'"),
        ({"epochs": 0}, "`epochs` must be at least 1"),
        ({"hypermodel": "model"}, "`hypermodel` must be a keras_tuner.HyperModel"),
        ({"objectives": [PixelAccuracy(name="other")]}, "among what is measured"),
    ):
        with pytest.raises(ValueError, match=message):
            run(tmp_path / "wrong", **{"epochs": 1, **options})
    with pytest.raises(
        ValueError, match="`folder` holds the sweep of something else: its `epochs`"
    ):
        run(whole, epochs=5)


class Broken(OnePixel):
    def build(self, hp: Any) -> keras.Model:
        if self.built:
            raise RuntimeError("no memory left")
        return super().build(hp)


def test_an_error_in_a_trial_is_not_swallowed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no memory left"):
        run(tmp_path, Broken())
