"""What `certify_folder` has written, read again for a report."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deel_seg._checks import received
from deel_seg.folders.explored import REPORT

Arrays = dict[str, np.ndarray]

_TEXTS = ("image", "note")
_WHOLE = ("height", "width", "pixels")


@dataclass(frozen=True)
class Findings:
    """The files of a folder of certificates.

    Attributes:
        folder: Where they lie.
        summary: As in `summary.json`.
        rows: As in `results.csv`, numbers as numbers, None where there is no value.
        manifest: As in `manifest.json`.
        audit: As in `audit.json`.
    """

    folder: Path
    summary: dict[str, Any]
    rows: list[dict[str, Any]]
    manifest: dict[str, Any]
    audit: dict[str, Any]

    @property
    def settings(self) -> dict[str, Any]:
        """What was certified with."""
        return self.summary["settings"]

    @property
    def eps(self) -> list[float]:
        """Budgets of the run, in increasing order."""
        return sorted(self.settings["eps"])

    @property
    def refused(self) -> dict[str, str]:
        """Why pictures were not certified, by name."""
        return self.summary["images"]["refused"]

    def pictures(self) -> Iterator[Arrays]:
        """What was found of each picture, in the order of the rows.

        Raises:
            ValueError: If a file is missing or holds nothing for a report.
        """
        for row in self.rows:
            yield self.picture(row["image"])

    def picture(self, name: str, only: tuple[str, ...] | None = None) -> Arrays:
        """What was found of one picture, without what its names begin with."""
        path = self.folder / "maps" / f"{name}.npz"
        if not path.exists():
            raise ValueError(f"{path} is missing: certify the folder again. {self._received()}")
        with np.load(path) as file:
            if f"{REPORT}level" not in file.files:
                raise ValueError(
                    f"{path} holds nothing for a report: certify the folder again, with a report, "
                    f"which goes on from what is there. {self._received()}"
                )
            # A report's own come last: of what both have, it takes that at all of its budgets.
            keys = sorted(file.files, key=lambda key: key.startswith(REPORT))
            names = {key.removeprefix(REPORT): key for key in keys}
            return {key: file[names[key]] for key in names if only is None or key in only}

    def _received(self) -> str:
        return received(folder=str(self.folder))


def read_findings(folder: Path) -> Findings:
    """Reads what `certify_folder(..., report=True)` has written.

    Raises:
        ValueError: If files are missing.
    """
    names = ("summary.json", "results.csv", "manifest.json", "audit.json")
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        raise ValueError(
            f"`folder` must hold what `deel-seg certify --report` writes; {missing[0]} is missing. "
            + received(folder=str(folder))
        )
    summary, manifest, audit = (
        json.loads((folder / name).read_text("utf-8")) for name in names if name != "results.csv"
    )
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = [_typed(row) for row in csv.DictReader(file)]
    return Findings(folder, summary, rows, manifest, audit)


def _typed(row: dict[str, str]) -> dict[str, Any]:
    return {name: _value(name, text) for name, text in row.items()}


def _value(name: str, text: str) -> Any:
    if name in _TEXTS:
        return text
    if name in _WHOLE:
        return int(text)
    number = float(text)
    return None if np.isnan(number) else number
