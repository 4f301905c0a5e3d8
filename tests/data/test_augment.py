from __future__ import annotations

import dataclasses

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from deel_seg.data import Augmentation  # noqa: E402
from deel_seg.data.augment import augment_batch  # noqa: E402

STILL = Augmentation(crop_scale=(1.0, 1.0), horizontal_flip=False, rotation=0.0)
COUNT, HEIGHT, WIDTH = 64, 24, 32


def checkerboard() -> tuple[np.ndarray, np.ndarray]:
    """Images that show their own labels: blocks of 8 x 8 of the labels 0, 1, 2, label / 2."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] // 8
    labels = np.stack([(rows + 2 * columns + k) % 3 for k in range(COUNT)]).astype(np.uint8)
    return np.repeat(labels[..., None] / np.float32(2), 3, axis=-1), labels


def augmented(augmentation: Augmentation, seed: tuple[int, int] = (0, 0)) -> tuple:
    images, labels = checkerboard()
    found = augment_batch(images, labels, seed=seed, augmentation=augmentation)
    return found[0].numpy(), found[1].numpy()


def test_nothing_asked_for_changes_nothing() -> None:
    images, labels = checkerboard()
    found = augmented(STILL)
    assert np.array_equal(found[0], images)
    assert np.array_equal(found[1], labels)


@pytest.mark.parametrize(("option", "axis"), [("horizontal_flip", 2), ("vertical_flip", 1)])
def test_flips_are_exact_and_happen_half_of_the_time(option: str, axis: int) -> None:
    ranges = {"crop_scale": (1.0, 1.0), "horizontal_flip": False, "rotation": 0.0, option: True}
    images, labels = checkerboard()
    found_images, found_labels = augmented(Augmentation(**ranges))
    flipped = 0
    for index in range(COUNT):
        expected = [images[index], labels[index]]
        if not np.array_equal(found_labels[index], labels[index]):
            expected = [np.flip(array, axis - 1) for array in expected]
            flipped += 1
        assert np.array_equal(found_images[index], expected[0])
        assert np.array_equal(found_labels[index], expected[1])
    # 64 fair coins: less than 16 or more than 48 heads has odds below 1e-4, and the seed is set.
    assert 16 <= flipped <= 48


def away_from_borders(labels: np.ndarray) -> np.ndarray:
    """Pixels whose 3 x 3 neighbours all have their label, the picture's edge left out."""
    neighbours = [
        labels[:, 1 + down : HEIGHT - 1 + down, 1 + right : WIDTH - 1 + right]
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
    ]
    same = np.zeros(labels.shape, bool)
    same[:, 1:-1, 1:-1] = np.all([each == labels[:, 1:-1, 1:-1] for each in neighbours], axis=0)
    return same


def agreement(images: np.ndarray, labels: np.ndarray) -> float:
    """Share of the inner, not void pixels whose colour is that of their label."""
    shown = np.rint(2 * images[..., 0])
    kept = away_from_borders(labels) & (labels != 255)
    assert kept.mean() > 0.3
    return float((shown == labels)[kept].mean())


ALL_MOVES = Augmentation(vertical_flip=True, rotation=30.0)


def test_image_and_label_move_together() -> None:
    images, labels = augmented(ALL_MOVES)
    assert not np.array_equal(labels, checkerboard()[1])
    assert agreement(images, labels) == 1.0


def test_moves_that_differ_would_be_seen() -> None:
    images, labels = augmented(ALL_MOVES, seed=(0, 0))[0], augmented(ALL_MOVES, seed=(0, 1))[1]
    assert agreement(images, labels) < 0.9


def test_labels_are_never_mixed() -> None:
    labels = augmented(ALL_MOVES)[1]
    assert labels.dtype == np.uint8
    assert set(np.unique(labels)) == {0, 1, 2, 255}


def test_rotation_uncovers_void_and_cropping_does_not() -> None:
    turned = Augmentation(crop_scale=(1.0, 1.0), horizontal_flip=False, rotation=20.0)
    labels = augmented(turned)[1]
    assert (labels[:, 0, 0] == 255).any()
    assert (labels[:, HEIGHT // 2, WIDTH // 2] != 255).all()
    cropped = augmented(Augmentation(crop_scale=(0.1, 1.0), rotation=0.0))[1]
    assert (cropped != 255).all()


def test_a_crop_keeps_the_area_asked_for() -> None:
    # A ramp's slope in the result is the zoom, and the area the zoom squared.
    ramp = np.broadcast_to(np.arange(WIDTH, dtype=np.float32) / WIDTH, (COUNT, HEIGHT, WIDTH))
    images = np.repeat(ramp[..., None], 3, axis=-1)
    labels = np.zeros((COUNT, HEIGHT, WIDTH), np.uint8)
    crop = Augmentation(crop_scale=(0.25, 0.64), horizontal_flip=False, rotation=0.0)
    found = augment_batch(images, labels, seed=(3, 4), augmentation=crop)[0].numpy()
    slope = (found[:, 5, -5, 0] - found[:, 5, 5, 0]) * WIDTH / (WIDTH - 10)
    # float32 interpolation of values below one over ten pixels or more: 1e-5 is ample.
    assert slope.min() >= 0.5 - 1e-5
    assert slope.max() <= 0.8 + 1e-5
    assert slope.max() - slope.min() > 0.2


@pytest.mark.parametrize("option", ["brightness", "contrast", "saturation"])
def test_colours_change_alone_and_stay_in_range(option: str) -> None:
    random = np.random.default_rng(0)
    images = random.uniform(size=(8, 6, 5, 3)).astype(np.float32)
    labels = np.zeros((8, 6, 5), np.uint8)
    ranges = {"crop_scale": (1.0, 1.0), "horizontal_flip": False, "rotation": 0.0, option: 1.0}
    found, same = augment_batch(images, labels, seed=(0, 0), augmentation=Augmentation(**ranges))
    assert np.array_equal(same, labels)
    assert found.dtype == tf.float32
    assert 0.0 <= found.numpy().min() < found.numpy().max() <= 1.0
    assert all(not np.array_equal(found[index], images[index]) for index in range(8))


def test_the_seed_decides() -> None:
    first, again, other = (augmented(ALL_MOVES, seed=seed) for seed in ((1, 2), (1, 2), (1, 3)))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[1], other[1])


def test_each_image_draws_its_own() -> None:
    images = np.repeat(checkerboard()[0][:1], COUNT, axis=0)
    labels = np.repeat(checkerboard()[1][:1], COUNT, axis=0)
    found = augment_batch(images, labels, seed=(0, 0), augmentation=Augmentation())[1].numpy()
    assert len({image.tobytes() for image in found}) > COUNT // 2


def test_noise_is_gaussian_and_each_image_has_its_own() -> None:
    images, labels = checkerboard()
    noisy = dataclasses.replace(STILL, noise=0.25)
    found, kept = augmented(noisy, seed=(3, 4))
    assert np.array_equal(kept, labels)
    noise = found - images
    # 150 000 draws: means and deviations are off by less than a percent of the deviation.
    assert abs(noise.mean()) < 0.0025 and abs(noise.std() - 0.25) < 0.0025
    assert found.min() < 0.0 and found.max() > 1.0  # Not clipped
    flat = noise.reshape(COUNT, -1)
    assert abs(np.corrcoef(flat[0], flat[1])[0, 1]) < 0.1
    assert np.array_equal(found, augmented(noisy, seed=(3, 4))[0])
    assert not np.array_equal(found, augmented(noisy, seed=(3, 5))[0])
