"""The frame of the paper's experiments: resumed, refused, and what the page is made of."""

from __future__ import annotations

import copy
import functools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

if keras.backend.backend() != "tensorflow":
    pytest.skip("the experiments read tf.data streams", allow_module_level=True)

from benchmarks.paper import published, report, run
from benchmarks.paper.experiment import Context, fingerprint, key_of
from benchmarks.paper.experiments import EXPERIMENTS
from benchmarks.paper.scales import FULL, SCALES, SMALL, TOY
from benchmarks.paper.sections import read_results, section
from benchmarks.paper.smoothed import best_choice, possible
from benchmarks.paper.soundness import BrokenCertificateError, check_sound
from benchmarks.paper.training import Training, train

ROOT = Path(__file__).resolve().parents[2]


def command(folder: Path, *names: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "benchmarks/paper/run.py", "toy", *names, "--folder", str(folder)],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "DEEL_SEG_XLA": "0"},
    )  # fmt: skip


def called(monkeypatch: pytest.MonkeyPatch, capfd: Any, folder: Path, *names: str) -> str:
    """What the command prints, in this process."""
    monkeypatch.setattr(sys, "argv", ["run.py", "toy", *names, "--folder", str(folder)])
    run.main()
    return capfd.readouterr().out


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 300
    while not path.exists() and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    assert path.exists()


def test_a_table_is_measured_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    call = functools.partial(called, monkeypatch, capfd, tmp_path, "table_2")
    training = tmp_path / "runs" / "polyps_lipnet"
    call()
    path = tmp_path / "results" / "table_2.json"
    stored = json.loads(path.read_text())
    assert stored["command"] == "python benchmarks/paper/run.py toy table_2 --folder DIR"
    assert stored["machine"]["versions"]["keras"]
    assert set(stored["made_from"]["weights"]) == {"polyps_lipnet"}
    assert len(stored["result"]["certified_fnr"]) == len(TOY.table_2.eps)
    assert "| 0.1 |" in (tmp_path / "report.md").read_text()

    weights, changed = (training / "best.keras").read_bytes(), path.stat().st_mtime_ns
    assert "is there already" in call()
    assert (training / "best.keras").read_bytes() == weights
    assert path.stat().st_mtime_ns == changed


# What goes on is a training, which tests/distributed kills, and a table that is not there yet.
@pytest.mark.slow
def test_a_killed_run_goes_on_and_other_settings_are_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    call = functools.partial(called, monkeypatch, capfd, tmp_path, "table_2")
    killed = command(tmp_path, "table_2")
    wait_for(tmp_path / "runs" / "polyps_lipnet" / "arguments.json", killed)
    killed.send_signal(signal.SIGTERM)
    killed.communicate()
    assert not (tmp_path / "results").exists()
    call()

    # With other numbers it is measured again; other weights or numbers are other parts.
    path = tmp_path / "results" / "table_2.json"
    stored = json.loads(path.read_text())
    stored["made_from"]["settings"]["table_2"]["eps"] = [0.5]
    path.write_text(json.dumps(stored))
    assert "measured again" in call()
    assert json.loads(path.read_text())["made_from"]["settings"]["table_2"]["eps"] != [0.5]


def test_a_training_with_other_arguments_is_refused(tmp_path: Path) -> None:
    state = {"arguments": ["--data", "shapes"], "seconds": 3.0, "finished": True}
    (tmp_path / "noise_0.15.json").write_text(json.dumps(state))
    same = Training("noise_0.15", ["--data", "shapes"], tmp_path / "noise_0.15")
    assert train(same) == 3.0
    with pytest.raises(SystemExit, match="other arguments"):
        train(same._replace(arguments=["--data", "camvid"]))


def test_missing_data_is_seen_before_anything_is_trained(tmp_path: Path) -> None:
    arguments = ["--data", "kvasir", "--root", str(tmp_path / "nowhere")]
    with pytest.raises(FileNotFoundError):
        Training("net", arguments, tmp_path / "net").check_data()


def test_parts_of_other_numbers_or_weights_are_in_other_folders(tmp_path: Path) -> None:
    experiment = EXPERIMENTS["table_2"]
    first = fingerprint(experiment, TOY, tmp_path)
    assert fingerprint(experiment, TOY, tmp_path) == first
    other = replace(TOY, table_2=replace(TOY.table_2, eps=(0.5, 0.6, 0.7)))
    assert key_of(fingerprint(experiment, other, tmp_path)) != key_of(first)
    elsewhere = replace(TOY, table_5=replace(TOY.table_5, repeats=9))
    assert fingerprint(experiment, elsewhere, tmp_path) == first
    weights = tmp_path / "runs" / "polyps_lipnet" / "best.keras"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"other")
    assert key_of(fingerprint(experiment, TOY, tmp_path)) != key_of(first)


def test_every_run_has_one_set_of_arguments() -> None:
    for scale in SCALES.values():
        runs: dict[str, Any] = {}
        for experiment in EXPERIMENTS.values():
            for name, arguments in experiment.trainings(scale).items():
                assert runs.setdefault(name, arguments) == arguments


def test_the_full_scale_is_the_papers() -> None:
    assert (FULL.scenes.data, FULL.scenes.size, FULL.scenes.epochs) == (
        "cityscapes", (1024, 1024), 200
    )  # fmt: skip
    assert set(FULL.table_1.rows) == set(published.TABLE_1_SEGCERTIFY)
    assert set(FULL.table_2.eps) == set(published.TABLE_2_FNR)
    assert set(FULL.table_2.rates) == set(published.TABLE_2_BUDGET)
    assert set(FULL.table_3.eps) == set(published.TABLE_3)
    assert set(FULL.table_5.batch_sizes) == set(published.TABLE_5)
    for scale in (FULL, SMALL):
        assert scale.pets.temperature in scale.figure_5.temperatures
        for task in scale.tasks.values():
            assert task.validation_split != task.test_split


def test_images_are_spread_over_the_split(tmp_path: Path) -> None:
    scale = replace(TOY, polyps=replace(TOY.polyps, options={"num_images": 9}))
    context = Context(scale, tmp_path, {})
    whole = np.concatenate([images for images, _ in context.data("polyps")])
    some = context.data("polyps", images=3, batch_size=2)
    assert len(some) == 2
    np.testing.assert_array_equal(np.concatenate([images for images, _ in some]), whole[::3])
    assert context.data("polyps", images=3, batch_size=2) is some
    with pytest.raises(ValueError, match="Received: name='cats'"):
        context.data("cats")


def test_an_attack_below_a_certificate_is_an_error() -> None:
    certified = np.array([[0.5, 0.25], [0.75, np.nan]])
    check_sound(certified.copy(), certified, "accuracy")
    attacked = certified.copy()
    attacked[1, 0] -= 2.0**-20
    with pytest.raises(BrokenCertificateError, match=r"accuracy is .* at \(image, budget\) \(1, 0"):
        check_sound(attacked, certified, "accuracy")


def test_sigma_is_the_best_of_those_that_can_certify() -> None:
    sigmas = possible([0.05, 0.3], 0.1, passes=60, pixels=64 * 64, alpha=0.001)
    assert sigmas == [0.3]
    best, found = best_choice([0.1, 0.2, 0.3], {0.1: 0.2, 0.2: 0.6, 0.3: 0.5}.__getitem__)
    assert best == 0.2 and found[2] == (0.3, 0.5)
    none: list[float] = []
    assert best_choice(none, lambda sigma: sigma) == (None, [])


def test_the_page_is_made_of_the_files() -> None:
    results, text = read_results(report.RESULTS), report.PAGE.read_text()
    assert report.page(text, results, report.read_total(report.RESULTS)) == text
    for name in results:
        changed = copy.deepcopy(results)
        changed[name]["seconds"] += 60
        assert report.page(text, changed, report.read_total(report.RESULTS)) != text


def test_a_published_command_names_no_folder_of_a_machine() -> None:
    words = ["small", "--data", "/home/a/data", "--root", "pets=/home/b"]
    assert run.command(words) == "python benchmarks/paper/run.py small --data DIR --root pets=DIR"


def test_a_table_stands_beside_the_papers_figures() -> None:
    result = {
        "size": [64, 64], "images": 9, "clean": 0.2,
        "certified_fnr": {"0.1": 0.5, "0.2": 0.6, "0.3": 0.7},
        "budget": {"0.7": 0.3, "0.85": 0.4, "0.95": 0.5},
    }  # fmt: skip
    stored = {
        "name": "table_2", "seconds": 60.0, "resumed": False, "result": result,
        "made_from": {"weights": {"polyps_lipnet": "0"}},
    }  # fmt: skip
    text = section(stored)
    assert "| 0.1 | 0.500 | 0.612 | 0.7 | 0.300 | 0.423 |" in text
    assert "1.0 minutes; trained networks: polyps_lipnet" in text
