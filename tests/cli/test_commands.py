"""The command line: each command does its work, or says in one sentence what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import deel_seg
from deel_seg_cli.certify import _with_report
from deel_seg_cli.main import main
from tests.folders.certified_folder import write_pictures


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("cli")
    write_pictures(place)
    keras.utils.set_random_seed(0)
    config = {"widths": [8], "aspp_rates": [2]}
    deel_seg.LipDeepLabV3(config, num_classes=3).save(place / "lip.keras")
    deel_seg.LipDeepLabV3(config, num_classes=5).save(place / "five.keras")
    inputs = keras.Input((None, None, 3))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x)(inputs)).save(place / "lambda.keras")
    dense = keras.layers.LayerNormalization()(inputs)
    keras.Model(inputs, dense).save(place / "other.keras")
    (place / "text.keras").write_text("no model")
    return place


def test_help_teaches() -> None:
    text = run("--help").output
    assert "deel-seg certify model.keras" in text and "Exit codes" in text
    for command in main.commands:
        assert f"Example: deel-seg {command}" in run(command, "--help").output


def test_certify_writes_and_lists_what_it_could_not_read(folder: Path) -> None:
    result = run(
        "certify", folder / "lip.keras", folder / "images", "--labels", folder / "labels",
        "--eps", "0.05,0.2", "--out", folder / "out",
    )  # fmt: skip
    assert result.exit_code == 3, result.output
    assert "6 pictures certified" in result.output
    assert "not certified: broken.jpg" in result.stderr
    assert (folder / "out" / "results.csv").exists()
    page = folder / "out" / "report.html"
    before = page.read_bytes()
    page.unlink()
    again = run("report", folder / "out", "--quiet")
    assert again.exit_code == 0, again.output
    assert page.read_bytes() == before
    named = run("report", folder / "out", "--quiet", "--class-names", "road,sky,tree")
    assert named.exit_code == 0 and b'"sky"' in page.read_bytes()


@pytest.mark.slow
def test_certify_answers_in_json_and_takes_an_exported_folder(folder: Path) -> None:
    exported = run("export", folder / "lip.keras", folder / "exported", "--json")
    assert exported.exit_code == 0, exported.output
    fingerprint = json.loads(exported.stdout)["fingerprint"]
    assert (folder / "exported" / "manifest.sha256").read_text().strip() == fingerprint
    (folder / "one").mkdir()
    colours = np.random.default_rng(0).integers(0, 256, (6, 6, 3), "uint8")
    Image.fromarray(colours).save(folder / "one" / "a.png")
    arguments = ("certify", folder / "exported", folder / "one", "--out", folder / "one_out")
    result = run(*arguments, "--json", "--no-report")
    assert result.exit_code == 0, result.output
    assert not (folder / "one_out" / "report.html").exists()
    summary = json.loads(result.stdout)
    assert summary["images"] == {"certified": 1, "refused": {}}
    assert summary["settings"]["eps"] == [0.05, 0.1, 0.25]


def test_a_report_needs_jinja(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _with_report(None) and not _with_report(False)
    monkeypatch.setattr("deel_seg_cli.certify.find_spec", lambda name: None)
    assert not _with_report(None)
    assert "pip install 'deel_seg[report]'" in capsys.readouterr().err
    with pytest.raises(ImportError, match="--report needs Jinja"):
        _with_report(True)


def test_audit_shows_the_constant(folder: Path) -> None:
    result = run("audit", folder / "lip.keras", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["holds"] and found["layers"]
    assert found["verdict"] in run("audit", folder / "lip.keras").stdout


@pytest.mark.slow
def test_evaluate_goes_on_and_writes_the_table(folder: Path) -> None:
    arguments = (
        "evaluate", folder / "five.keras", "--data", "shapes", "--size", "16", "--images", "4",
        "--batch-size", "2", "--eps", "0,0.1", "--out", folder / "evaluation",
    )  # fmt: skip
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert "certified_mean_iou" in result.output
    written = (folder / "evaluation" / "evaluation.json").read_text()
    again = run(*arguments, "--json")
    assert again.stdout.strip() == written.strip(), "batches that were kept are used again"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("nothing.keras", "`model` must be a .keras file that is there"),
        ("text.keras", "cannot be read as a Keras model"),
        ("lambda.keras", "cannot be read as a Keras model"),
        ("other.keras", "Nothing can be certified of"),
        ("images", "folder that certified_predictor wrote"),
    ],
)
def test_what_is_no_certified_network_is_refused_in_a_sentence(
    folder: Path, model: str, message: str
) -> None:
    result = run("certify", folder / model, folder / "images", "--out", folder / "refused")
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr) < 700, "the first sentence of what another library says is enough"
    assert "Traceback" not in result.output and not isinstance(result.exception, ValueError)


def test_wrong_folders_and_numbers(folder: Path) -> None:
    (folder / "empty").mkdir()
    model, out = folder / "lip.keras", ("--out", folder / "refused")
    for images, options, code, message in (
        ("empty", (), 1, "holds none"),
        ("nowhere", (), 1, "existing folder"),
        ("images", ("--labels", folder / "nowhere"), 1, "`labels` must be"),
        ("images", ("--eps", "a,b"), 2, "no list of numbers"),
        ("images", ("--tile", "axb"), 2, "no size"),
        ("images", ("--label-map", "1"), 2, "no mapping"),
        ("images", ("--eps", "-1"), 1, "`eps` must be >= 0"),
    ):
        result = run("certify", model, folder / images, *out, *options)
        assert (result.exit_code, message in result.stderr) == (code, True), result.output
