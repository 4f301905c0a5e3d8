"""examples/serve.py at toy size: what it prints and writes is what the library certifies."""

from __future__ import annotations

import importlib.util
import math
import os
import signal
from fractions import Fraction
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

import deel_seg

if keras.backend.backend() != "tensorflow":
    pytest.skip("exported folders hold a SavedModel", allow_module_level=True)

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "serve.py"
SIZE = (16, 24)


@pytest.fixture(scope="module")
def example() -> Any:
    specification = importlib.util.spec_from_file_location("serve", EXAMPLE)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras.utils.set_random_seed(0)
    config = {"widths": [8], "convolutions": 1, "aspp_rates": []}
    model = deel_seg.LipDeepLabV3(config, num_classes=3)
    folder = tmp_path_factory.mktemp("serve") / "exported"
    deel_seg.export.certified_predictor(model, folder, eps=[0.05, 0.1])
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    drawn = np.random.default_rng(0).integers(0, 256, (4, *SIZE, 3), "uint8")
    for place, picture in enumerate(drawn):
        Image.fromarray(picture).save(folder / f"{place}.png")
    return folder


@pytest.fixture
def run(example: Any, exported: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Any:
    """Runs the example; returns its exit code or last words, and what it printed."""

    def called(*arguments: Any, predictor: Path = exported) -> tuple[Any, str]:
        command = ["serve.py", str(predictor), *map(str, arguments)]
        monkeypatch.setattr("sys.argv", command)
        with pytest.raises(SystemExit) as exit_:
            example.main()
        captured = capsys.readouterr()
        return exit_.value.code, captured.out + captured.err

    return called


def answers(exported: Path, path: Path) -> dict[str, np.ndarray]:
    pixels = np.asarray(Image.open(path).convert("RGB"), "float32")[None] / 255
    predictor = deel_seg.export.load_predictor(exported)
    return {name: np.asarray(value)[0] for name, value in predictor(pixels).items()}


def test_a_folder(run: Any, exported: Path, pictures: Path, tmp_path: Path) -> None:
    code, text = run(pictures, "--out", tmp_path / "out", "--overlay-eps", "0.01")
    assert code == 0
    lines = [line for line in text.splitlines() if " fps  " in line]
    assert [line.split()[0] for line in lines] == ["0.png", "1.png", "2.png", "3.png"]
    least = math.inf
    for place, line in enumerate(lines):
        found = answers(exported, pictures / f"{place}.png")
        printed = dict(zip(line.split()[3::3], line.split()[4::3], strict=True))
        values = dict(zip(("crs@0.05", "crs@0.1"), found["crs"], strict=True))
        values["stability@50"] = found["stability_radius"]
        assert set(printed) == set(values)
        for name, value in values.items():
            below = Fraction(float(value)) - Fraction(printed[name])
            assert 0 <= below < Fraction(1, 10**4), name
        least = min(least, Fraction(printed["crs@0.1"]))
        assert f"crs@0.1 {printed['crs@0.1']} ({float(least):.4f})" in line
        overlay = np.asarray(Image.open(tmp_path / "out" / f"frame_{place:06}.png")).astype(int)
        grey = np.asarray(Image.open(pictures / f"{place}.png").convert("L"))[..., None]
        coloured = (overlay != grey).any(axis=-1)
        certified = found["radius"] > 0.01
        assert certified.any() and not certified.all()
        np.testing.assert_array_equal(coloured, certified)
    assert f"least crs@0.1 {float(least):.4f}, of " in text
    assert "frames per second after the first" in text


def test_a_video_and_the_limit(run: Any, pictures: Path, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    video, again = tmp_path / "certified.mp4", tmp_path / "again.mp4"
    assert run(pictures, "--out", video)[0] == 0
    with av.open(str(video)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 4
    assert (frames[0].height, frames[0].width) == SIZE
    code, text = run(video, "--limit", "2", "--out", again)
    assert code == 0 and "2 frames of 16 x 24 pixels" in text
    assert "frame 1  " in text and "frame 2  " not in text
    with av.open(str(again)) as container:
        assert len(list(container.decode(video=0))) == 2
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(video.read_bytes()[:200])
    code, text = run(broken)
    assert "broken.mp4 cannot be decoded as a video" in code
    code, text = run(pictures, "--out", video)
    assert "is there already" in code


def test_ctrl_c_ends_the_frame_and_the_file(
    run: Any, example: Any, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("av")
    original, seen = example.Server.certify, []

    def stopped_in_the_second(self: Any, name: str, frame: Any) -> Any:
        seen.append(name)
        if len(seen) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, name, frame)

    monkeypatch.setattr(example.Server, "certify", stopped_in_the_second)
    before = signal.getsignal(signal.SIGINT)
    code, text = run(pictures, "--out", tmp_path / "stopped.mkv")
    assert code == 130 and "Stopped by hand" in text and "2 frames of" in text
    assert len(seen) == 2
    assert len(list(example.Video(tmp_path / "stopped.mkv"))) == 2
    assert signal.getsignal(signal.SIGINT) is before


def test_a_broken_picture_is_left_out(run: Any, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes((pictures / "0.png").read_bytes()[:100])
    (tmp_path / "b.png").write_bytes((pictures / "1.png").read_bytes())
    code, text = run(tmp_path)
    assert code == 3
    assert "not certified" in text and "a.png" in text
    assert "1 frames of" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.mp4"], "There is no video, picture or folder nowhere.mp4"),
        (["EMPTY"], "must hold pictures"),
        (["PICTURES", "--fingerprint", "0" * 64], "fingerprint"),
        (["PICTURES", "--out", "PICTURES"], "is there already, and not overwritten"),
    ],
)
def test_what_cannot_be_served(
    run: Any, pictures: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    places = {"EMPTY": tmp_path, "PICTURES": pictures}
    code, _ = run(*(places.get(each, each) for each in arguments))
    assert isinstance(code, str) and message in code


def test_no_exported_folder(run: Any, pictures: Path, tmp_path: Path) -> None:
    code, _ = run(pictures, predictor=tmp_path / "nothing")
    assert "manifest.json" in code


def test_videos_without_pyav(
    run: Any, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    code, _ = run(pictures, "--out", tmp_path / "out.mp4")
    assert "pip install 'deel_seg[video]'" in code


def test_the_worst_stays_unknown_once_nothing_is_proved(example: Any, exported: Path) -> None:
    server = example.Server(deel_seg.export.load_predictor(exported), SIZE, None)
    unknown = {
        "crs": np.full((1, 2), np.nan), "stability_radius": np.array([0.1]),
        "radius": np.full((1, *SIZE), np.nan), "labels": np.zeros((1, *SIZE), int),
    }  # fmt: skip
    known = {**unknown, "crs": np.ones((1, 2))}
    for given in (known, unknown, known):
        manifest = server.manifest
        server.predictor = lambda images, given=given: given
        assert manifest.eps == (0.05, 0.1)
        server.certify("frame", Image.new("RGB", SIZE[::-1]))
    assert np.isnan(server.least[:2]).all() and server.least[2] == 0.1
    assert example.rounded_down(server.least[0]) == "nan"
