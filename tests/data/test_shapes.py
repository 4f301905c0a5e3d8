from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image

from deel_seg.data import shapes


def test_the_same_arguments_draw_the_same_image() -> None:
    first, again = shapes.render(3, (20, 30)), shapes.render(3, (20, 30))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert first[0].dtype == first[1].dtype == np.uint8


def test_no_image_is_shared_between_splits_seeds_or_indices() -> None:
    drawn = [
        shapes.render(index, 16, seed, split)[0].tobytes()
        for index, seed, split in itertools.product(range(20), (0, 1), shapes.SPLITS)
    ]
    assert len(set(drawn)) == len(drawn) == 120


def test_every_class_is_common_enough_to_be_learnt() -> None:
    labels = np.stack([shapes.render(index, 32)[1] for index in range(100)])
    shares = np.bincount(labels.ravel(), minlength=5) / labels.size
    assert len(shares) == 5
    assert shares.min() > 0.02
    assert 0.4 < shares[0] < 0.9


def test_a_shape_scales_with_the_image() -> None:
    small, large = shapes.render(0, (32, 48))[1], shapes.render(0, (64, 96))[1]
    # Only pixels on a border may change class.
    assert (large[::2, ::2] == small).mean() > 0.95


def test_colour_helps_but_does_not_settle_the_class() -> None:
    images, labels = map(np.stack, zip(*(shapes.render(k, 32) for k in range(200)), strict=True))
    hues = np.stack([np.asarray(Image.fromarray(image).convert("HSV")) for image in images])[..., 0]
    # Classes 1 to 4 have their usual hues a quarter of the wheel apart, the first at zero.
    nearest = np.rint(hues / 64.0) % 4 + 1
    right = (nearest == labels)[labels > 0].mean()
    assert 0.6 < right < 0.95


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
        shapes.render(*arguments)


def test_examples_are_the_rendered_images() -> None:
    examples = shapes.open_split("val", (16, 24), None, num_images=3, content_seed=5)
    image, labels = shapes.render(2, (16, 24), 5, "val")
    assert len(examples) == 3
    assert np.array_equal(examples.read(2), np.dstack([image, labels]))


def test_default_numbers_of_images() -> None:
    counts = [len(shapes.open_split(split, (8, 8), None)) for split in ("train", "val", "test")]
    assert counts == [512, 64, 128]
