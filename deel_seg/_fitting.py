"""Training that is kept in a folder after each epoch, and gone on with after a stop."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import keras

from deel_seg._folder_lock import alone_in
from deel_seg._parts import whole

Row = dict[str, str]


def cosine_adamw(learning_rate: float, steps: int, weight_decay: float) -> keras.optimizers.AdamW:
    """The paper's optimiser (appendix F): a cosine down to a learning rate of 1e-6."""
    schedule = keras.optimizers.schedules.CosineDecay(
        learning_rate, steps, alpha=min(1.0, 1e-6 / learning_rate)
    )
    return keras.optimizers.AdamW(schedule, weight_decay=weight_decay)


class EpochSeconds(keras.callbacks.Callback):
    """Logs the seconds of training of each epoch, without validation and saving."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.start = time.perf_counter()
        self.seconds = 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.seconds = time.perf_counter() - self.start

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs["seconds"] = self.seconds


class StopAtNaN(keras.callbacks.Callback):
    """Ends a training whose loss is no longer a number, without a word on the standard output."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            self.model.stop_training = True


class SaveLast(keras.callbacks.Callback):
    """Saves model and optimiser after each epoch; a kill while saving leaves the file before.

    An epoch whose loss is no number is not saved: gone on with, it is the same again.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            return
        partial = self.path.with_name("partial.keras")
        self.model.save(partial)
        partial.replace(self.path)


class TimeLeft:
    """Tells how long the rest of some work takes, judged by what was done since it began.

    Args:
        total: How many pieces there are.
        done: How many of them were done before.

    Example:
    >>> from deel_seg._fitting import TimeLeft
    >>> TimeLeft(4, done=4).words()
    'nothing left to do'
    """

    def __init__(self, total: int, done: int = 0) -> None:
        self.total, self.done = total, done
        self.measured = 0
        self._start = time.perf_counter()

    def add(self, *, measured: bool = True) -> None:
        """Counts a piece; one that was found done says nothing of the time."""
        self.done += 1
        self.measured += measured

    def words(self) -> str:
        """Such as "about 3 min left"."""
        pieces = self.total - self.done
        if pieces <= 0:
            return "nothing left to do"
        if not self.measured:
            return f"{pieces} left"
        seconds = (time.perf_counter() - self._start) / self.measured * pieces
        if seconds < 90:
            return f"about {seconds:.0f} s left"
        return f"about {seconds / 60:.0f} min left" if seconds < 5400 else (
            f"about {seconds / 3600:.1f} h left"
        )  # fmt: skip


class TellTimeLeft(keras.callbacks.Callback):
    """Prints between epochs how long those that are left take.

    Args:
        epochs: How many there are.
    """

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.left = TimeLeft(epochs)

    def start(self, done: int) -> None:
        """Begins to measure, with so many epochs done before."""
        self.left = TimeLeft(self.left.total, done)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.left.measured:  # Keras' progress bar has ended its line by now.
            print(f"{self.left.done} of {self.left.total} epochs, {self.left.words()}.", flush=True)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.left.add()


def epochs_done(model: keras.Model, steps: int) -> int:
    """The epochs behind a compiled model, by the steps of its optimiser."""
    return int(keras.ops.convert_to_numpy(model.optimizer.iterations)) // steps


def read_history(path: Path) -> list[Row]:
    """The rows of a log, one an epoch; none where there is no file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def rows_before(path: Path, epoch: int, *, cut: bool) -> list[Row]:
    """The log's rows of epochs that the saved model knows of; others are cut off if asked for.

    A row is written before its epoch is saved. What a kill left of a row is of such an epoch.
    """
    found = read_history(path)
    rows = found[:epoch]
    if not cut or rows == found:
        return rows
    if not rows:
        path.unlink()
        return []
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    with whole(path) as file:
        file.write(text.getvalue().encode())
    return rows


def fit_in_folder(
    folder: Path,
    build: Callable[[], keras.Model],
    stream: Callable[[int], Any],
    *,
    steps: int,
    epochs: int,
    validation: Any = None,
    monitor: str | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    on_start: Callable[[keras.Model, int], None] | None = None,
    scope: Callable[[], AbstractContextManager[Any]] = nullcontext,
    writes: bool = True,
    verbose: Any = "auto",
) -> keras.Model:
    """Trains up to the last epoch, from where the folder's run stands.

    The folder then holds `last.keras`, model and optimiser after the last epoch; `history.csv`, one
    row an epoch; and with `monitor` `best.keras`. A run that was stopped goes on after its last
    complete epoch, on the batches that it would have seen.

    Args:
        folder: A folder that exists.
        build: Makes the compiled model of a run that begins.
        stream: From the first epoch's number to endless batches from that epoch on.
        steps: Batches an epoch.
        epochs: How many epochs there are in all.
        validation: Batches to measure after each epoch.
        monitor: A value in the logs whose highest is kept in `best.keras`.
        callbacks: More of them, called before those that write.
        on_start: Called with the model and the epochs behind it.
        scope: Where the model is made or loaded, such as that of a strategy.
        writes: Whether this process writes the folder; of several workers, the first.
        verbose: As `fit` takes it.

    Returns:
        The model after its last epoch.

    Raises:
        ValueError: If another process trains in the folder.
    """
    last, log = folder / "last.keras", folder / "history.csv"
    with alone_in(folder, "training") if writes else nullcontext():
        with scope():
            model = keras.models.load_model(last) if last.exists() else build()
        epoch = epochs_done(model, steps)
        if on_start is not None:
            on_start(model, epoch)
        history = rows_before(log, epoch, cut=writes)
        if epoch >= epochs:
            return model
        written: list[keras.callbacks.Callback] = []
        if writes:
            written.append(keras.callbacks.CSVLogger(log, append=bool(history)))
            if monitor is not None:
                written.append(_keep_best(folder / "best.keras", monitor, history))
            written.append(SaveLast(last))
        model.fit(
            stream(epoch),
            steps_per_epoch=steps,
            validation_data=validation,
            initial_epoch=epoch,
            epochs=epochs,
            shuffle=False,  # the stream is shuffled already
            callbacks=[EpochSeconds(), StopAtNaN(), *callbacks, *written],
            verbose=verbose,
        )
        return model


def _keep_best(path: Path, monitor: str, history: list[Row]) -> keras.callbacks.Callback:
    return keras.callbacks.ModelCheckpoint(
        path, monitor, mode="max", save_best_only=True,
        initial_value_threshold=max((float(row[monitor]) for row in history), default=None),
    )  # fmt: skip
