from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deel_seg.data import kvasir
from tests.data.files import labels_of, write_folder

STEMS = [f"cju{number:02d}" for number in range(20)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_folder(tmp_path, STEMS, values=(0, 127, 128, 255))
    return tmp_path


def test_masks_are_cut_at_128(root: Path) -> None:
    labels = kvasir.open_split("train", (4, 6), root).read(0)[..., 3]
    assert np.array_equal(labels, labels_of((0, 0, 1, 1)))


def test_without_lists_sorted_names_are_shared_out(root: Path) -> None:
    names = [kvasir.open_split(split, (4, 6), root).names for split in ("train", "val", "test")]
    assert [len(part) for part in names] == [16, 2, 2]
    assert [name for part in names for name in part] == STEMS


def test_lists_decide_when_there_are_any(root: Path) -> None:
    (root / "train.txt").write_text("cju07\ncju03.jpg\n")
    assert kvasir.open_split("train", (4, 6), root).names == ("cju07", "cju03")
    with pytest.raises(FileNotFoundError, match=r"val\.txt does not exist"):
        kvasir.open_split("val", (4, 6), root)
    (root / "val.txt").write_text("cju99\n")
    with pytest.raises(FileNotFoundError, match=r"val\.txt lists 1 file \(cju99\)"):
        kvasir.open_split("val", (4, 6), root)


def test_a_split_without_images_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path, ["only"])
    with pytest.raises(ValueError, match="gives no pair"):
        kvasir.open_split("train", (4, 6), tmp_path)
