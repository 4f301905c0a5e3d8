"""The promise from end to end: no attack on a trained network beats what was certified."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import deel_seg
from deel_seg._backend import vjp
from deel_seg.certificates import (
    pixel_accuracy_radius,
    worst_case_pixel_accuracy,
    worst_case_stability,
)
from deel_seg.losses import TemperatureCrossentropy
from tests.real_data import real_data_folder

STEPS = 12
BUDGETS = (0.05, 0.3, 1.0)


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


def attack(model: Any, images: np.ndarray, labels: np.ndarray, eps: float) -> np.ndarray:
    """Pushes margins below zero inside the l2 ball of `eps`; the best image seen."""
    kept = labels != 255
    own = ops.one_hot(np.where(kept, labels, 0), model.output_shape[-1])

    def damage(batch: Any) -> Any:
        logits = model(batch, training=False)
        margin = ops.sum(own * logits, -1) - ops.max(logits - 1e9 * own, -1)
        # A sigmoid weighs the pixels near the boundary most: those that a budget can still flip.
        return -ops.sum(ops.cast(kept, "float32") * ops.sigmoid(20.0 * margin))

    change = np.zeros_like(images)
    best, damaged = images, np.ones(len(images))
    for _ in range(STEPS):
        point = ops.convert_to_tensor(images + change)
        (gradient,) = vjp(damage, [point], ops.convert_to_tensor(1.0))
        direction = ops.convert_to_numpy(gradient)
        norms = np.linalg.norm(direction.reshape(len(images), -1), axis=1) + 1e-20
        change = change + 0.5 * eps * direction / norms[:, None, None, None]
        lengths = np.linalg.norm(change.reshape(len(images), -1).astype("float64"), axis=1)
        # 1e-6 keeps the float32 image inside the ball that the certificate speaks of.
        factor = np.minimum(1.0, eps * (1 - 1e-6) / np.maximum(lengths, 1e-20))
        change = (change * factor[:, None, None, None]).astype("float32")
        accuracy = share(model, images + change, labels)
        better = accuracy < damaged
        damaged = np.where(better, accuracy, damaged)
        best = np.where(better[:, None, None, None], images + change, best)
    return best


def share(model: Any, images: np.ndarray, reference: np.ndarray) -> np.ndarray:
    predicted = ops.convert_to_numpy(model(images, training=False)).argmax(-1)
    kept = reference != 255
    return ((predicted == reference) & kept).sum((1, 2)) / kept.sum((1, 2))


def violations(model: Any, images: np.ndarray, labels: np.ndarray, constant: float) -> int:
    """Images on which some attack within a budget did more than was certified with `constant`."""
    logits = model(images, training=False)
    clean = ops.convert_to_numpy(logits).argmax(-1)
    options = {"lipschitz_constant": constant, "ignore_class": 255}
    radius = ops.convert_to_numpy(pixel_accuracy_radius(logits, labels, threshold=0.5, **options))
    found = 0
    for eps in BUDGETS:
        bound = ops.convert_to_numpy(worst_case_pixel_accuracy(logits, labels, eps=eps, **options))
        stable = ops.convert_to_numpy(
            worst_case_stability(logits, eps=eps, lipschitz_constant=constant)
        )
        attacked = attack(model, images, labels, eps)
        accuracy = share(model, attacked, labels)
        broken = (accuracy < bound) | (share(model, attacked, clean) < stable)
        found += int(np.sum(broken | ((accuracy <= 0.5) & (eps < radius))))
    return found


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
