from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from deel_seg.certificates.callbacks.curve_logs import CurveFile, budget_name

COLUMNS = ["epoch", "eps", "crpa"]


def rows(path: Path) -> list[tuple[str, ...]]:
    with path.open(newline="") as file:
        return [tuple(row.values()) for row in csv.DictReader(file)]


def test_names_of_budgets_hold_no_dot_and_are_all_different() -> None:
    assert [budget_name(eps) for eps in (0.1, 0.25, 1.0, 10.0)] == ["0_1", "0_25", "1", "10"]
    assert budget_name(36 / 255) == "0_1411764705882353"
    near = [0.0, 1e-7, 1e-5, 0.1, math.nextafter(0.1, 1.0), 1e5, 1e20]
    names = [budget_name(eps) for eps in near]
    assert len(set(names)) == len(near)
    for name in (f"val_crpa@{name}" for name in names):
        assert f"{{{name}:.1f}}".format(**{name: 0.25}) == "0.2"  # Fit for Keras' file names.


def test_epochs_are_appended_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "new" / "curve.csv"
    for epoch, value in enumerate((0.5, 0.25, 0.75)):
        CurveFile(path, COLUMNS).write(epoch, [{"eps": 0.1, "crpa": value}])
    assert rows(path) == [("0", "0.1", "0.5"), ("1", "0.1", "0.25"), ("2", "0.1", "0.75")]
    CurveFile(path, COLUMNS).write(1, [{"eps": eps, "crpa": 0.125} for eps in (0.1, 0.2)])
    assert rows(path) == [("0", "0.1", "0.5"), ("1", "0.1", "0.125"), ("1", "0.2", "0.125")]
    assert [item.name for item in path.parent.iterdir()] == ["curve.csv"]


def test_every_digit_survives(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    CurveFile(path, COLUMNS).write(0, [{"eps": 36 / 255, "crpa": 1 / 3}])
    assert [float(value) for value in rows(path)[0]] == [0, 36 / 255, 1 / 3]


def test_another_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("epoch,loss\n0,0.5\n")
    with pytest.raises(ValueError, match=r"history\.csv.*Received: columns=\['epoch', 'loss'\]"):
        CurveFile(path, COLUMNS).write(0, [])
    assert path.read_text() == "epoch,loss\n0,0.5\n"
