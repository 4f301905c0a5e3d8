from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deel_seg.data import camvid
from tests.data.files import labels_of, write_camvid


@pytest.mark.parametrize("prefix", ["", "/SegNet/CamVid/", "CamVid/"])
def test_pairs_come_in_the_order_of_the_list(tmp_path: Path, prefix: str) -> None:
    write_camvid(tmp_path, ["z", "a"], prefix=prefix)
    examples = camvid.open_split("val", (4, 6), tmp_path)
    assert examples.names == ("z", "a")
    assert [int(examples.read(index)[0, 0, 0]) for index in range(2)] == [0, 1]


def test_11_and_255_become_void(tmp_path: Path) -> None:
    write_camvid(tmp_path, ["a"])
    labels = camvid.open_split("val", (4, 6), tmp_path).read(0)[..., 3]
    assert np.array_equal(labels, labels_of((*range(11), 255)))


def test_missing_list_and_files_are_named(tmp_path: Path) -> None:
    write_camvid(tmp_path, ["a", "b"])
    with pytest.raises(FileNotFoundError, match=r"train\.txt does not exist. Expected: train\.txt"):
        camvid.open_split("train", (4, 6), tmp_path)
    (tmp_path / "valannot" / "b.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"val\.txt needs 1 file \(.*valannot/b\.png\)"):
        camvid.open_split("val", (4, 6), tmp_path)
