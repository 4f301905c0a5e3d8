"""`evaluate`: the numbers of the functions it calls, kept and gone on with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import deel_seg
from deel_seg.attacks import DDN, PGD, AttackSuite
from deel_seg.certificates import (
    stability_radius,
    worst_case_fnr,
    worst_case_pixel_accuracy,
    worst_case_stability,
)
from deel_seg.evaluation import measuring
from deel_seg.smoothing import SegCertify

EPS = [0.0, 0.3]


def network() -> keras.Model:
    """Moves each logit on its own; its constant is 2."""
    inputs = keras.Input((None, None, 3))
    return deel_seg.LipschitzModel(inputs, deel_seg.layers.ConstantScaling(2.0)(inputs))


def batches(count: int = 3, size: int = 8) -> list[tuple[np.ndarray, np.ndarray]]:
    generator = np.random.default_rng(0)
    found = []
    for _ in range(count):
        images = generator.uniform(0.2, 0.8, size=(2, size, size, 3)).astype("float32")
        labels = images.argmax(-1).astype("int32")
        labels[generator.random(labels.shape) < 0.2] = 0
        labels[:, 0] = 255
        found.append((images, labels))
    return found


@pytest.mark.slow
def test_the_numbers_of_the_functions_it_calls() -> None:
    model, data = network(), batches()
    found = deel_seg.evaluate(
        model, data, eps=EPS, ignore_class=255, positive_class=1, certified_iou=True,
        fractions=[0.5, 0.25], verbose=0,
    )  # fmt: skip
    assert 2.0 <= found.lipschitz_constant < 2.0 + 1e-9  # Proved from the factor
    images, labels = (np.concatenate(parts) for parts in zip(*data, strict=True))
    logits = 2.0 * images
    options: dict[str, Any] = {"ignore_class": 255}
    options["lipschitz_constant"] = found.lipschitz_constant
    expected = {
        "crpa": worst_case_pixel_accuracy(logits, labels, eps=EPS, **options),
        "crs": worst_case_stability(logits, labels=labels, eps=EPS, **options),
        "stability@50": stability_radius(logits, labels=labels, fraction=0.5, **options),
        "stability@25": stability_radius(logits, labels=labels, fraction=0.25, **options),
        "certified_fnr": worst_case_fnr(logits, labels, positive_class=1, eps=EPS, **options),
    }
    for name, values in expected.items():
        # In one compiled function a last bit may come out another way.
        np.testing.assert_allclose(found.images[name], ops.convert_to_numpy(values), rtol=1e-6)
    kept = labels != 255
    right = ((images.argmax(-1) == labels) & kept).sum((1, 2)) / kept.sum((1, 2))
    np.testing.assert_array_equal(found.images["accuracy"], right)
    predicted, named = images.argmax(-1)[kept], labels[kept]
    ious = [
        np.sum((predicted == k) & (named == k)) / np.sum((predicted == k) | (named == k))
        for k in range(3)
    ]
    rows = found.rows()
    assert rows[0]["mean_iou"] == pytest.approx(np.mean(ious), abs=1e-12)
    assert rows[0]["certified_mean_iou"] <= np.mean(ious)
    assert rows[1]["certified_mean_iou"] < rows[0]["certified_mean_iou"]
    assert rows[1]["crpa"] == found.images["crpa"][:, 1].mean()
    assert rows[0]["images"] == 6


def test_attacks_and_smoothing_beside_certificates() -> None:
    model = network()
    smoothing = SegCertify(model, 3, 0.1, samples=60)
    found = deel_seg.evaluate(
        model, batches(1), eps=EPS, ignore_class=255, smoothing=smoothing,
        attacks=AttackSuite(attacks=[PGD(steps=3)]), smoothing_seeds=[0, 1], verbose=0,
    )  # fmt: skip
    attacked, certified = found.images["attacked_accuracy"], found.images["crpa"]
    assert np.all(attacked >= certified)
    assert np.all(attacked[:, 1] < attacked[:, 0])
    assert found.images["smoothed_crpa"].shape == (2, 2, 2)
    assert np.all(found.images["smoothing_passes"] <= 70)
    row = found.rows()[0]
    assert row["smoothed_crpa_spread"] >= 0.0
    assert all(row[f"{part}_seconds"] > 0 for part in ("forward", "certificate", "attack"))
    assert "±" in found.to_markdown().splitlines()[2]


def test_without_a_constant_nothing_is_certified() -> None:
    found = deel_seg.evaluate(lambda x: x, batches(1), eps=EPS, ignore_class=255, verbose=0)
    assert found.lipschitz_constant is None
    assert set(found.images) == {"accuracy", "forward_seconds"}


class Killed(Exception):
    """Stands for whatever stops a run."""


def test_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    model, data = network(), batches()
    options: dict[str, Any] = {
        "eps": EPS, "ignore_class": 255, "certified_iou": True, "attacks": PGD(steps=2),
        "verbose": 0,
    }  # fmt: skip

    class Stopping(list):  # type: ignore[type-arg]
        def __iter__(self):  # type: ignore[no-untyped-def]
            yield from list(data)[:2]
            raise Killed

    with pytest.raises(Killed):
        deel_seg.evaluate(model, Stopping(data), folder=tmp_path, **options)
    assert len(list(tmp_path.glob("part_*.npz"))) == 2
    times = (tmp_path / "part_00000.npz").stat().st_mtime_ns
    again = deel_seg.evaluate(model, data, folder=tmp_path, **options)
    assert (tmp_path / "part_00000.npz").stat().st_mtime_ns == times
    whole = deel_seg.evaluate(model, data, **options)
    for name, values in whole.images.items():
        if "seconds" not in name:
            np.testing.assert_array_equal(again.images[name], values)
    assert again.data_set == whole.data_set


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    model, data = network(), batches(1)
    deel_seg.evaluate(model, data, eps=EPS, ignore_class=255, folder=tmp_path / "a", verbose=0)
    with pytest.raises(ValueError, match=r"its `eps` is \[0.0, 0.3\]"):
        deel_seg.evaluate(model, data, eps=[0.1], ignore_class=255, folder=tmp_path / "a")
    other = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(3, 1)])
    with pytest.raises(ValueError, match="evaluation of something else"):
        deel_seg.evaluate(other, data, eps=EPS, ignore_class=255, folder=tmp_path / "a")
    with pytest.raises(ValueError, match="other images"):
        short = [(data[0][0][:1], data[0][1][:1])]
        deel_seg.evaluate(model, short, eps=EPS, ignore_class=255, folder=tmp_path / "a", verbose=0)
    with pytest.raises(ValueError, match="other images or labels"):
        darker = [(data[0][0] / 2, data[0][1])]
        deel_seg.evaluate(model, darker, eps=EPS, ignore_class=255, folder=tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="must be empty"):
        deel_seg.evaluate(model, data, eps=EPS, folder=tmp_path / "b")


def test_a_folder_of_another_function_is_refused(tmp_path: Path) -> None:
    options: dict[str, Any] = {"eps": EPS, "ignore_class": 255, "folder": tmp_path, "verbose": 0}
    smoothed = deel_seg.smoothing.SegCertify(lambda x: x, 3, 0.25, samples=8, alpha=0.1)
    found = deel_seg.evaluate(lambda x: x, batches(1), smoothing=smoothed, **options)
    # The same function but for rounding, as on another device.
    again = deel_seg.evaluate(lambda x: x / 3 * 3, batches(1), smoothing=smoothed, **options)
    np.testing.assert_array_equal(found.images["accuracy"], again.images["accuracy"])
    with pytest.raises(ValueError, match="another function: `model` returns other values"):
        deel_seg.evaluate(lambda x: -x, batches(1), smoothing=smoothed, **options)
    smoothed = deel_seg.smoothing.SegCertify(lambda x: -x, 3, 0.25, samples=8, alpha=0.1)
    with pytest.raises(ValueError, match="another function: `smoothed` returns other values"):
        deel_seg.evaluate(lambda x: x, batches(1), smoothing=smoothed, **options)
    smoothed = deel_seg.smoothing.SegCertify(network(), 3, 0.25, samples=8, alpha=0.1)
    with pytest.raises(ValueError, match="its `weights` is"):
        deel_seg.evaluate(lambda x: x, batches(1), smoothing=smoothed, **options)


def test_tables() -> None:
    found = deel_seg.evaluate(network(), batches(1), eps=EPS, ignore_class=255, verbose=0)
    header, *lines = found.to_csv().splitlines()
    assert header.split(",")[:3] == ["eps", "images", "accuracy"]
    assert [line.split(",")[0] for line in lines] == ["0.0", "0.3"]
    read = json.loads(found.to_json())
    assert read["rows"] == found.rows()
    assert read["lipschitz_constant"] == found.lipschitz_constant
    assert str(found).startswith("| eps | images | accuracy |")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eps": [-1.0]}, "`eps`"),
        ({"eps": []}, "`eps`"),
        ({"attacks": DDN()}, "an attack with a budget"),
        ({"attacks": "slow"}, "`preset`"),
        ({"attacks": 3}, "`attacks`"),
        ({"smoothing": 3}, "`smoothing`"),
        ({"smoothing_seeds": []}, "`smoothing_seeds`"),
        ({"lipschitz_constant": 1.5}, "1.5"),
        ({"data": iter([])}, "`data`"),
    ],
)
def test_bad_arguments(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        deel_seg.evaluate(**{"model": network(), "data": batches(1), "eps": EPS, **change})


def test_times_are_of_calls_that_compile_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of another size, such as the last one, is compiled for too."""
    timed, seen = measuring._timed, []

    def seeing(function: Any, is_warm: bool) -> Any:
        seen.append(is_warm)
        return timed(function, is_warm)

    monkeypatch.setattr(measuring, "_timed", seeing)
    whole = batches(2)
    last = [(images[:1], labels[:1]) for images, labels in whole]
    options: dict[str, Any] = {"eps": EPS, "ignore_class": 255, "verbose": 0}
    found = deel_seg.evaluate(lambda x: x, [*whole, *last], **options)
    assert seen == [False, True, False, True]
    assert found.images["forward_seconds"].shape == (6,)


def test_what_is_not_defined_is_null_in_json() -> None:
    images, labels = batches(1)[0]
    labels[0] = 255
    found = deel_seg.evaluate(network(), [(images, labels)], eps=EPS, ignore_class=255, verbose=0)
    assert np.isnan(found.images["crpa"][0]).all()

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    read = json.loads(found.to_json(), parse_constant=refuse)
    assert read["images"]["crpa"][0] == [None, None]
    assert read["rows"][0]["crpa"] == found.rows()[0]["crpa"]


@pytest.mark.parametrize("label", [3, -1])
def test_labels_that_name_no_class_are_refused(label: int) -> None:
    images, labels = batches(1)[0]
    labels[0, 3, 3] = label
    with pytest.raises(ValueError, match=rf"`data` must name one of 3 classes.*labels=\[{label}\]"):
        deel_seg.evaluate(network(), [(images, labels)], eps=EPS, ignore_class=255, verbose=0)
