from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from deel_seg.data import oxford_pets
from tests.data.files import image_of, labels_of


@pytest.fixture(autouse=True)
def no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEEL_SEG_DATA", raising=False)


def test_without_files_and_package_both_ways_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    message = r"DEEL_SEG_DATA is not set.*annotations/trimaps.*install tensorflow-datasets"
    with pytest.raises(ImportError, match=message):
        oxford_pets.open_split("test", (4, 6), None)


def test_a_wrong_root_never_falls_back_to_a_download(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(FileNotFoundError, match="`root` must be an existing folder"):
        oxford_pets.open_split("test", (4, 6), tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("split", "official", "colours"),
    [
        ("trainval", "train", list(range(10))),
        ("train", "train", list(range(9))),
        ("val", "train", [9]),
        ("test", "test", list(range(10))),
    ],
)
def test_examples_of_the_package(
    monkeypatch: pytest.MonkeyPatch, split: str, official: str, colours: list[int]
) -> None:
    # The data source of tensorflow-datasets, which would download 800 MB, is played here.
    def data_source(name: str, *, split: str) -> list[dict[str, np.ndarray]]:
        assert (name, split) == ("oxford_iiit_pet", official)
        mask = labels_of((1, 2, 3))[..., None]
        return [{"image": image_of(k), "segmentation_mask": mask} for k in range(10)]

    fake = SimpleNamespace(data_source=data_source)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", fake)
    examples = oxford_pets.open_split(split, (4, 6), None, border="ignore")
    read = [examples.read(index) for index in range(len(examples))]
    assert [int(pixels[0, 0, 0]) for pixels in read] == colours
    assert np.array_equal(read[0][..., 3], labels_of((0, 1, 255)))
