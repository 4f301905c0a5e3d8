"""One training by examples/train.py, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import deel_seg

ROOT = Path(__file__).resolve().parents[2]
_GLANCE = 5.0  # Seconds between two looks at how far it is.
_SELDOM = 60.0  # The same where each look is a line.


class Training(NamedTuple):
    """A run.

    Attributes:
        name: Its name.
        arguments: Of examples/train.py, without `--out`.
        folder: Where it is kept.
    """

    name: str
    arguments: list[str]
    folder: Path

    def option(self, name: str, default: str = "") -> str:
        """Value of an argument."""
        if name not in self.arguments:
            return default
        return self.arguments[self.arguments.index(name) + 1]

    def beside(self, suffix: str) -> Path:
        """A file beside its folder, whose name may have dots in it."""
        return self.folder.with_name(self.folder.name + suffix)

    def check_data(self) -> None:
        """Raises an error if files of the data set are missing, before hours are spent."""
        options = json.loads(self.option("--options", "{}"))
        name, root = self.option("--data"), self.option("--root") or None
        deel_seg.data.steps_per_epoch(name, "train", root=root, **options)


def train(training: Training) -> float:
    """Trains what is not trained yet, and returns the seconds that it took.

    Those of a run that was stopped are counted too, but for what was lost.
    """
    folder, state = training.folder, training.beside(".json")
    folder.parent.mkdir(parents=True, exist_ok=True)
    asked = {"arguments": training.arguments, "seconds": 0.0, "finished": False}
    if state.exists():
        there = json.loads(state.read_text())
        if there["arguments"] != training.arguments:
            raise SystemExit(
                f"{folder} holds a run with other arguments; to train it anew, remove it and "
                f"{state}.\nthere: {there['arguments']}\nasked: {training.arguments}"
            )
        asked = there
    if not asked["finished"]:
        before = asked["seconds"]
        for seconds in _steps(training):
            asked["seconds"] = before + seconds
            _write(state, asked)
        asked["finished"] = True
        _write(state, asked)
    return float(asked["seconds"])


def _steps(training: Training) -> Iterator[float]:
    """Seconds so far, now and then, until it is done."""
    log = training.beside(".log")
    command = [sys.executable, "examples/train.py", *training.arguments, "--out"]
    start = shown = time.perf_counter()
    with log.open("a") as file:
        process = subprocess.Popen(
            [*command, str(training.folder)], cwd=ROOT, stdout=file, stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        try:
            while process.poll() is None:
                try:
                    process.wait(_GLANCE)
                except subprocess.TimeoutExpired:
                    if sys.stdout.isatty() or time.perf_counter() - shown > _SELDOM:
                        shown = time.perf_counter()
                        _show(training, shown - start)
                yield time.perf_counter() - start
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if sys.stdout.isatty():
        print(flush=True)
    if process.returncode:
        tail = "\n".join(log.read_text().splitlines()[-15:])
        raise SystemExit(f"The training of {training.name} failed; the end of {log}:\n{tail}")


def _show(training: Training, seconds: float) -> None:
    history = training.folder / "history.csv"
    epochs = len(history.read_text().splitlines()) - 1 if history.exists() else 0
    line = f"  epoch {max(epochs, 0)} of {training.option('--epochs')}, {seconds:.0f} s"
    print(f"\r{line}" if sys.stdout.isatty() else f"{line}\n", end="", flush=True)


def _write(path: Path, value: object) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value, indent=1) + "\n")
    partial.replace(path)
