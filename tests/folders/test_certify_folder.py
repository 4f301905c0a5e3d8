"""A folder of pictures: what is written holds, and no finished work is lost."""

from __future__ import annotations

import csv
import io
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras import ops
from PIL import Image

from deel_seg._inference import compiled_inference
from deel_seg.folders import FolderCertificates, certify_folder
from deel_seg.folders.kept import Kept
from deel_seg.folders.measure import Measure
from deel_seg.folders.tiles import Tiling
from tests.certificates import exact
from tests.folders.certified_folder import EPS, predictor, write_pictures

FILES = ("results.csv", "results.parquet", "summary.json")


def certify(folder: Path, out: str = "out", **options: Any) -> FolderCertificates:
    chosen = {"labels": folder / "labels", "eps": EPS, "verbose": 0, **options}
    return certify_folder(predictor(), folder / "images", folder / out, **chosen)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder)
    return folder


@pytest.fixture(scope="module")
def found(pictures: Path) -> FolderCertificates:
    return certify(pictures, certified_iou=True)


def logits_of(path: Path) -> np.ndarray:
    """Logits of the picture alone, padded by hand to what the network takes."""
    pixels = np.asarray(Image.open(path).convert("RGB"))
    height, width = pixels.shape[:2]
    padded = np.zeros((1, -height % 2 + height, -width % 2 + width, 3), "float32")
    padded[0, :height, :width] = pixels / np.float32(255)
    infer = compiled_inference(predictor().network)
    return ops.convert_to_numpy(infer(ops.convert_to_tensor(padded)))[0, :height, :width]


def test_every_picture_has_a_row_or_a_reason(found: FolderCertificates, pictures: Path) -> None:
    names = [row["image"] for row in found.rows]
    assert names == ["a.png", "b.png", "d.png", "grey.png", "more/c.png", "transparent.png"]
    assert list(found.refused) == ["broken.jpg"] and "broken.jpg" in found.refused["broken.jpg"]
    notes = {row["image"]: row["note"] for row in found.rows}
    assert "grey" in notes["grey.png"] and "transparency" in notes["transparent.png"]
    text = (pictures / "out" / "results.csv").read_text()
    written = list(csv.DictReader(io.StringIO(text)))
    assert [row["image"] for row in written] == names
    assert [float(row["crs@0.2"]) for row in written] == [row["crs@0.2"] for row in found.rows]
    summary = json.loads((pictures / "out" / "summary.json").read_text())
    assert summary["images"] == {"certified": 6, "refused": found.refused}
    assert summary["settings"]["lipschitz_constant"] == predictor().manifest.lipschitz_constant
    assert summary["values"]["crpa@0.2"]["images"] == 3


def test_what_is_certified_holds_in_exact_arithmetic(
    found: FolderCertificates, pictures: Path
) -> None:
    manifest = predictor().manifest
    constant, tolerance = manifest.lipschitz_constant, manifest.logit_tolerance
    assert tolerance > 0
    for row in found.rows:
        logits = logits_of(pictures / "images" / row["image"])
        label_file = pictures / "labels" / row["image"]
        labels = np.asarray(Image.open(label_file)).astype(int) if label_file.exists() else None
        mask = None if labels is None else labels != 255
        predicted = exact.image(logits, mask=mask, tolerance=tolerance)
        assert row["pixels"] == len(predicted.costs)
        labelled = exact.image(logits, labels, ignore_class=255, tolerance=tolerance)
        for eps in EPS:
            exact.assert_share_sound(row[f"crs@{eps:g}"], predicted, eps=eps, constant=constant)
            if labels is None:
                assert np.isnan(row[f"crpa@{eps:g}"]) and np.isnan(row["accuracy"])
                continue
            exact.assert_share_sound(row[f"crpa@{eps:g}"], labelled, eps=eps, constant=constant)
        total = exact.cost_of_share(predicted, Fraction(1, 2))
        exact.assert_radius_sound(row["stability@50"], predicted, total, constant)
        with np.load(pictures / "out" / "maps" / f"{row['image']}.npz") as file:
            assert file["predicted"].shape == file["radius"].shape == logits.shape[:2]
            assert (file["predicted"] == logits.argmax(-1)).all()
            cheapest = min(exact.image(logits, tolerance=tolerance).costs)
            exact.assert_radius_sound(file["radius"].min(), predicted, cheapest, constant)


def test_the_certified_iou_is_that_of_all_pictures_with_labels(
    found: FolderCertificates, pictures: Path
) -> None:
    data_set = found.summary["data_set"]
    assert set(data_set) == {"mean_iou", "certified_mean_iou", "certified_iou"}
    assert data_set["certified_mean_iou"][0] <= data_set["mean_iou"]
    assert data_set["certified_mean_iou"] == sorted(data_set["certified_mean_iou"])[::-1]


@pytest.mark.slow
def test_tiles_certify_with_their_own_constant(pictures: Path) -> None:
    whole = certify(pictures, "tiles", tile=(4, 4))
    overlapping = certify(pictures, "overlap", tile=(8, 8), overlap=2)
    assert len(whole.rows) == len(overlapping.rows) == 6
    tiling = Tiling((2, 2), tile=(8, 8), overlap=2)
    factor = tiling.constant_factor((9, 14))
    assert factor > 1
    measure = Measure(predictor(), tiling, EPS, [], 0.0)
    pixels = np.asarray(Image.open(pictures / "images" / "a.png"))
    (logits,) = measure.logits([pixels])
    image = exact.image(
        ops.convert_to_numpy(logits),
        mask=np.asarray(Image.open(pictures / "labels" / "a.png")) != 255,
        tolerance=predictor().manifest.logit_tolerance,
    )
    for eps in EPS:
        exact.assert_share_sound(
            overlapping.rows[0][f"crs@{eps:g}"], image, eps=eps,
            constant=factor * predictor().manifest.lipschitz_constant,
        )  # fmt: skip


@pytest.mark.parametrize("batch_size", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_stopped_run_goes_on_and_writes_the_same(
    pictures: Path, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"batch_size": batch_size, "certified_iou": True}
    certify(pictures, f"whole{batch_size}", **options)
    done: list[str] = []
    stopped = f"stopped{batch_size}"
    certify_one = Measure.certify

    keep = Kept.keep

    def until_killed(self: Kept, name: str, *values: Any) -> None:
        if len(done) == 3:
            raise KeyboardInterrupt
        keep(self, name, *values)
        done.append(name)

    monkeypatch.setattr(Kept, "keep", until_killed)
    with pytest.raises(KeyboardInterrupt):
        certify(pictures, stopped, **options)
    assert not (pictures / stopped / "results.csv").exists()
    assert len(list((pictures / stopped / "maps").rglob("*.npz"))) == 3
    monkeypatch.setattr(Kept, "keep", keep)
    again: list[int] = []
    monkeypatch.setattr(
        Measure, "certify", lambda *args: again.append(args[1].shape[:2]) or certify_one(*args)
    )
    certify(pictures, stopped, **options)
    # a and b are of one size: with batches of two, the third one to be kept is a batch of its own.
    assert len(again) == 3, "finished work was done again"
    for name in FILES:
        there = (pictures / f"whole{batch_size}" / name).read_bytes()
        assert (pictures / stopped / name).read_bytes() == there, name


@pytest.mark.slow
def test_a_batch_of_which_one_is_missing_is_certified_as_a_whole(pictures: Path) -> None:
    certify(pictures, "pair", batch_size=2)
    rows = (pictures / "pair" / "results.csv").read_bytes()
    a, b = (pictures / "pair" / "maps" / f"{name}.png.npz" for name in "ab")
    before = b.read_bytes()
    a.unlink()
    b.write_bytes(before)
    certify(pictures, "pair", batch_size=2)
    assert (pictures / "pair" / "results.csv").read_bytes() == rows
    assert a.exists() and b.stat().st_mtime_ns >= a.stat().st_mtime_ns


@pytest.mark.slow
def test_budgets_that_print_alike_keep_their_own_values(pictures: Path) -> None:
    row = certify(pictures, "close", eps=[0.1, 0.1 + 1e-9]).rows[0]
    assert {"crs@0.1", "crs@0.100000001"} <= set(row)


@pytest.mark.slow
def test_a_changed_picture_is_certified_again(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    before = certify(tmp_path).rows[0]
    colours = np.random.default_rng(9).integers(0, 256, (9, 14, 3), "uint8")
    Image.fromarray(colours).save(tmp_path / "images" / "a.png")
    after = certify(tmp_path).rows[0]
    assert before != after
    assert after == certify(tmp_path, "anew").rows[0]


def test_a_picture_with_logits_that_are_no_numbers_is_listed_and_in_no_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pictures(tmp_path)
    sound, spoilt = Measure.logits, []

    def logits(self: Measure, pixels: Any) -> Any:
        found = np.array(sound(self, pixels))
        if not spoilt:
            spoilt.append(len(found))
            found[0] *= np.float32("inf")
        return ops.convert_to_tensor(found)

    monkeypatch.setattr(Measure, "logits", logits)
    found = certify(tmp_path)
    assert spoilt == [2], "the other picture of its batch is certified"
    assert set(found.refused) == {"a.png", "broken.jpg"}
    assert "NaN or infinite" in found.refused["a.png"]
    assert "a.png" not in [row["image"] for row in found.rows]
    crs = next(values for name, values in found.summary["values"].items() if "crs@" in name)
    assert crs["images"] == len(found.rows)


@pytest.mark.parametrize("labelled", [(), (1,), (0, 1, 2)])
def test_pictures_together_are_certified_as_each_alone(labelled: tuple[int, ...]) -> None:
    measure = Measure(predictor(), Tiling((2, 2)), EPS, [Fraction(1, 2)], 0.0, report=True)
    generator = np.random.default_rng(0)
    pixels = list(generator.integers(0, 256, (3, 7, 9, 3), "uint8"))
    drawn = generator.choice([0, 1, 2, 255], (3, 7, 9)).astype("uint8")
    labels = [drawn[index] if index in labelled else None for index in range(3)]
    logits = measure.logits(pixels)
    together = measure.certify(logits, labels)
    for index, found in enumerate(together):
        (alone,) = measure.certify(logits[index : index + 1], [labels[index]])
        assert set(found) == set(alone)
        for name, value in alone.items():
            # Sums of another batch may round otherwise; pixels have nothing to do with each other.
            ulps = 0 if value.ndim == 2 else 4
            np.testing.assert_array_max_ulp(
                *(np.asarray(v, np.float32) for v in (found[name], value)), ulps
            )


def test_a_folder_of_which_nothing_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_text("no picture")
    found = certify(tmp_path, labels=None)
    assert found.rows == [] and list(found.refused) == ["a.png"]
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["values"] == {}


def test_the_files_of_other_settings_are_refused(pictures: Path, found: Any) -> None:
    with pytest.raises(ValueError, match="its `eps` is"):
        certify(pictures, eps=[0.1])
    with pytest.raises(ValueError, match="its `padding` is"):
        certify(pictures, certified_iou=True, padding=0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eps": [0.1, 0.1]}, "`eps` must hold different"),
        ({"eps": [-1]}, "`eps` must be >= 0"),
        ({"fractions": [1.5]}, "`fractions` must lie in"),
        ({"fractions": [0.5, "1/2"]}, "`fractions` must hold different"),
        ({"fractions": []}, "`fractions` must hold different"),
        ({"batch_size": 0}, "`batch_size` must be at least 1"),
        ({"padding": 2}, "`padding` must be >= 0 and <= 1"),
        ({"tile": (3, 3)}, "`tile` must be a multiple"),
        ({"label_mapping": {0: 7}}, "`label_mapping` must take"),
        ({"label_mapping": {0: 0}, "label_threshold": 3}, "give one"),
    ],
)
def test_wrong_arguments(pictures: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        certify(pictures, "wrong", **options)
