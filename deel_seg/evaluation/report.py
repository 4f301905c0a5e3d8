"""What was found of a model on a data set, as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deel_seg._json import as_json


@dataclass(frozen=True)
class Evaluation:
    """What was found of a model on a data set.

    Attributes:
        eps: The budgets.
        images: What there is of each image, by name: `(images,)`, `(images, len(eps))`, or with
            seeds `(images, len(eps), seeds)`; NaN where it is not defined.
        data_set: What there is of the whole data set: numbers, or lists of one for each budget.
        lipschitz_constant: What was certified with; None where nothing was.
        settings: What was asked for.
    """

    eps: tuple[float, ...]
    images: Mapping[str, np.ndarray]
    data_set: Mapping[str, Any]
    lipschitz_constant: float | None
    settings: Mapping[str, Any]

    def rows(self) -> list[dict[str, float]]:
        """One dict of means a budget; images for which a value is not defined are left out.

        Where there is chance, `NAME_spread` is the standard deviation over the seeds of the mean.
        """
        return [self._row(index, budget) for index, budget in enumerate(self.eps)]

    def _row(self, index: int, budget: float) -> dict[str, float]:
        row = {"eps": budget, "images": float(len(next(iter(self.images.values()))))}
        for name, values in self.images.items():
            of_budget = values if values.ndim == 1 else values[:, index]
            row[name] = _mean(of_budget)
            if of_budget.ndim == 2 and of_budget.shape[1] > 1:
                means = [_mean(of_seed) for of_seed in of_budget.T]
                row[f"{name}_spread"] = float(np.std(means, ddof=1))
        for name, value in self.data_set.items():
            row[name] = float(value[index] if isinstance(value, Sequence) else value)
        return row

    def to_csv(self) -> str:
        """The rows, as comma separated values."""
        rows, text = self.rows(), io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    def to_markdown(self) -> str:
        """The rows, as a table to read: four digits."""
        rows = self.rows()
        names = [name for name in rows[0] if not name.endswith("_spread")]
        lines = [
            names,
            ["---"] * len(names),
            *([_cell(row, name) for name in names] for row in rows),
        ]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"

    def to_json(self) -> str:
        """All there is, images one by one; null where something is not defined."""
        found = {
            "settings": dict(self.settings),
            "lipschitz_constant": self.lipschitz_constant,
            "rows": self.rows(),
            "images": {name: values.tolist() for name, values in self.images.items()},
        }
        return as_json(found) + "\n"

    def __str__(self) -> str:
        return self.to_markdown()


def _cell(row: Mapping[str, float], name: str) -> str:
    spread = row.get(f"{name}_spread")
    return f"{row[name]:.4g}" + ("" if spread is None else f" ± {spread:.2g}")


def _mean(values: np.ndarray) -> float:
    defined = values[~np.isnan(values)]
    return float(np.mean(defined)) if len(defined) else float("nan")
