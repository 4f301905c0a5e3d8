"""The trials of a sweep, each trained in a folder of its own and never trained twice."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import keras

from deel_seg._checks import received
from deel_seg._fitting import TimeLeft, fit_in_folder, read_history
from deel_seg._parts import whole
from deel_seg.tuning.sweep_result import Trial


@dataclass
class KeptTrials:
    """Trains a trial, goes on with it, or reads what was found of it.

    Args:
        folder: Where the trials are kept.
        hypermodel: Makes their networks.
        stream: From an epoch's number to endless batches from that epoch on.
        validation: Batches to measure after each epoch.
        steps: Batches an epoch.
        epochs: Epochs of each trial.
        needed: Names of the values that each trial has to have.
        seed: What the seed of each trial is made from, beside its hyperparameters.
        count: How many there are going to be, if known.
        verbose: 1 for a line after each epoch, 0 for none.
    """

    folder: Path
    hypermodel: Any
    stream: Callable[[int], Any]
    validation: Any
    steps: int
    epochs: int
    needed: Sequence[str]
    seed: int
    count: int | None
    verbose: int
    found: list[Trial] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._left = TimeLeft((self.count or 1) * self.epochs)

    def run(self, hp: Any) -> Trial:
        """The trial of some hyperparameters, from where it stands."""
        values = dict(hp.values)
        name = folder_name(values)
        folder = self.folder / name
        result = folder / "result.json"
        if result.exists():
            for _ in range(self.epochs):
                self._left.add(measured=False)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            metrics = self._train(hp, folder, values)
            with whole(result) as file:
                kept = {"values": values, "metrics": metrics}
                file.write((json.dumps(kept, indent=1) + "\n").encode())
        metrics = json.loads(result.read_text())["metrics"]
        self._check(metrics)
        trial = Trial(values, metrics, f"{self.folder.name}/{name}")
        self.found.append(trial)
        return trial

    def _train(self, hp: Any, folder: Path, values: dict[str, Any]) -> dict[str, float]:
        # The same network and steps whatever was trained before it, and in which process.
        keras.utils.set_random_seed(seed_of(values, self.seed))

        def count_done(model: keras.Model, epoch: int) -> None:
            for _ in range(epoch):
                self._left.add(measured=False)

        fit_in_folder(
            folder,
            lambda: self.hypermodel.build(hp),
            self.stream,
            steps=self.steps,
            epochs=self.epochs,
            validation=self.validation,
            callbacks=[_Line(self, values)],
            on_start=count_done,
            verbose=0,
        )
        rows = read_history(folder / "history.csv")
        if len(rows) < self.epochs or not math.isfinite(float(rows[-1]["loss"])):
            self._left.done += self.epochs - len(rows)
            return {}
        return {key: float(value) for key, value in rows[-1].items() if key.startswith("val_")}

    def _check(self, metrics: Mapping[str, float]) -> None:
        missing = [name for name in self.needed if metrics and name not in metrics]
        if missing:
            raise ValueError(
                f"`objectives` must be among what is measured: {sorted(metrics)}. "
                + received(objectives=missing)
            )

    def tell(self, values: Mapping[str, Any], epoch: int, logs: Mapping[str, Any]) -> None:
        """A line on an epoch that has ended."""
        self._left.add()
        if self.verbose:
            trial = Trial(values, {}, "")
            number = len(self.found) + 1
            of = "" if self.count is None else f" of {self.count}"
            told = ", ".join(f"{name} {logs[name]:.4g}" for name in self.needed if name in logs)
            print(
                f"trial {number}{of}, {trial.name}: epoch {epoch + 1} of {self.epochs}, {told}; "
                f"{self._left.words()}",
                flush=True,
            )


class _Line(keras.callbacks.Callback):
    """Tells the trials of each epoch that has ended."""

    def __init__(self, trials: KeptTrials, values: Mapping[str, Any]) -> None:
        super().__init__()
        self.trials, self.values = trials, values

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.trials.tell(self.values, epoch, logs or {})


def folder_name(values: Mapping[str, Any]) -> str:
    """The folder of a trial, named by its hyperparameters.

    Example:
    >>> from deel_seg.tuning.kept_trials import folder_name
    >>> folder_name({"width": 0.5, "temperature": 20.0})
    'temperature=20.0,width=0.5'
    """
    return ",".join(quote(f"{key}={values[key]}", safe="=") for key in sorted(values))


def seed_of(values: Mapping[str, Any], seed: int) -> int:
    """A seed from hyperparameters, whatever their order.

    Example:
    >>> from deel_seg.tuning.kept_trials import seed_of
    >>> a, b = {"x": 1, "y": 2}, {"y": 2, "x": 1}
    >>> seed_of(a, 0) == seed_of(b, 0), seed_of(a, 0) == seed_of(a, 1)
    (True, False)
    """
    text = json.dumps([seed, dict(values)], sort_keys=True)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % 2**31
