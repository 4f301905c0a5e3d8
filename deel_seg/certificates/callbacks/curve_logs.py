"""Where a curve is written: names in Keras' logs, and rows of a CSV file."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deel_seg._checks import received


def budget_name(eps: float) -> str:
    """Writes a budget without a dot, which Keras' format strings cannot hold: `"0_25"`.

    No two budgets share a name, for all digits are written that tell a float from its neighbours.
    """
    return np.format_float_positional(eps, trim="-").replace(".", "_")


class CurveFile:
    """A CSV file of one row an epoch and budget, which several runs may go on writing.

    The file is replaced as a whole at each writing: a run killed in the middle leaves the one
    before, and an epoch that is run again takes the place of its rows and of all later ones.

    Args:
        path: The file; its folder is made if needed.
        columns: Names of the columns, `"epoch"` the first.
    """

    def __init__(self, path: str | os.PathLike[str], columns: Sequence[str]) -> None:
        self.path = Path(path)
        self.columns = list(columns)

    def rows_before(self, epoch: int) -> list[dict[str, Any]]:
        """The rows of earlier epochs.

        Raises:
            ValueError: If the file has other columns, and so is another's.
        """
        if not self.path.exists() or not self.path.stat().st_size:
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if list(reader.fieldnames or []) != self.columns:
                raise ValueError(
                    f"The file {str(self.path)!r} holds something else than this curve, and is not "
                    f"overwritten; its columns should be {self.columns}. "
                    f"{received(columns=reader.fieldnames)}"
                )
            return [row for row in reader if int(row["epoch"]) < epoch]

    def write(self, epoch: int, rows: Sequence[dict[str, Any]]) -> None:
        """Puts the rows of `epoch` after those of earlier epochs."""
        rows = [*self.rows_before(epoch), *({"epoch": epoch, **row} for row in rows)]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(f"{self.path.name}.partial")
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            writer.writerows(rows)
        partial.replace(self.path)
