"""The loaders on real files, against the pixel counts that came with them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from deel_seg.data import info
from deel_seg.data.registry import open_split
from tests.real_data import real_data_folder, real_data_set

pytestmark = pytest.mark.data

# Data set, its folder and native size, its splits, and the label of each value in stats.json.
SETS = [
    ("camvid", "camvid", (120, 160), ("train", "val", "test"), {str(k): k for k in range(11)}),
    ("oxford_pets", "pets", (128, 128), ("trainval", "test"), {"1": 0, "2": 1, "3": 2}),
    ("kvasir", "kvasir", (128, 128), ("train", "val", "test"), {"0": 0, "255": 1}),
]


def files(folder: str) -> Path:
    path = real_data_set(folder)
    if path is None:
        pytest.skip(f"{folder} is not there: set DEEL_SEG_DATA to the folder that holds it")
    return path


@pytest.mark.parametrize(("name", "folder", "size", "splits", "meaning"), SETS)
def test_pixels_of_every_class(
    name: str, folder: str, size: tuple, splits: tuple, meaning: dict[str, int]
) -> None:
    root = files(folder)
    stats_file = (real_data_folder() or root) / "stats.json"
    if not stats_file.is_file():
        pytest.skip(f"{stats_file} is not there")
    stats = json.loads(stats_file.read_text())[folder]
    for split in splits:
        examples = open_split(name, split, size, root, {})
        assert len(examples) == stats["images"][split]
        counts = np.zeros(256, int)
        for index in range(len(examples)):
            counts += np.bincount(examples.read(index)[..., 3].ravel(), minlength=256)
        expected = np.zeros(256, int)
        for value, count in stats["pixels"][split].items():
            expected[meaning.get(value, 255)] += count
        assert counts.tolist() == expected.tolist()


@pytest.mark.parametrize(("name", "folder", "size", "splits", "meaning"), SETS)
def test_another_size_keeps_the_classes(
    name: str, folder: str, size: tuple, splits: tuple, meaning: dict[str, int]
) -> None:
    pixels = open_split(name, splits[0], (48, 64), files(folder), {}).read(0)
    assert pixels.shape == (48, 64, 4)
    assert set(np.unique(pixels[..., 3])) <= {*range(info(name).num_classes), 255}
