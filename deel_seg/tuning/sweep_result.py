"""What a sweep found: a table of its trials, and which of them no other one surpasses."""

from __future__ import annotations

import contextlib
import csv
import io
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deel_seg._checks import received
from deel_seg._json import as_json
from deel_seg._parts import whole
from deel_seg.tuning.pareto import non_dominated
from deel_seg.visualize import pareto_figure


@dataclass(frozen=True)
class Trial:
    """One training of a sweep.

    Attributes:
        values: Its hyperparameters, by name.
        metrics: Its values on the validation data after the last epoch, by name; none if the
            training came to a loss that is no number.
        folder: Where it is kept, below the folder of the sweep.
    """

    values: Mapping[str, Any]
    metrics: Mapping[str, float]
    folder: str

    @property
    def name(self) -> str:
        """Such as "temperature 5, width 1"."""
        return ", ".join(f"{key} {_short(value)}" for key, value in self.values.items())


@dataclass(frozen=True)
class SweepResult:
    """What a sweep found.

    Attributes:
        objectives: Name and direction (`"max"` or `"min"`) of each objective.
        trials: In the order of the search.

    Example:
    >>> from deel_seg.tuning import SweepResult, Trial
    >>> trials = [
    ...     Trial({"temperature": t}, {"val_accuracy": a, "val_crpa": c}, f"temperature={t}")
    ...     for t, a, c in ((1.0, 0.6, 0.5), (5.0, 0.8, 0.4), (50.0, 0.7, 0.1))
    ... ]
    >>> found = SweepResult({"val_accuracy": "max", "val_crpa": "max"}, trials)
    >>> print(found)
    | temperature | val_accuracy | val_crpa | pareto |
    | --- | --- | --- | --- |
    | 1 | 0.6 | 0.5 | yes |
    | 5 | 0.8 | 0.4 | yes |
    | 50 | 0.7 | 0.1 | no |
    <BLANKLINE>
    >>> [trial.name for trial in found.front()]
    ['temperature 5', 'temperature 1']
    """

    objectives: Mapping[str, str]
    trials: Sequence[Trial]

    def front(self) -> list[Trial]:
        """The Pareto front: what none surpasses in one objective without falling behind in another.

        The best in the first objective comes first. With one objective these are the best trials.
        """
        first, direction = next(iter(self.objectives.items()))
        found = [self.trials[place] for place in self._front()]
        return sorted(found, key=lambda trial: trial.metrics[first], reverse=direction == "max")

    def rows(self) -> list[dict[str, Any]]:
        """A dict for each trial: hyperparameters, values, and whether it is on the Pareto front."""
        front = set(self._front())
        # What the sweep is about comes first.
        named = [*self.objectives, *(name for trial in self.trials for name in trial.metrics)]
        metrics = list(dict.fromkeys(named))
        return [
            {
                **trial.values,
                **{name: trial.metrics.get(name, math.nan) for name in metrics},
                "pareto": place in front,
            }
            for place, trial in enumerate(self.trials)
        ]

    def to_csv(self) -> str:
        """The rows, as comma separated values with all digits."""
        rows, text = self.rows(), io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "pareto": _yes(row["pareto"])} for row in rows)
        return text.getvalue()

    def to_markdown(self) -> str:
        """The rows, as a table to read: four digits."""
        rows = self.rows()
        lines = [list(rows[0]), ["---"] * len(rows[0])]
        lines += [[_cell(value) for value in row.values()] for row in rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"

    def to_json(self) -> str:
        """All there is; what is no number is null."""
        front = set(self._front())
        trials = [
            {
                "values": dict(trial.values),
                "metrics": dict(trial.metrics),
                "folder": trial.folder,
                "pareto": place in front,
            }
            for place, trial in enumerate(self.trials)
        ]
        found = {"objectives": dict(self.objectives), "trials": trials}
        return as_json(found) + "\n"

    def figure(self) -> Any:
        """Draws two objectives against each other: the first one upwards, the second one sideways.

        Trials on the Pareto front are joined, others are hollow, and those without values are left
        out.

        Returns:
            A `matplotlib.figure.Figure`, not tied to pyplot; see `visualize.pareto_figure`.

        Raises:
            ValueError: If there are not two objectives, or no trial has values.
            ImportError: If matplotlib is not installed.
        """
        if len(self.objectives) != 2:
            raise ValueError(
                f"The figure shows two objectives. {received(objectives=list(self.objectives))}"
            )
        shown = [trial for trial in self.trials if all(map(math.isfinite, self._values(trial)))]
        accuracy, robustness = ([self._values(trial)[i] for trial in shown] for i in (0, 1))
        names = list(self.objectives)
        directions = list(self.objectives.values())
        return pareto_figure(
            robustness, accuracy,
            names=[trial.name for trial in shown],
            accuracy_name=names[0], robustness_name=names[1],
            accuracy_best=directions[0], robustness_best=directions[1],
            robustness_scale="log" if min(robustness, default=0.0) > 0 else "linear",
        )  # fmt: skip

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Writes `sweep.csv`, `sweep.md`, `sweep.json`, and with two objectives `pareto.png`.

        Without matplotlib, or where no trial has values, there is no figure.

        Args:
            folder: Where to; made if it is not there. Files of these names are replaced.

        Returns:
            The files that were written.
        """
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        files = {
            "sweep.csv": self.to_csv().encode(),
            "sweep.md": self.to_markdown().encode(),
            "sweep.json": self.to_json().encode(),
        }
        if len(self.objectives) == 2 and self.front():
            with contextlib.suppress(ImportError):
                picture = io.BytesIO()
                self.figure().savefig(picture, format="png", dpi=120)
                files["pareto.png"] = picture.getvalue()
        for name, content in files.items():
            with whole(place / name) as file:
                file.write(content)
        return [place / name for name in files]

    def __str__(self) -> str:
        return self.to_markdown()

    def _values(self, trial: Trial) -> list[float]:
        return [trial.metrics.get(name, math.nan) for name in self.objectives]

    def _front(self) -> list[int]:
        values = [self._values(trial) for trial in self.trials]
        return non_dominated(values, list(self.objectives.values()))


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cell(value: Any) -> str:
    return _yes(value) if isinstance(value, bool) else _short(value)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
