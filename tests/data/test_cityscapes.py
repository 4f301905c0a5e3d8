from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deel_seg.data import cityscapes
from tests.data.files import image_of, write_picture

# Written out by hand from the official table of labels: id, training id.
TRAIN_IDS = {
    **{0: 255, 1: 255, 2: 255, 3: 255, 4: 255, 5: 255, 6: 255, 7: 0, 8: 1, 9: 255, 10: 255},
    **{11: 2, 12: 3, 13: 4, 14: 255, 15: 255, 16: 255, 17: 5, 18: 255, 19: 6, 20: 7, 21: 8},
    **{22: 9, 23: 10, 24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 29: 255, 30: 255, 31: 16},
    **{32: 17, 33: 18, 255: 255},
}


def write_scene(root: Path, city: str, name: str, ids: np.ndarray, split: str = "val") -> None:
    image = root / "leftImg8bit" / split / city / f"{city}_{name}_leftImg8bit.png"
    write_picture(image, image_of(3, *ids.shape))
    label = root / "gtFine" / split / city / f"{city}_{name}_gtFine_labelIds.png"
    write_picture(label, ids)


def test_every_id_becomes_its_training_id(tmp_path: Path) -> None:
    ids = np.array(list(TRAIN_IDS), np.uint8).reshape(5, 7)
    write_scene(tmp_path, "ulm", "000000_000019", ids)
    labels = cityscapes.open_split("val", (5, 7), tmp_path).read(0)[..., 3]
    assert labels.ravel().tolist() == list(TRAIN_IDS.values())


def test_an_id_of_no_label_is_refused(tmp_path: Path) -> None:
    write_scene(tmp_path, "ulm", "000000_000019", np.full((2, 2), 34, np.uint8))
    with pytest.raises(ValueError, match=r"labelIds\.png holds 34; expected .* 0-33, 255"):
        cityscapes.open_split("val", (2, 2), tmp_path).read(0)


def test_cities_are_read_in_order(tmp_path: Path) -> None:
    for city, name in (("ulm", "1"), ("aachen", "2"), ("aachen", "1")):
        write_scene(tmp_path, city, name, np.zeros((2, 2), np.uint8))
    names = cityscapes.open_split("val", (2, 2), tmp_path).names
    assert names == ("aachen_1_leftImg8bit", "aachen_2_leftImg8bit", "ulm_1_leftImg8bit")


def test_missing_folders_and_labels_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"leftImg8bit/val does not exist. Expected: left"):
        cityscapes.open_split("val", (2, 2), tmp_path)
    write_scene(tmp_path, "ulm", "1", np.zeros((2, 2), np.uint8))
    (tmp_path / "gtFine/val/ulm/ulm_1_gtFine_labelIds.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 file \(.*ulm_1_gtFine_labelIds\.png\)"):
        cityscapes.open_split("val", (2, 2), tmp_path)
