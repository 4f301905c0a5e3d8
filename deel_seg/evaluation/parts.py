"""What was found of each batch, kept in a folder so that a long evaluation can be gone on with."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from deel_seg._checks import received
from deel_seg.evaluation.measuring import Measured, Measuring

_SUMS, _CURVE = "sums/", "curve/"


class Parts:
    """The measurements of all batches, and where they are kept.

    Args:
        folder: The folder; None keeps them in memory.
        model: The model, whose weights have to be the same when an evaluation is gone on with.
        settings: What was asked for; likewise.
    """

    def __init__(self, folder: Any, model: Any, settings: Mapping[str, Any]) -> None:
        self.settings = {**settings, "weights": _weights_of(model)}
        self.found: list[Measured] = []
        self.folder = None if folder is None else Path(os.fspath(folder))
        if self.folder is not None:
            self._check_folder(self.folder)

    def has(self, index: int) -> bool:
        """Whether a batch was measured before."""
        return self.folder is not None and self._file(index).exists()

    def keep(self, index: int, measured: Measured, measuring: Measuring) -> None:
        """Takes what was measured of the next batch, and sums over all so far."""
        self.found.append(measured)
        if self.folder is None:
            return
        arrays = {**measured, f"{_SUMS}class_pixels": measuring.class_pixels}
        if measuring.curve is not None:
            state = measuring.curve.get_state()
            arrays |= {f"{_CURVE}{name}": value for name, value in state.items()}
        partial = self._file(index).with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        partial.replace(self._file(index))

    def restore(self, index: int, measuring: Measuring, images: int) -> None:
        """Takes the next batch from the folder."""
        with np.load(self._file(index)) as file:
            arrays = {name: file[name] for name in file.files}
        measuring.class_pixels = arrays.pop(f"{_SUMS}class_pixels")
        curve = {
            name.removeprefix(_CURVE): arrays.pop(name)
            for name in list(arrays)
            if name.startswith(_CURVE)
        }
        if measuring.curve is not None:
            measuring.curve.set_state(curve)
        if any(len(values) != images for values in arrays.values()):
            raise ValueError(
                f"`folder` holds a batch of other images than the data: {self._file(index)}. "
                + received(images=images)
            )
        self.found.append(arrays)

    def joined(self) -> Measured:
        """All batches, one after the other."""
        return {name: np.concatenate([part[name] for part in self.found]) for name in self.found[0]}

    def _file(self, index: int) -> Path:
        if self.folder is None:
            raise ValueError("There is no folder.")
        return self.folder / f"batch_{index:05}.npz"

    def _check_folder(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path, wanted = folder / "settings.json", json.loads(json.dumps(self.settings))
        if not path.exists():
            if any(folder.iterdir()):
                raise ValueError(
                    f"`folder` must be empty, or an evaluation's. {received(folder=str(folder))}"
                )
            path.write_text(json.dumps(wanted, indent=1) + "\n")
            return
        there = json.loads(path.read_text())
        other = [name for name in {**wanted, **there} if there.get(name) != wanted.get(name)]
        if other:
            name = other[0]
            raise ValueError(
                f"`folder` holds the evaluation of something else: its `{name}` is "
                f"{there.get(name)!r}, and asked for is {wanted.get(name)!r}. "
                + received(folder=str(folder))
            )


def _weights_of(model: Any) -> str | None:
    """A hash of a Keras model's weights; of a function nothing is known."""
    if not isinstance(model, keras.Model):
        return None
    found = hashlib.sha256()
    for weight in model.get_weights():
        found.update(np.ascontiguousarray(weight).tobytes())
    return found.hexdigest()
