from __future__ import annotations

import pytest

from deel_seg.data import DatasetInfo, info
from deel_seg.data.dataset_info import distinct_colours
from deel_seg.data.registry import DATASETS


@pytest.mark.parametrize("name", DATASETS)
def test_classes_and_colours_match_one_to_one(name: str) -> None:
    found = info(name, num_classes=3) if name == "folder" else info(name)
    assert found.name == name
    assert found.num_classes == len(found.class_names) == len(set(found.palette))
    assert all(0 <= channel <= 255 for colour in found.palette for channel in colour)
    assert found.ignore_class == 255


def test_customary_numbers_of_classes() -> None:
    names = ("shapes", "runway", "camvid", "oxford_pets", "kvasir", "cityscapes")
    assert [info(name).num_classes for name in names] == [5, 2, 11, 3, 2, 19]


def test_colours_stay_distinct_up_to_255_classes() -> None:
    colours = distinct_colours(255)
    assert len(set(colours)) == 255
    assert colours[:8] == distinct_colours(8)


def test_a_colour_too_few_is_refused() -> None:
    with pytest.raises(ValueError, match="one colour per class"):
        DatasetInfo("mine", ("a", "b"), ((0, 0, 0),), ())
