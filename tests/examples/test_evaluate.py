"""The example that evaluates a model, called as a user does."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import keras
import pytest

import deel_seg

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "evaluate.py"


def test_a_table_in_three_forms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keras.utils.set_random_seed(0)
    config = {"widths": [8], "convolutions": 1, "aspp_rates": []}
    classes = deel_seg.data.info("shapes").num_classes
    deel_seg.LipDeepLabV3(config, num_classes=classes).save(tmp_path / "model.keras")
    command = [
        str(EXAMPLE), str(tmp_path / "model.keras"), "--size", "16",
        "--images", "4", "--batch-size", "2", "--eps", "0,0.5",
        "--sigma", "0.1", "--samples", "20", "--seeds", "2", "--out", str(tmp_path / "out"),
    ]  # fmt: skip
    # In this process, for another one takes longer to start than the evaluation.
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert end.value.code == 0
    table = (tmp_path / "out" / "evaluation.md").read_text()
    assert table in capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert [row["eps"] for row in found["rows"]] == [0.0, 0.5]
    for row in found["rows"]:
        assert row["crpa"] <= row["accuracy"]
        assert row["images"] == 4
    assert len((tmp_path / "out" / "evaluation.csv").read_text().splitlines()) == 3
    assert len(list((tmp_path / "out" / "batches").glob("*.npz"))) == 2
