"""Parts of long work, kept in a folder so that it can be gone on with."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import keras
import numpy as np
from keras import ops

from deel_seg._checks import received

Arrays = dict[str, np.ndarray]


class PartsFolder:
    """Arrays of the parts of some work, by number.

    Args:
        folder: The folder; None keeps nothing.
        what: What is kept, for messages: "the evaluation".
        settings: What the work depends on, as JSON has it. A folder that holds the parts of other
            work is refused.
    """

    def __init__(self, folder: Any, what: str, settings: Mapping[str, Any]) -> None:
        self.folder = None if folder is None else Path(os.fspath(folder))
        if self.folder is not None:
            self._claim(self.folder, what, json.loads(json.dumps(settings)))

    def has(self, number: int) -> bool:
        """Whether a part was kept."""
        return self.folder is not None and self.file(self.folder, number).exists()

    def keep(self, number: int, arrays: Mapping[str, Any]) -> None:
        """Keeps a part; a kill while writing leaves none."""
        if self.folder is None:
            return
        path = self.file(self.folder, number)
        with whole(path) as file:
            np.savez(file, allow_pickle=False, **arrays)

    def load(self, number: int) -> Arrays:
        """A part that was kept."""
        if self.folder is None:
            raise ValueError("There is no folder.")
        with np.load(self.file(self.folder, number)) as file:
            return {name: file[name] for name in file.files}

    def recognise(self, model: Any, images: np.ndarray, name: str = "model") -> None:
        """Refuses the parts of another function.

        A Keras model is known by its weights, see `weights_fingerprint`. Of a function nothing is
        known but what it returns: that is kept of a few images, and compared.

        Args:
            model: The model, or the function.
            images: A few images that it is used for: the same ones each time.
            name: What to call it.
        """
        if self.folder is None or isinstance(model, keras.Model):
            return
        path = self.folder / f"{name}.npy"
        logits = ops.convert_to_numpy(model(ops.convert_to_tensor(images)))
        if not path.exists():
            with whole(path) as file:
                np.save(file, logits, allow_pickle=False)
        elif not _alike(np.load(path), logits):
            raise ValueError(
                f"`folder` holds parts of another function: `{name}` returns other values for the "
                f"first images now. {received(folder=str(self.folder))}"
            )

    @staticmethod
    def file(folder: Path, number: int) -> Path:
        """Where a part is kept."""
        return folder / f"part_{number:05}.npz"

    @staticmethod
    def _claim(folder: Path, what: str, wanted: dict[str, Any]) -> None:
        """Takes an empty folder, or one that holds parts of the same work."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "settings.json"
        if not path.exists():
            # A kill while the settings were written leaves a part of them.
            if any(file.suffix != ".partial" for file in folder.iterdir()):
                raise ValueError(
                    f"`folder` must be empty, or hold {what}. {received(folder=str(folder))}"
                )
            with whole(path) as file:
                file.write((json.dumps(wanted, indent=1) + "\n").encode())
            return
        there = json.loads(path.read_text())
        for name in {**wanted, **there}:
            if there.get(name) != wanted.get(name):
                raise ValueError(
                    f"`folder` holds {what} of something else: its `{name}` is "
                    f"{there.get(name)!r}, and asked for is {wanted.get(name)!r}. "
                    + received(folder=str(folder))
                )


def fingerprint(*arrays: Any) -> str:
    """A hash of arrays: of their shapes, dtypes and values."""
    found = hashlib.sha256()
    for array in map(np.ascontiguousarray, arrays):
        found.update(repr((array.shape, array.dtype.str)).encode())
        found.update(array.tobytes())
    return found.hexdigest()


def weights_fingerprint(model: Any) -> str | None:
    """A hash of a Keras model's weights; a function is known by `PartsFolder.recognise`."""
    if not isinstance(model, keras.Model):
        return None
    if hasattr(model, "compose_kernels"):
        model.compose_kernels()  # Kernels are kept among the weights once they are composed.
    return fingerprint(*model.get_weights())


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, that is there only once all of it is."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        yield file
    partial.replace(path)


def _alike(there: np.ndarray, values: np.ndarray) -> bool:
    """Whether two results may be of one function: another batch or device rounds otherwise."""
    if there.shape != values.shape:
        return False
    largest = np.max(np.abs(there[np.isfinite(there)]), initial=0.0)
    return np.allclose(there, values, rtol=0.0, atol=1e-3 * largest, equal_nan=True)
