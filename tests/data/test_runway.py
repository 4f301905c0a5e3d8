from __future__ import annotations

import numpy as np

from deel_seg.data import runway
from deel_seg.data.runway_scene import Scene


def scenes(count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    drawn = [runway.render(index, size) for index in range(count)]
    return np.stack([image for image, _ in drawn]), np.stack([label for _, label in drawn])


def test_every_scene_shows_a_runway_and_much_beside_it() -> None:
    shares = scenes(300, 32)[1].mean((1, 2))
    assert shares.min() > 0.01
    assert shares.max() < 0.3
    assert 0.05 < shares.mean() < 0.12


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
