from __future__ import annotations

import json
from fractions import Fraction

import pytest

from deel_seg.certificates import StabilityRadius


@pytest.mark.parametrize(
    ("fraction", "name"),
    [
        (0.5, "stability@50"),
        (0.333, "stability@33_3"),
        (1, "stability@100"),
        (0.07, "stability@7"),
        (0.0001, "stability@0_01"),
        (Fraction(1, 4), "stability@25"),
    ],
)
def test_names_hold_the_fraction_and_no_dot(fraction: float, name: str) -> None:
    assert StabilityRadius(fraction).name == name
    assert StabilityRadius(fraction, name="mine").name == "mine"


@pytest.mark.parametrize("fraction", [0, 1.1, -0.5, 1 / 3, None])
def test_fraction_is_checked(fraction: float) -> None:
    with pytest.raises(ValueError, match="`fraction`"):
        StabilityRadius(fraction)


@pytest.mark.parametrize("fraction", [0.25, Fraction(1, 3)])
def test_config_survives_json(fraction: object) -> None:
    metric = StabilityRadius(fraction)
    config = json.loads(json.dumps(metric.get_config()))
    copy = StabilityRadius.from_config(config)
    assert copy.name == metric.name and copy.fraction == metric.fraction
