"""The benchmarks of docs/performance.md, at toy size, and the page that is made of their files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import deel_seg
from benchmarks import certified_fit, inference, orthogonality, report_performance, training
from benchmarks import folder as folder_benchmark
from deel_seg._backend import forget_compiled
from deel_seg.folders import batches
from deel_seg.parametrizations import adaptive_orthogonal


def run(module: Any, monkeypatch: Any, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [module.__name__, *arguments])
    module.main()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Path:
    return Path(tmp_path_factory.mktemp("results"))


@pytest.mark.slow
def test_training_goes_on_where_it_was(folder: Path, monkeypatch: Any, capsys: Any) -> None:
    file = folder / "training_tensorflow.json"
    monkeypatch.setattr(training, "memory", lambda *_: {"bytes": {}, "ratio": 1.5})
    for gpu in ((), ("--gpu",)):
        name = "M1_128_30"
        run(training, monkeypatch, name, "--toy", "--out", str(file), *gpu)
    found = json.loads(file.read_text())
    assert capsys.readouterr().out.count(f"{name} ...") == 1  # The second time it was there.
    setting = found["settings"][name]
    ratio = np.array([setting["seconds"][kind]["median"] for kind in training.NETWORKS])
    assert np.all(ratio > 0)
    assert setting["ratio"]["count"] == setting["turns"] == 2
    with pytest.raises(SystemExit, match="S_1_1"):
        run(training, monkeypatch, "S_1_1", "--out", str(file))


@pytest.mark.slow
def test_inference_times_all_against_the_twin(folder: Path, monkeypatch: Any) -> None:
    file = folder / "inference_tensorflow.json"
    run(inference, monkeypatch, "S_128_8", "--toy", "--out", str(file))
    setting = json.loads(file.read_text())["settings"]["S_128_8"]
    assert setting["times_the_twin"]["twin"] == 1.0
    assert set(setting["times_the_twin"]) == {
        "twin", "network", "exported", "network without certificates",
        "exported without certificates",
    }  # fmt: skip


@pytest.mark.slow
def test_a_fit_reports_certificates(folder: Path, monkeypatch: Any) -> None:
    file = folder / "certified_fit_tensorflow.json"
    small = ("--size", "16", "--batch-size", "2", "--images", "8", "--epochs", "2")
    run(certified_fit, monkeypatch, *small, "--out", str(file))
    history = json.loads(file.read_text())["history"]
    assert len(history) == 2
    for row in history:
        assert 0 <= row["val_crpa"] <= row["val_pixel_accuracy"] <= 1
        assert row["val_stability@50"] > 0 and row["seconds"] > 0


@pytest.mark.slow
def test_a_folder_is_timed_beside_a_bare_loop(folder: Path, monkeypatch: Any) -> None:
    file = folder / "folder.json"
    monkeypatch.setattr(batches, "PIXELS_AT_ONCE", 2 * 16 * 16)
    small = ("--sizes", "16", "--images", "4", "--turns", "1")
    run(folder_benchmark, monkeypatch, *small, "--out", str(file))
    (setting,) = json.loads(file.read_text())["settings"]
    assert setting["batch_size"] == 2
    (alone,), (together,), (written,) = setting["seconds"].values()
    assert setting["shares"] == {
        "bare loop": [alone / written], "in the same batches": [together / written],
    }  # fmt: skip
    assert min(alone, together, written) > 0


@pytest.mark.slow
def test_peak_memory_is_that_of_the_process_alone() -> None:
    held = np.ones(2**27)  # A gigabyte, which a process started from here must not count.
    setting = training.Setting("S", 16, 1, turns=1, steps=1)
    found = training.memory(setting, "auto")
    assert held.all()
    peaks = [each["peak"] for each in found["bytes"].values()]
    assert max(peaks) < training.process_bytes("VmRSS")


def test_orthogonality_sees_a_kernel_that_is_not(monkeypatch: Any) -> None:
    model = deel_seg.LipFCN({"widths": [4], "convolutions": 2}, 3)
    monkeypatch.setattr(orthogonality, "train", lambda *_: model)
    measured = orthogonality.measure("float32", 0)
    assert 1 - 1e-4 < measured["smallest"] <= measured["largest"] <= 1.0
    monkeypatch.setattr(adaptive_orthogonal, "ROUNDING_ALLOWANCE", 0.01)
    forget_compiled()  # JAX has compiled the composition as it was.
    assert orthogonality.measure("float32", 0)["largest"] < 0.9901


def test_page_is_what_the_files_give() -> None:
    text = report_performance.PAGE.read_text()
    assert report_performance.page(text) == text
    assert report_performance.page(text.replace("| S | 128x128 |", "| T | 128x128 |")) == text


def test_page_changes_with_the_files(tmp_path: Path, monkeypatch: Any) -> None:
    name = "training_tensorflow.json"
    found = json.loads((report_performance.RESULTS / name).read_text())
    found["settings"] = {"S_128_8": found["settings"]["S_128_8"]}
    found["settings"]["S_128_8"]["memory"]["ratio"] = 12.34
    (tmp_path / name).write_text(json.dumps(found))
    monkeypatch.setattr(report_performance, "RESULTS", tmp_path)
    text = report_performance.PAGE.read_text()
    made = report_performance.page(text)
    assert made != text
    assert "| M1 | 128x128 |" not in made
    assert "12.34" in made
    assert "Not measured yet." in made
