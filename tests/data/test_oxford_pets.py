from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deel_seg.data import info, oxford_pets
from tests.data.files import labels_of, write_pets

TRAINVAL = [f"Cat_{number:02d}" for number in range(20)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_pets(tmp_path, TRAINVAL, ["Dog_1", "Dog_2"])
    return tmp_path


@pytest.mark.parametrize(
    ("border", "labels", "classes"),
    [("class", (0, 1, 2), 3), ("ignore", (0, 1, 255), 2), ("pet", (0, 1, 0), 2)],
)
def test_trimap_values(root: Path, border: str, labels: tuple, classes: int) -> None:
    found = oxford_pets.open_split("test", (4, 6), root, border=border).read(0)[..., 3]
    assert np.array_equal(found, labels_of(labels))
    assert info("oxford_pets", border=border).num_classes == classes


def test_train_and_val_share_out_trainval(root: Path) -> None:
    names = {
        split: oxford_pets.open_split(split, (4, 6), root).names
        for split in oxford_pets.describe().splits
    }
    assert names["trainval"] == tuple(TRAINVAL)
    assert names["val"] == ("Cat_09", "Cat_19")
    assert sorted(names["train"] + names["val"]) == TRAINVAL
    assert names["test"] == ("Dog_1", "Dog_2")


def test_missing_trimaps_are_named(root: Path) -> None:
    (root / "annotations" / "trimaps" / "Dog_2.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"test\.txt needs 1 file \(.*Dog_2\.png\)"):
        oxford_pets.open_split("test", (4, 6), root)


def test_unknown_border_is_refused(root: Path) -> None:
    with pytest.raises(ValueError, match="`border` must be one of 'class', 'ignore', 'pet'"):
        oxford_pets.open_split("test", (4, 6), root, border="void")
