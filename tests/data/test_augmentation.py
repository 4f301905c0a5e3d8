from __future__ import annotations

import pytest

from deel_seg.data import Augmentation


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({"crop_scale": (0.0, 1.0)}, "`crop_scale` must be > 0"),
        ({"crop_scale": (0.8, 0.5)}, "`crop_scale` must be >= 0.8"),
        ({"crop_scale": (0.5, 1.5)}, "`crop_scale` must be .*<= 1"),
        ({"crop_scale": 0.5}, "`crop_scale` must be a pair"),
        ({"rotation": -1.0}, "`rotation` must be >= 0"),
        ({"brightness": 2.0}, "`brightness` must be .*<= 1"),
        ({"contrast": -0.1}, "`contrast` must be >= 0"),
        ({"saturation": float("nan")}, "`saturation` must be a finite number"),
    ],
)
def test_wrong_ranges_are_named(ranges: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Augmentation(**ranges)


def test_colours_are_left_alone_by_default() -> None:
    default = Augmentation()
    assert (default.brightness, default.contrast, default.saturation) == (0.0, 0.0, 0.0)
    assert default == Augmentation(crop_scale=(0.5, 1.0), rotation=10.0)
