"""What holds of all data sets that are drawn, and need no files."""

from __future__ import annotations

import itertools
from types import ModuleType

import numpy as np
import pytest

from deel_seg.data import runway, shapes
from deel_seg.data.drawn import SPLITS

pytestmark = pytest.mark.parametrize("drawn", [shapes, runway], ids=["shapes", "runway"])


def test_the_same_arguments_draw_the_same_image(drawn: ModuleType) -> None:
    first, again = drawn.render(3, (20, 30)), drawn.render(3, (20, 30))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert first[0].dtype == first[1].dtype == np.uint8


def test_no_image_is_shared_between_splits_seeds_or_indices(drawn: ModuleType) -> None:
    images = [
        drawn.render(index, 16, seed, split)[0].tobytes()
        for index, seed, split in itertools.product(range(20), (0, 1), SPLITS)
    ]
    assert len(set(images)) == len(images) == 120


def test_what_is_drawn_scales_with_the_image(drawn: ModuleType) -> None:
    small, large = drawn.render(0, (32, 48))[1], drawn.render(0, (64, 96))[1]
    # Only pixels on a border may change class.
    assert (large[::2, ::2] == small).mean() > 0.95


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 16), "`index` must be at least 0"),
        ((0, 0), "`size` must be at least 1"),
        ((0, 16, 0, "training"), "`split` must be one of 'train', 'val', 'test'"),
    ],
)
def test_wrong_arguments_are_named(drawn: ModuleType, arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        drawn.render(*arguments)


def test_examples_are_the_rendered_images(drawn: ModuleType) -> None:
    examples = drawn.open_split("val", (16, 24), None, num_images=3, content_seed=5)
    image, labels = drawn.render(2, (16, 24), 5, "val")
    assert len(examples) == 3
    assert np.array_equal(examples.read(2), np.dstack([image, labels]))


def test_default_numbers_of_images(drawn: ModuleType) -> None:
    counts = [len(drawn.open_split(split, (8, 8), None)) for split in ("train", "val", "test")]
    assert counts == [512, 64, 128]
