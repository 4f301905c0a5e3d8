"""What was found of each picture of a folder, kept so that a run can be gone on with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from deel_seg._checks import received
from deel_seg._parts import whole
from deel_seg.folders.explored import REPORT, seen
from deel_seg.folders.measure import MAPS, Measured
from deel_seg.folders.pictures import Picture


class Kept:
    """What was found of each picture, in a file of its own.

    Args:
        folder: As given to `certify_folder`.
        settings: What the values depend on.
        report: Whether to keep what a report shows too.
    """

    def __init__(self, folder: Path, settings: dict[str, Any], *, report: bool = False) -> None:
        self._report = report
        self.settings = json.loads(json.dumps(settings))
        self._maps = folder / "maps"
        self._maps.mkdir(parents=True, exist_ok=True)
        path = folder / "settings.json"
        if not path.exists():
            with whole(path) as file:
                file.write((json.dumps(self.settings, indent=1) + "\n").encode())
        there = json.loads(path.read_text())
        for name in {**there, **self.settings}:
            if there.get(name) != self.settings.get(name):
                raise ValueError(
                    f"`out` holds certificates of something else: its `{name}` is "
                    f"{there.get(name)!r}, and asked for is {self.settings.get(name)!r}. Choose "
                    f"another folder. {received(out=str(folder))}"
                )

    def has(self, name: str, digest: str) -> bool:
        """Whether a picture of these bytes was certified, and what is asked for was found."""
        path = self._file(name)
        if not path.exists():
            return False
        with np.load(path) as file:
            there = not self._report or f"{REPORT}level" in file.files
            return there and str(file["digest"]) == digest

    def keep(self, name: str, picture: Picture, found: Measured) -> None:
        """Keeps what was found; a kill while writing leaves nothing."""
        path = self._file(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as file:
            arrays: dict[str, Any] = {"digest": picture.digest, "note": picture.note, **found}
            if self._report:
                arrays[f"{REPORT}jpeg"] = seen(picture.pixels)
                arrays[f"{REPORT}channels"] = np.array(picture.pixels.shape[-1])
                if picture.labels is not None:
                    arrays[f"{REPORT}labels"] = picture.labels
            np.savez(file, allow_pickle=False, **arrays)

    def load(self, name: str) -> tuple[str, Measured]:
        """The note of a picture, and what was found of it, but for its maps."""
        with np.load(self._file(name)) as file:
            names = [key for key in file.files if not key.startswith(REPORT)]
            found = {key: file[key] for key in names if key not in ("digest", *MAPS)}
        return str(found.pop("note")), found

    def _file(self, name: str) -> Path:
        return self._maps / f"{name}.npz"
