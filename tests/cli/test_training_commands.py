"""deel-seg train and deel-seg sweep: their files, and what they do after a kill."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from deel_seg_cli.main import main
from deel_seg_cli.training.settings import TrainingSettings

if keras.backend.backend() != "tensorflow":
    pytest.skip("the commands read tf.data streams", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]
COMMON = """
data = "shapes"
options = { num_images = 4 }
size = [16, 16]
batch_size = 2
epochs = 2
"""
# The twin, which is traced sooner; the sweeps and tests/examples train Lipschitz networks.
TRAIN = COMMON + 'model = "FCN"\nconfig = { widths = [4], convolutions = 1 }\n'
SWEEP = (
    COMMON
    + """
model = "LipFCN"
config = { widths = [4], convolutions = 1 }

[sweep]
objectives = ["pixel_accuracy", "crpa@0.1"]
temperature = [1.0, 20.0]
"""
)


def run(command: str, config: Path, *arguments: Any) -> Any:
    return CliRunner().invoke(main, [command, str(config), *map(str, arguments)])


def write(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


def kill_after(command: str, config: Path, out: Path, file: Path, seconds: float) -> None:
    """Kills a command in a process of its own, some time after it has written a file."""
    source = "from deel_seg_cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", source, command, str(config), "--out", str(out)],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    deadline = time.monotonic() + 500
    while not file.exists() and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it was killed before it was done"


def history(out: Path) -> list[dict[str, str]]:
    with (out / "history.csv").open(newline="") as file:
        return [
            {key: value for key, value in row.items() if key != "seconds"}
            for row in csv.DictReader(file)
        ]


def weights(path: Path) -> list[np.ndarray]:
    return keras.models.load_model(path, compile=False).get_weights()


def test_a_killed_training_ends_as_one_that_was_not_killed(tmp_path: Path) -> None:
    config, whole, cut = write(tmp_path, TRAIN), tmp_path / "whole", tmp_path / "cut"
    kill_after("train", config, cut, cut / "last.keras", random.Random(1).uniform(0, 0.1))
    goes_on = run("train", config, "--out", cut, "--json")
    assert goes_on.exit_code == 0, goes_on.output
    results = json.loads(goes_on.stdout)
    assert json.loads((cut / "results.json").read_text()) == results

    in_one_go = run("train", config, "--out", whole)
    assert in_one_go.exit_code == 0, in_one_go.output
    assert "1 of 2 epochs, about" in in_one_go.stdout
    reference = json.loads((whole / "results.json").read_text())
    del results["training_seconds"], reference["training_seconds"]
    assert results == reference and results["epochs"] == 2
    assert history(cut) == history(whole)
    for name in ("last.keras", "best.keras"):
        for mine, theirs in zip(weights(cut / name), weights(whole / name), strict=True):
            np.testing.assert_array_equal(mine, theirs)

    changed = run("train", write(tmp_path, TRAIN + "temperature = 3.0\n"), "--out", cut)
    assert changed.exit_code == 1
    assert "other arguments: ['temperature']" in changed.stderr


# tests/tuning stops sweeps at other moments, within a process.
@pytest.mark.slow
def test_a_killed_sweep_ends_as_one_that_was_not_killed(tmp_path: Path) -> None:
    config, whole, cut = write(tmp_path, SWEEP), tmp_path / "whole", tmp_path / "cut"
    # The first trial is done, the second one under way; tests/tuning stops at the other moments.
    kill_after(
        "sweep", config, cut, cut / "trials" / "temperature=1.0" / "result.json",
        random.Random(2).uniform(0, 1),
    )  # fmt: skip
    finished = (cut / "trials" / "temperature=1.0" / "last.keras").read_bytes()
    goes_on = run("sweep", config, "--out", cut, "--json")
    assert goes_on.exit_code == 0, goes_on.output
    assert goes_on.stdout == (cut / "sweep.json").read_text()
    assert (cut / "trials" / "temperature=1.0" / "last.keras").read_bytes() == finished

    in_one_go = run("sweep", config, "--out", whole)
    assert in_one_go.exit_code == 0, in_one_go.output
    assert "trial 1 of 2, temperature 1: epoch 1 of 2" in in_one_go.stdout
    assert "On the Pareto front: temperature" in in_one_go.stdout
    for name in ("sweep.csv", "sweep.md", "sweep.json", "pareto.png", "settings.json"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()
    other = run("sweep", write(tmp_path, SWEEP.replace("16, 16", "16, 32")), "--out", whole)
    assert other.exit_code == 1 and "its `size` is [16, 16]" in other.stderr
    for trial in ("temperature=1.0", "temperature=20.0"):
        mine, theirs = cut / "trials" / trial, whole / "trials" / trial
        assert (mine / "result.json").read_bytes() == (theirs / "result.json").read_bytes()
        assert history(mine) == history(theirs)


@pytest.mark.parametrize(
    ("command", "text", "message"),
    [
        ("train", "epochs = ", "cannot be read as TOML"),
        ("train", "tempreature = 5.0", "no key `tempreature`; did you mean `temperature`?"),
        ("train", "epochs = 0", "`epochs` must be at least 1. Received: epochs=0"),
        ("train", "epochs = 2.5", "`epochs` must be an integer. Received: epochs=2.5"),
        ("train", "temperature = 0", "`temperature` must be > 0. Received: temperature=0"),
        ("train", "size = [16]", "`size` must be an integer or a pair"),
        ("train", 'data = "shape"', "`data` must be one of 'shapes'"),
        ("train", "options = { images = 4 }", "has no option `images`"),
        ("train", 'validation_split = "dev"', "`validation_split` must be one of"),
        ("train", 'model = "ResNet"', "`model` must be one of 'LipDeepLabV3'"),
        ("train", 'config = "XS"', "`config` must be one of 'S'"),
        ("train", "config = { width = [4] }", "`config` has no entry ['width']"),
        ("train", "augmentation = { turn = 1 }", "`augmentation` must hold values of"),
        ("train", "model_options = { lip = 1 }", "`model_options` must hold arguments of LipD"),
        ("train", "model_options = { input_std = 0.5 }", "`input_std` must have one value for"),
        ("train", "eps = 0.1", "`eps` must be a list of budgets"),
        ("train", "eps = [-1]", "`eps` must be >= 0"),
        ("train", 'jit_compile = "yes"', "`jit_compile` must be true or false"),
        ("train", 'model = "FCN"\nremat_parts = 2', "`remat_parts` is of Lipschitz networks"),
        ("sweep", "epochs = 1", "must have a table [sweep]"),
        ("sweep", "eps = [0.1]\n[sweep]", "no key `eps`"),
        ("sweep", "[sweep]", "a list or a range for `temperature`"),
        ("sweep", "[sweep]\nwidth = 2", "`width` must be a list of numbers or a range"),
        ("sweep", "[sweep]\ntemprature = [1]", "[sweep], has no key `temprature`; did you mean"),
        ("sweep", "[sweep]\nwidth = [0]", "`width` must be > 0. Received: width=0"),
        ("sweep", '[sweep]\nwidth = [1]\nsearch = "tree"', "`search` must be one of"),
        ("sweep", '[sweep]\nwidth = [1]\nobjectives = ["crpa"]', "among pixel_accuracy"),
        ("sweep", '[sweep]\nwidth = [1]\nobjectives = ["crpa@x"]', "objectives='crpa@x'"),
        ("sweep", '[sweep]\nwidth = [1]\nobjectives = ["crpa@-1"]', "`eps` must be >= 0"),
        ("sweep", '[sweep]\nwidth = [1]\nobjectives = ["fnr_radius@50"]', "`positive_class`"),
        ("sweep", 'validation_split = ""\n[sweep]\nwidth = [1]', "must name a split"),
    ],
)
def test_a_wrong_file_is_refused_in_a_sentence(
    tmp_path: Path, command: str, text: str, message: str
) -> None:
    config, out = write(tmp_path, text), tmp_path / "out"
    result = run(command, config, "--out", out)
    assert result.exit_code == 1, result.output
    assert message in result.stderr and "Traceback" not in result.output
    assert not out.exists(), "nothing was begun"


def test_a_file_that_is_not_there_and_a_folder_that_is_not_named(tmp_path: Path) -> None:
    missing = run("train", tmp_path / "none.toml", "--out", tmp_path / "out")
    assert missing.exit_code == 1 and "must be a TOML file that is there" in missing.stderr
    for text in ("", "out = 3"):
        nowhere = run("train", write(tmp_path, text))
        assert nowhere.exit_code == 1 and "must say where to write" in nowhere.stderr


def test_what_is_trained_with_noise_is_validated_with_noise() -> None:
    """The same noise after each epoch, or epochs could not be compared."""
    given: dict[str, Any] = {"data": "shapes", "options": {"num_images": 4}, "size": (16, 16)}
    noisy = TrainingSettings(noise=0.25, **given).validation_stream()
    clean = TrainingSettings(**given).validation_stream()
    first, again, without = (list(each.as_numpy_iterator()) for each in (noisy, noisy, clean))
    for (images, labels), (same, _), (bare, clean_labels) in zip(
        first, again, without, strict=True
    ):
        np.testing.assert_array_equal(images, same)
        np.testing.assert_array_equal(labels, clean_labels)
        assert 0.24 < np.std(images - bare) < 0.26
