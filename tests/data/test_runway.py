from __future__ import annotations

import itertools

import numpy as np
import pytest

from deel_seg.data import runway
from deel_seg.data.runway_scene import Scene


def scenes(count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    drawn = [runway.render(index, size) for index in range(count)]
    return np.stack([image for image, _ in drawn]), np.stack([label for _, label in drawn])


def test_the_same_arguments_draw_the_same_scene() -> None:
    first, again = runway.render(3, (20, 30)), runway.render(3, (20, 30))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert first[0].dtype == first[1].dtype == np.uint8


def test_no_scene_is_shared_between_splits_seeds_or_indices() -> None:
    drawn = [
        runway.render(index, 16, seed, split)[0].tobytes()
        for index, seed, split in itertools.product(range(20), (0, 1), runway.SPLITS)
    ]
    assert len(set(drawn)) == len(drawn) == 120


def test_every_scene_shows_a_runway_and_much_beside_it() -> None:
    shares = scenes(300, 32)[1].mean((1, 2))
    assert shares.min() > 0.01
    assert shares.max() < 0.3
    assert 0.05 < shares.mean() < 0.12


def test_a_scene_scales_with_the_image() -> None:
    small, large = runway.render(0, (32, 48))[1], runway.render(0, (64, 96))[1]
    # Only pixels on a border may change class.
    assert (large[::2, ::2] == small).mean() > 0.95


def test_the_runway_is_a_strip_of_the_ground() -> None:
    for index in range(20):
        scene = Scene(np.random.default_rng(index), 96, 96)
        assert scene.down[scene.runway].min() > 0  # below the horizon
        assert abs(scene.across[scene.runway]).max() <= 0.5
        # As seen: as much narrower as it is farther away.
        width = 1.0 / scene.ahead[scene.runway]
        assert width.max() > 1.5 * width.min()


def test_neither_place_nor_brightness_settles_the_class() -> None:
    images, labels = scenes(200, 32)
    grey, on = images.mean(-1), labels == 1
    # The best place: pixels that are runway more often than not.
    usual = on.mean(0) > 0.5
    iou = (on & usual).sum() / (on | usual).sum()
    assert iou < 0.5
    # The best threshold of brightness, in either direction.
    found = [grey > level for level in range(0, 256, 8)]
    found += [~each for each in found]
    assert max((each & on).sum() / (each | on).sum() for each in found) < 0.25


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 16), "`index` must be at least 0"),
        ((0, 0), "`size` must be at least 1"),
        ((0, 16, 0, "training"), "`split` must be one of 'train', 'val', 'test'"),
    ],
)
def test_wrong_arguments_are_named(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        runway.render(*arguments)


def test_examples_are_the_rendered_scenes() -> None:
    examples = runway.open_split("val", (16, 24), None, num_images=3, content_seed=5)
    image, labels = runway.render(2, (16, 24), 5, "val")
    assert len(examples) == 3
    assert np.array_equal(examples.read(2), np.dstack([image, labels]))


def test_default_numbers_of_scenes() -> None:
    counts = [len(runway.open_split(split, (8, 8), None)) for split in ("train", "val", "test")]
    assert counts == [512, 64, 128]
