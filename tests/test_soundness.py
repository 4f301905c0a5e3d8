"""The promise from end to end: no attack on a trained network beats what was certified."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import deel_seg
from deel_seg.attacks import PGD, AttackSuite, Boundary, untargeted, vanishing
from deel_seg.certificates import (
    fnr_radius,
    pixel_accuracy_radius,
    stability_radius,
    worst_case_fnr,
    worst_case_pixel_accuracy,
    worst_case_stability,
)
from deel_seg.losses import TemperatureCrossentropy
from tests.real_data import real_data_folder

BUDGETS = (0.05, 0.3, 1.0)
SUITE = AttackSuite(attacks=[PGD(steps=12, loss=Boundary(0.04))])


def drawn(split: str, count: int, size: int = 16) -> tuple[np.ndarray, np.ndarray]:
    pairs = [
        deel_seg.data.shapes.render(index, size, seed=0, split=split) for index in range(count)
    ]
    images = np.stack([np.asarray(image, "float32") / 255 for image, _ in pairs])
    return images, np.stack([np.asarray(labels, "int32") for _, labels in pairs])


def small_network(images: np.ndarray, labels: np.ndarray, num_classes: int) -> keras.Model:
    keras.utils.set_random_seed(1)
    config = {"widths": [16, 16], "convolutions": 1, "aspp_rates": [2]}
    model = deel_seg.LipDeepLabV3(config, num_classes=num_classes)
    loss = TemperatureCrossentropy(10.0, ignore_class=255)
    model.compile(keras.optimizers.Adam(0.02), loss, jit_compile=False)
    for _ in range(30):
        model.train_on_batch(images, labels)
    model.condense()
    return model


def violations(model: Any, images: np.ndarray, labels: np.ndarray, constant: float) -> int:
    """Images on which some attack within a budget did more than was certified with `constant`."""
    logits = model(images, training=False)
    clean = ops.convert_to_numpy(logits).argmax(-1)
    options: dict[str, Any] = {"lipschitz_constant": constant}
    kept: dict[str, Any] = {**options, "ignore_class": 255}
    frequent = int(np.bincount(labels[labels != 255]).argmax())
    broken = np.zeros(len(images), bool)
    for goal, bound, radius in (
        (
            untargeted(labels, ignore_class=255),
            worst_case_pixel_accuracy(logits, labels, eps=BUDGETS, **kept),
            pixel_accuracy_radius(logits, labels, threshold=0.5, **kept),
        ),
        (
            untargeted(clean),
            worst_case_stability(logits, eps=BUDGETS, **options),
            stability_radius(logits, fraction=0.5, **options),
        ),
        (
            vanishing(labels, class_id=frequent),
            1.0 - worst_case_fnr(logits, labels, positive_class=frequent, eps=BUDGETS, **kept),
            fnr_radius(logits, labels, positive_class=frequent, threshold=0.5, **kept),
        ),
    ):
        found = SUITE.curve(model, images, goal, eps=BUDGETS)[-1].envelope
        least, norm = ops.convert_to_numpy(bound), ops.convert_to_numpy(radius)
        with np.errstate(invalid="ignore"):
            # The certificate is rounded down to a float32, an FNR up: 1 less that rounds once more.
            broken |= np.any(found.accuracy(BUDGETS) < least - 2.0**-23, axis=1)
            broken |= found.norm(0.5) < norm
    return int(np.sum(broken))


@pytest.fixture(scope="module")
def drawn_case() -> tuple[Any, np.ndarray, np.ndarray]:
    images, labels = drawn("train", 16)
    return small_network(images, labels, num_classes=5), images, labels


def test_no_attack_on_drawn_scenes_beats_the_certificates(drawn_case: Any) -> None:
    model, images, labels = drawn_case
    assert model.lipschitz_constant == 1.0
    assert violations(model, images, labels, model.lipschitz_constant) == 0


def test_the_attack_catches_a_constant_that_is_too_small(drawn_case: Any) -> None:
    model, images, labels = drawn_case
    assert violations(model, images, labels, 0.05) > 0


@pytest.mark.data
def test_no_attack_on_road_scenes_beats_the_certificates() -> None:
    from PIL import Image

    folder = real_data_folder() / "camvid"
    names = [line.split() for line in (folder / "val.txt").read_text().splitlines()[:8]]
    images = np.stack(
        [
            np.asarray(Image.open(folder / name).resize((40, 32)), "float32") / 255
            for name, _ in names
        ]
    )
    labels = np.stack(
        [np.asarray(Image.open(folder / name).resize((40, 32), 0), "int32") for _, name in names]
    )
    model = small_network(images, labels, num_classes=11)
    assert violations(model, images, labels, model.lipschitz_constant) == 0
