"""The example of a sweep, called as a user does."""

from __future__ import annotations

import csv
import runpy
import sys
from pathlib import Path

import keras
import pytest

if keras.backend.backend() != "tensorflow":
    pytest.skip("the script reads tf.data streams", allow_module_level=True)

EXAMPLE = Path(__file__).parents[2] / "examples" / "temperature_sweep.py"


def test_a_front_over_temperatures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # In this process, for another one takes longer to start than the sweep.
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), "--toy", "--out", str(tmp_path)])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    shown = capsys.readouterr().out
    assert (tmp_path / "sweep.md").read_text() in shown
    assert "On the Pareto front: temperature" in shown
    assert (tmp_path / "pareto.png").stat().st_size > 0
    with (tmp_path / "sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["temperature"]) for row in rows] == [1.0, 20.0]
    assert "yes" in [row["pareto"] for row in rows]
    for row in rows:
        assert 0.0 <= float(row["val_crpa"]) <= float(row["val_pixel_accuracy"])
