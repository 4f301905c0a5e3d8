"""Two workers on this machine: the training of one process, also where one of them is killed."""

from __future__ import annotations

import csv
import json
import os
import runpy
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import keras
import numpy as np
import pytest

import deel_seg  # noqa: F401  registers the classes that the files hold

if keras.backend.backend() != "tensorflow":
    pytest.skip("tf.distribute is TensorFlow's", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]
# Six images in batches of four: each worker has one image of the second batch.
ARGUMENTS = [
    "--options", '{"num_images": 6}', "--size", "16", "16", "--model", "LipFCN", "--batch-size",
    "4", "--config", '{"widths": [4], "convolutions": 1}', "--epochs", "4", "--eps", "0.1",
]  # fmt: skip


class Worker:
    """One machine of a cluster, on which the run is started again until it ends well."""

    def __init__(self, out: Path, *arguments: str, environment: dict[str, str]) -> None:
        self.command = [sys.executable, "examples/train.py", *ARGUMENTS, *arguments]
        self.command += ["--out", str(out)]
        self.environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
        self.output = ""
        self.starts = 0
        self.ended_well = False
        self._stopped, self._lock = False, threading.Lock()
        self.process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self.ended_well and self.starts < 6:
            with self._lock:
                if self._stopped:
                    return
                self.process = subprocess.Popen(
                    self.command, cwd=ROOT, env=self.environment, text=True,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                )  # fmt: skip
            self.starts += 1
            self.output += self.process.communicate()[0]
            self.ended_well = self.process.returncode == 0

    def wait(self, seconds: float) -> None:
        self._thread.join(seconds)
        assert self.ended_well, (self.starts, self.output[-3000:])

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            if self.process is not None:
                self.process.kill()
        self._thread.join(30)


def cluster(out: Path) -> list[Worker]:
    """Two workers on free ports; the first one is the chief."""
    sockets = [socket.socket() for _ in range(2)]
    for each in sockets:
        each.bind(("localhost", 0))
    addresses = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    tasks = [{"type": "worker", "index": index} for index in range(2)]
    configurations = [{"cluster": {"worker": addresses}, "task": task} for task in tasks]
    return [
        Worker(out, "--strategy", "multi_worker", environment={"TF_CONFIG": json.dumps(each)})
        for each in configurations
    ]


def train_here(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same run in this process, alone: another one takes longer to start than the run."""
    monkeypatch.setattr(sys, "argv", ["train.py", *ARGUMENTS, "--out", str(out)])
    runpy.run_path(str(ROOT / "examples" / "train.py"), run_name="__main__")


def history(out: Path) -> list[dict[str, float]]:
    with (out / "history.csv").open(newline="") as file:
        return [
            {key: float(value) for key, value in row.items() if key != "seconds"}
            for row in csv.DictReader(file)
        ]


def weights(out: Path) -> list[np.ndarray]:
    return keras.models.load_model(out / "last.keras", compile=False).get_weights()


@pytest.mark.parametrize("victim", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_a_killed_worker_loses_nothing(
    tmp_path: Path, victim: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, many = tmp_path / "one", tmp_path / "many"
    workers = cluster(many)
    try:
        deadline = time.monotonic() + 300
        while not (many / "last.keras").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        killed = workers[victim].process
        assert (many / "last.keras").exists() and killed is not None, workers[0].output[-3000:]
        killed.kill()
        done = len(history(many))
        train_here(one, monkeypatch)
        for worker in workers:
            worker.wait(300)
    finally:
        for worker in workers:
            worker.stop()
    # The other one does not go on alone: it ends, and both are started again.
    assert done < 4
    assert workers[victim].starts > 1
    assert "Going on after epoch" in workers[0].output

    found, expected = history(many), history(one)
    assert len(found) == 4
    for row, reference in zip(found, expected, strict=True):
        # Float32 sums in another order; certificates are counted in whole pixels.
        np.testing.assert_allclose(list(row.values()), list(reference.values()), atol=1e-5)
    for mine, reference in zip(weights(many), weights(one), strict=True):
        np.testing.assert_allclose(mine, reference, atol=1e-5)
    first, second = (json.loads((out / "results.json").read_text()) for out in (many, one))
    assert first["metrics"] == pytest.approx(second["metrics"], abs=1e-5)
    assert first["arguments"] == second["arguments"]
    names = {"arguments.json", "best.keras", "history.csv", "last.keras", "results.json"}
    assert {path.name for path in many.iterdir()} == names
