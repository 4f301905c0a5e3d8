from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from deel_seg.data import folder, info
from tests.data.files import labels_of, write_folder


def test_one_pair_of_folders_is_the_split_all(tmp_path: Path) -> None:
    write_folder(tmp_path, ["b", "a"])
    examples = folder.open_split("all", (4, 6), tmp_path, num_classes=3)
    assert examples.names == ("a", "b")
    assert np.array_equal(examples.read(0)[..., 3], labels_of((0, 1, 2)))


def test_a_split_is_a_folder_of_folders(tmp_path: Path) -> None:
    write_folder(tmp_path / "train", ["a", "b"])
    write_folder(tmp_path / "holdout", ["c"])
    assert folder.open_split("holdout", (4, 6), tmp_path, num_classes=3).names == ("c",)
    with pytest.raises(ValueError, match=r"must be one of those in .*: holdout, train\."):
        folder.open_split("val", (4, 6), tmp_path, num_classes=3)


def test_values_are_mapped(tmp_path: Path) -> None:
    write_folder(tmp_path, ["a"], values=(0, 100, 200))
    mapping = {0: 1, 100: 0, 200: 255}
    examples = folder.open_split("all", (4, 6), tmp_path, num_classes=2, mapping=mapping)
    assert np.array_equal(examples.read(0)[..., 3], labels_of((1, 0, 255)))


@pytest.mark.parametrize("mapping", [{0: 2}, {256: 0}, {0: -1}])
def test_a_mapping_outside_the_classes_is_refused(tmp_path: Path, mapping: dict) -> None:
    write_folder(tmp_path, ["a"])
    message = re.escape(f"labels 0-1 or to 255, void. Received: mapping={mapping}")
    with pytest.raises(ValueError, match=message):
        folder.open_split("all", (4, 6), tmp_path, num_classes=2, mapping=mapping)


def test_labels_outside_the_classes_are_refused(tmp_path: Path) -> None:
    write_folder(tmp_path, ["a"], values=(0, 1, 2))
    with pytest.raises(ValueError, match=r"a\.png holds 2; expected .* 0-1, 255"):
        folder.open_split("all", (4, 6), tmp_path, num_classes=2).read(0)


def test_missing_masks_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(FileNotFoundError, match=r"masks does not exist. Expected: \{split\}"):
        folder.open_split("all", (4, 6), tmp_path, num_classes=2)


def test_class_names_are_given_or_counted() -> None:
    assert info("folder", num_classes=2).class_names == ("class 0", "class 1")
    named = info("folder", num_classes=2, class_names=["sea", "land"])
    assert named.class_names == ("sea", "land")
    with pytest.raises(ValueError, match="`class_names` must hold 2 names"):
        info("folder", num_classes=2, class_names=["sea"])
    with pytest.raises(ValueError, match="at most 255"):
        info("folder", num_classes=256)
