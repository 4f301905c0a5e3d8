"""The tables and the figure of a sweep, from trials made up."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from deel_seg.tuning import SweepResult, Trial

VALUES = {1.0: (0.6, 0.5), 5.0: (0.8, 0.4), 20.0: (0.9, 0.1), 50.0: (0.7, 0.1)}


def result(**objectives: str) -> SweepResult:
    trials = [
        Trial({"temperature": t}, {"val_loss": 1 / 3, "val_a": a, "val_b": b}, f"trials/{t}")
        for t, (a, b) in VALUES.items()
    ]
    without = Trial({"temperature": 99.0}, {}, "trials/99.0")
    return SweepResult(objectives, (*trials, without))


def test_the_front_begins_with_the_best_in_the_first_objective() -> None:
    found = result(val_a="max", val_b="max")
    assert [trial.values["temperature"] for trial in found.front()] == [20.0, 5.0, 1.0]
    least = result(val_a="min", val_b="max")
    assert [trial.values["temperature"] for trial in least.front()] == [1.0]
    assert [trial.values["temperature"] for trial in result(val_a="max").front()] == [20.0]


def test_a_table_holds_every_trial_and_csv_every_digit() -> None:
    found = result(val_b="max", val_a="max")
    rows = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert list(rows[0]) == ["temperature", "val_b", "val_a", "val_loss", "pareto"]
    assert float(rows[0]["val_loss"]) == 1 / 3
    assert [row["pareto"] for row in rows] == ["yes", "yes", "yes", "no", "no"]
    assert found.to_markdown().splitlines()[-1] == "| 99 | nan | nan | nan | no |"
    trials = json.loads(found.to_json(), parse_constant=pytest.fail)["trials"]
    assert trials[-1]["metrics"] == {} and trials[0]["metrics"]["val_loss"] == 1 / 3


def test_the_figure_joins_the_trials_of_the_front() -> None:
    for objectives, scale in (({"val_a": "max", "val_b": "max"}, "log"),
                              ({"val_a": "max", "val_b": "min"}, "log")):  # fmt: skip
        found = result(**objectives)
        axes = found.figure().axes[0]
        joined = {tuple(point) for point in axes.lines[0].get_xydata()}
        assert joined == {
            (trial.metrics["val_b"], trial.metrics["val_a"]) for trial in found.front()
        }
        assert axes.get_xscale() == scale
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("val_b", "val_a")


def test_a_certified_value_of_zero_is_drawn_on_a_linear_axis() -> None:
    trials = [Trial({"t": t}, {"val_a": t, "val_b": 0.0}, "") for t in (0.1, 0.2)]
    found = SweepResult({"val_a": "max", "val_b": "max"}, trials)
    assert found.figure().axes[0].get_xscale() == "linear"
    with pytest.raises(ValueError, match=r"two objectives. Received: objectives=\['val_a'\]"):
        SweepResult({"val_a": "max"}, trials).figure()


def test_what_is_saved(tmp_path: Path) -> None:
    found = result(val_a="max", val_b="max")
    names = ["sweep.csv", "sweep.md", "sweep.json", "pareto.png"]
    assert [file.name for file in found.save(tmp_path / "new")] == names
    first = {name: (tmp_path / "new" / name).read_bytes() for name in names}
    found.save(tmp_path / "new")
    assert {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()} == first
    one = SweepResult({"val_a": "max"}, found.trials).save(tmp_path / "one")
    assert [file.name for file in one] == names[:3]
    none = SweepResult(found.objectives, [found.trials[-1]]).save(tmp_path / "none")
    assert [file.name for file in none] == names[:3]
