from __future__ import annotations

import pytest

from deel_seg.data import info
from deel_seg.data.registry import DATASETS, open_split


def test_unknown_name_lists_the_right_ones() -> None:
    with pytest.raises(ValueError, match=r"`name` must be one of 'shapes', .*'folder'"):
        info("pascal")


@pytest.mark.parametrize("name", sorted(set(DATASETS) - {"folder"}))
def test_unknown_split_lists_the_right_ones(name: str) -> None:
    listed = ", ".join(repr(split) for split in info(name).splits)
    with pytest.raises(ValueError, match=rf"'{name}' must be one of {listed}\. Received: split="):
        open_split(name, "training", (4, 4), None, {})


def test_unknown_option_lists_the_right_ones() -> None:
    with pytest.raises(ValueError, match="no option `colour`; its own options are: border"):
        info("oxford_pets", colour=1)
    with pytest.raises(ValueError, match="no option `border`; its own options are: none"):
        open_split("camvid", "val", (4, 4), None, {"border": "pet"})


def test_required_option_is_asked_for() -> None:
    with pytest.raises(ValueError, match="'folder' needs the option `num_classes`"):
        info("folder")


def test_options_of_load_may_be_passed_to_info() -> None:
    assert info("shapes", num_images=3) == info("shapes")
