"""The runway experiment on networks of a few weights."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

import deel_seg
from benchmarks.paper import runway_measure, runway_table
from benchmarks.paper.runway_attack import (
    Certificates,
    data_set_iou,
    least_data_set_iou,
    up_to_budget,
)
from benchmarks.paper.runway_scenes import scenes
from benchmarks.paper.runway_settings import TOY, Runway
from benchmarks.paper.scales import SCALES
from deel_seg.attacks import PGD

if keras.backend.backend() != "tensorflow":
    pytest.skip("scenes are tf.data streams", allow_module_level=True)


def measured(model: keras.Model, folder: Path, settings: Runway = TOY) -> dict:
    images, labels = scenes("test", 4, (16, 16))
    return runway_measure.measure(
        model, images, labels, settings=settings, temperature=10.0, folder=folder
    )


def network(name: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    return getattr(deel_seg, name)(TOY.config, num_classes=2)


@pytest.mark.slow
def test_certified_is_below_attacked_is_below_clean_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network("LipFCN")
    found = measured(model, tmp_path)
    least, worst, clean = found["certified_iou"], found["robust_iou"], found["clean_iou"]
    assert len(least) == len(worst) == len(TOY.budgets) == 2
    assert 0.0 < clean < 1.0
    assert all(low <= high <= clean for low, high in zip(least, worst, strict=True))
    assert worst[1] < clean
    assert found["lipschitz_constant"] >= 1.0

    # What was measured is not measured again; with other numbers, or other weights, it is.
    monkeypatch.setattr(runway_measure, "attacked_counts", None)
    assert measured(model, tmp_path) == found
    with pytest.raises(TypeError, match="not callable"):
        measured(model, tmp_path, replace(TOY, steps=TOY.steps + 1))
    with pytest.raises(TypeError, match="not callable"):
        measured(network("LipUNet"), tmp_path)


def test_a_network_without_a_constant_is_attacked_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Runway, "attacks", lambda *_: [PGD(steps=3, loss="margin")])
    found = measured(network("FCN"), tmp_path)
    assert found["certified_iou"] is found["lipschitz_constant"] is None
    assert found["robust_iou"][1] <= found["clean_iou"]


@pytest.mark.slow
def test_an_attack_below_a_certificate_is_an_error() -> None:
    labels = np.ones((1, 2, 2), "int32")
    images = np.zeros((1, 2, 2, 2), "float32")
    images[..., 1] = 0.5  # every pixel is found, by a margin of 0.5
    points = np.array([[[4, 4, 0]], [[3, 4, 0]]])
    options = {"num_classes": 2, "class_id": 1, "ignore_class": 255}
    # One pixel costs 0.354.
    Certificates(lambda x: x, 1.0, [0.36], **options).check(images, labels, points)
    with pytest.raises(RuntimeError, match="violated, 1 times: the IoU of an image"):
        Certificates(lambda x: x, 1.0, [0.35], **options).check(images, labels, points)
    with pytest.raises(RuntimeError, match="violated"):
        Certificates(lambda x: x, 0.8, [0.36], **options).check(images, labels, points)


def test_the_least_iou_of_a_data_set_is_found() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        labelled = random.integers(1, 9, (1, 4)).repeat(3, axis=0)
        found = random.integers(0, labelled + 1)
        points = np.stack([found, labelled, random.integers(0, 30, (3, 4))], axis=-1)
        choices = itertools.product(range(3), repeat=4)
        least = min(data_set_iou(points[list(choice), range(4)]) for choice in choices)
        assert least_data_set_iou(points) == least


def test_points_of_smaller_budgets_count_too() -> None:
    points = np.arange(7)  # one without attack, three attacks, two budgets
    assert up_to_budget(points, 0, 2).tolist() == [0, 1, 2, 3]
    assert up_to_budget(points, 1, 2).tolist() == points.tolist()


@pytest.mark.parametrize("scale", SCALES)
def test_every_training_names_a_model_and_every_option_once(scale: str) -> None:
    settings = SCALES[scale].runway
    assert {run.split("_")[1] for run in settings.networks} == {"fcn", "unet"}
    for run, kept in settings.networks.items():
        arguments = settings.arguments(run)
        options = [each for each in arguments if each.startswith("--")]
        assert len(set(options)) == len(options)
        lipschitz = issubclass(getattr(deel_seg, kept.model), deel_seg.LipschitzModel)
        assert lipschitz == ("lipschitz" in run)


def test_the_table_has_a_row_a_network_and_the_slides_beside_the_fcn() -> None:
    found = {
        "clean_iou": 0.75, "robust_iou": [0.5, 0.25], "certified_iou": None, "gradients": 6,
    }  # fmt: skip
    result = {
        "settings": TOY.to_dict(), "budgets": TOY.budgets, "images": 4,
        "networks": dict.fromkeys(TOY.networks, found),
    }  # fmt: skip
    rows = runway_table.show(result).splitlines()[2:8]
    assert rows[0] == "| FCN, standard | 1 | 0.750 | 0.500 | none | 0.250 | none | 0.89 | 0.26 |"
    assert rows[3].endswith("| none | none |")
    assert (
        "At\n256x256 it changes a pixel as much, in the mean, as eps 0.0625"
        in runway_table.show(result)
    )


def test_scenes_are_the_first_of_their_split() -> None:
    images, labels = scenes("val", 3, (16, 24))
    image, label = deel_seg.data.runway.render(2, (16, 24), 0, "val")
    assert np.array_equal(np.rint(255 * images[2]), image)
    assert np.array_equal(labels[2], label)
