"""Parts of long work, kept in a folder so that it can be gone on with."""

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
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        partial.replace(path)

    def load(self, number: int) -> Arrays:
        """A part that was kept."""
        if self.folder is None:
            raise ValueError("There is no folder.")
        with np.load(self.file(self.folder, number)) as file:
            return {name: file[name] for name in file.files}

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
            if any(folder.iterdir()):
                raise ValueError(
                    f"`folder` must be empty, or hold {what}. {received(folder=str(folder))}"
                )
            path.write_text(json.dumps(wanted, indent=1) + "\n")
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
    """A hash of a Keras model's weights; of a function nothing is known."""
    return fingerprint(*model.get_weights()) if isinstance(model, keras.Model) else None
