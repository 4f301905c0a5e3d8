"""examples/train.py as users run it: in a process of its own, stopped and called again."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

import deel_seg  # noqa: F401  registers the classes that the files hold

if keras.backend.backend() != "tensorflow":
    pytest.skip("the script reads tf.data streams", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]
ARGUMENTS = [
    "--options", '{"num_images": 16}', "--size", "16", "16", "--config",
    '{"widths": [4, 8], "convolutions": 1, "aspp_rates": [2]}', "--epochs", "4", "--eps", "0.1",
]  # fmt: skip


def start(out: Path, *extra: str) -> subprocess.Popen[str]:
    command = [sys.executable, "examples/train.py", *ARGUMENTS, *extra, "--out", str(out)]
    return subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    return output


def history(out: Path) -> list[dict[str, str]]:
    with (out / "history.csv").open(newline="") as file:
        return [
            {key: value for key, value in row.items() if key != "seconds"}
            for row in csv.DictReader(file)
        ]


def weights(out: Path) -> list[np.ndarray]:
    return keras.models.load_model(out / "last.keras", compile=False).get_weights()


# tests/distributed runs the script, kills it and calls it again too.
@pytest.mark.slow
def test_a_killed_run_ends_as_if_it_had_not_been_killed(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    uninterrupted = start(whole)
    killed = start(cut)
    deadline = time.monotonic() + 500
    while not (cut / "last.keras").exists() and time.monotonic() < deadline:
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    finish(uninterrupted)
    done = len(history(cut))
    output = finish(start(cut))
    assert 1 <= done < 4
    assert "Going on after epoch" in output
    assert history(cut) == history(whole)
    for resumed, reference in zip(weights(cut), weights(whole), strict=True):
        np.testing.assert_array_equal(resumed, reference)
    results = json.loads((cut / "results.json").read_text())
    assert results["metrics"] == json.loads((whole / "results.json").read_text())["metrics"]
    assert results["lipschitz_constant"] == 1.0
    assert results["epochs"] == 4
    assert 0.0 <= results["metrics"]["crpa@0_1"] <= results["metrics"]["pixel_accuracy"]

    # A folder is not overwritten by a run with other arguments, nor a finished run trained on.
    process = start(cut, "--temperature", "3")
    output, _ = process.communicate(timeout=600)
    assert process.returncode != 0
    assert "other arguments: ['temperature']" in output
