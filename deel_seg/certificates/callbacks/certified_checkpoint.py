"""A callback that keeps the checkpoint with the best certified value."""

from __future__ import annotations

import json
import math
import operator
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from deel_seg._checks import check_choice, received
from deel_seg._replicas import is_chief
from deel_seg.certificates.callbacks.model_constant import own_constant_if_known

# Words in the names of certificates and of their metrics. A radius of a false negative rate is a
# budget, of which more is better, so the first words found decide.
_DIRECTIONS = (
    ("max", {"radius", "stability"}),
    ("min", {"fnr", "fpr", "loss", "error"}),
    ("max", {"accuracy", "crpa", "crs", "dice", "f1", "iou", "precision", "recall"}),
    ("max", {"specificity"}),
)


class CertifiedCheckpoint(keras.callbacks.ModelCheckpoint):
    """Saves the model with the best certified value, and a record of it beside the file.

    `keras.callbacks.ModelCheckpoint` with `save_best_only=True` and these differences:

    - the direction is that of the certificate: up for CRPA, CRS, accuracies, IoUs and radii, down
      for false negative rates, whether a metric or a `CertificateCurve` logs them;
    - a `monitor` that is not in the logs of the first epoch is an error, not a warning;
    - NaN and infinity are never better than anything, not even in the first epoch;
    - `best.keras.json`, beside `best.keras`, holds the epoch (counted from 0), the value, the
      monitor, its direction, and the Lipschitz constant behind the value;
    - a `fit` that goes on (`initial_epoch` above 0) takes from there the value to beat. One from
      epoch 0 starts anew;
    - of several workers (`tf.distribute.MultiWorkerMirroredStrategy`) the chief alone saves.

    Args:
        filepath: Where to save: `.keras`, or `.weights.h5` with `save_weights_only`. It may hold
            Keras' placeholders, such as `{epoch:02d}` and `{val_crpa:.3f}`; a run that goes on
            then finds no record, and starts anew.
        monitor: Name in the logs, such as `"val_crpa"` or, from a `CertificateCurve` earlier in
            the list of callbacks, `"val_crpa@0_1"`.
        mode: `"max"`, `"min"`, or `"auto"`, the direction of the certificate.
        save_weights_only: Whether to save weights instead of the model.
        initial_value_threshold: The value to beat; `None` takes that of the record, if any.
        verbose: 1 tells what is saved.

    Attributes:
        record: What the JSON file holds, as a dict; empty before anything is saved.

    Raises:
        ValueError: For arguments that are not as described. At the end of the first epoch of a
            `fit`, if the logs do not hold `monitor`, or its direction is not known.

    Example:
    >>> from deel_seg.certificates import CertifiedCheckpoint
    >>> CertifiedCheckpoint("best.keras", monitor="val_crpa@0_1").monitor
    'val_crpa@0_1'
    """

    mode: str
    monitor_op: Any

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_crpa",
        *,
        mode: str = "auto",
        save_weights_only: bool = False,
        initial_value_threshold: float | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            filepath,
            monitor,
            verbose=verbose,
            save_best_only=True,
            save_weights_only=save_weights_only,
            mode=check_choice("mode", mode, ("auto", "max", "min")),
            initial_value_threshold=initial_value_threshold,
        )
        self.record: dict[str, Any] = {}
        self._started = self._found = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._started = self._found = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        if not self._started and epoch > 0 and self.best is None:
            self._resume()
        self._started = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        if self.monitor not in logs:
            if self._found:  # A CertificateCurve need not have a value in every epoch.
                return
            raise ValueError(
                f"`monitor` must be in the logs, which hold {sorted(logs)}. A CertificateCurve has "
                f"to come before this callback. {received(monitor=self.monitor)}"
            )
        self._found = True
        if self.monitor_op is None:
            if self.mode == "auto":
                self.mode = _direction(self.monitor, self.model)
            # Keras' own would round the values to float32.
            self.monitor_op = operator.gt if self.mode == "max" else operator.lt
        value = float(logs[self.monitor])
        if not math.isfinite(value) or not is_chief(self.model):
            return
        better = self.best is None or self.monitor_op(value, self.best)
        if better:
            # A run killed while it saves leaves no record of a file that may be broken.
            self._record_path(epoch, logs).unlink(missing_ok=True)
        super().on_epoch_end(epoch, logs)
        if better:
            self._write_record(epoch, logs)

    def _resume(self) -> None:
        """Takes the value to beat from the record of the file, if both are there."""
        path = Path(f"{self.filepath}.json")
        if not path.exists() or not Path(self.filepath).exists():
            return
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["monitor"] == self.monitor:
            self.record, self.best = record, record["value"]

    def _record_path(self, epoch: int, logs: dict[str, Any]) -> Path:
        # The placeholders are filled in as Keras does.
        return Path(f"{self.filepath.format(epoch=epoch + 1, **logs)}.json")

    def _write_record(self, epoch: int, logs: dict[str, Any]) -> None:
        self.record = {
            "epoch": epoch,
            "monitor": self.monitor,
            "value": float(self.best),
            "mode": self.mode,
            "lipschitz_constant": _constant_behind(self.monitor, self.model, logs),
        }
        path = self._record_path(epoch, logs)
        partial = path.with_name(f"{path.name}.partial")
        partial.write_text(json.dumps(self.record, indent=1) + "\n", encoding="utf-8")
        partial.replace(path)


def _metrics_named(monitor: str, model: keras.Model) -> Iterator[Any]:
    """Metrics of the model that are logged under a name, with `val_` or without."""
    for metric in model.metrics:
        for each in (metric, *getattr(metric, "metrics", [])):
            if each.name == monitor.removeprefix("val_"):
                yield each


def _direction(monitor: str, model: keras.Model) -> str:
    for metric in _metrics_named(monitor, model):
        direction = getattr(metric, "_direction", None)
        if direction in ("up", "down"):
            return "max" if direction == "up" else "min"
    words = set(monitor.removeprefix("val_").partition("@")[0].lower().split("_"))
    for mode, known in _DIRECTIONS:
        if words & known:
            return mode
    raise ValueError(
        'The direction of `monitor` is not known: pass mode="max" or mode="min". '
        f"{received(monitor=monitor)}"
    )


def _constant_behind(monitor: str, model: keras.Model, logs: dict[str, Any]) -> float | None:
    """The Lipschitz constant a value was certified with: the metric's, the curve's, the model's."""
    for metric in _metrics_named(monitor, model):
        constant = getattr(metric, "effective_lipschitz_constant", None)
        if constant is not None:
            return constant
    for name, value in logs.items():  # A curve's, under the prefix that its values have.
        prefix, found, rest = name.partition("lipschitz_constant")
        if found and not rest and monitor.startswith(prefix):
            return float(value)
    return own_constant_if_known(model)
