from __future__ import annotations

import numpy as np
import pytest

from deel_seg._backend import compiled
from deel_seg.certificates.cheapest_pixels import cheapest_pixels
from tests.certificates.exact import numbers

pytestmark = pytest.mark.xla

PIXELS = 64

marked = compiled(cheapest_pixels)


def assert_first_of_a_stable_sort(
    chosen: np.ndarray, margins: np.ndarray, number: np.ndarray
) -> None:
    """Pixels chosen by each query for each image, against a sort."""
    for image, queries in enumerate(number):
        ordered = np.argsort(np.where(margins[image] < 0, np.inf, margins[image]), kind="stable")
        for query, count in enumerate(queries):
            expected = set(ordered[:count].tolist())
            assert set(np.flatnonzero(chosen[image, query]).tolist()) == expected, "others"


@pytest.mark.parametrize("kind", ["ties", "all equal", "zeros", "mixed scales", "neighbours"])
def test_equals_a_stable_sort(kind: str) -> None:
    generator = np.random.default_rng(0)
    shape = (2, PIXELS)
    margins = {
        "ties": generator.integers(0, 4, shape),
        "all equal": np.full(shape, 1.1),
        "zeros": np.zeros(shape),
        "mixed scales": 2.0 ** generator.uniform(-48, 48, shape),
        # One unit in the last place apart, within one bin and across its border.
        "neighbours": np.float32(1) + generator.integers(-8, 8, shape) * np.float32(2.0**-23),
    }[kind].astype("float32")
    margins[generator.random(shape) < 0.2] = -1
    kept = (margins >= 0).sum(-1)
    number = np.stack([np.linspace(0, count, 7).astype("int32") for count in kept])
    assert_first_of_a_stable_sort(numbers(marked(margins, number)), margins, number)


@pytest.mark.parametrize("broken", ["nothing", "all equals", "last first", "not counted"])
def test_the_check_catches_a_broken_choice(broken: str) -> None:
    margins, number = np.array([[1.0, -1.0, 1.0, 1.0, 2.0]]), np.array([[2]])
    chosen = {
        "nothing": [1, 0, 1, 0, 0],
        "all equals": [1, 0, 1, 1, 0],
        "last first": [0, 0, 1, 1, 0],
        "not counted": [1, 1, 0, 0, 0],
    }[broken]
    arguments = (np.array([[chosen]], bool), margins, number)
    if broken == "nothing":
        assert_first_of_a_stable_sort(*arguments)
    else:
        with pytest.raises(AssertionError, match="others"):
            assert_first_of_a_stable_sort(*arguments)
