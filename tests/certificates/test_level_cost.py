"""The cost of meeting at a level is never above the least one, wherever the level stands."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from deel_seg.certificates.level_cost import margins_at_level
from tests.certificates.exact import numbers
from tests.certificates.test_becoming import exact_cost


def assert_sound(distances: np.ndarray, level: Any, stretched: float = 1.0) -> np.ndarray:
    """Distances `(levels, classes)`; the cost is handed to the function as if multiplied."""
    level = np.asarray(level, "float32")
    over = np.maximum(distances - level[:, None], np.float32(0))
    excess, squares = over.sum(-1), (over * over).sum(-1)
    largest = distances.max(-1) * np.float32(stretched)
    tensors = map(ops.convert_to_tensor, (level, largest, excess, squares))
    level_, largest_, excess_, squares_ = tensors
    additions = distances.shape[-1]
    got = numbers(margins_at_level(level_, largest_, additions, excess_, squares_))
    for row, margin in zip(distances, np.abs(got), strict=True):
        exact = exact_cost(np.append(row, np.float32(0)), len(row), 2)
        assert Fraction(float(margin)) ** 2 / 2 <= exact, "cost too much"
    return got


@settings(deadline=None, max_examples=100)
@given(
    distances=hnp.arrays(np.float32, (4, 9), elements=st.floats(0, 4, width=32)),
    level=hnp.arrays(np.float32, 4, elements=st.floats(0, 5, width=32)),
)
def test_sound_at_any_level(distances: np.ndarray, level: np.ndarray) -> None:
    assert_sound(distances, level)


@pytest.mark.parametrize("scale", [2.0**-40, 1.0, 2.0**40])
def test_sound_and_tight_near_the_best_level(scale: float) -> None:
    distances = np.random.default_rng(0).uniform(0.5, 1, (60, 9)).astype("float32") * scale
    best = (np.sort(distances)[:, ::-1].cumsum(-1) / np.arange(2, 11)).max(-1)
    for nearness in (0.0, 1e-6, 1e-4, 1e-3, 1e-2):
        for sign in (-1, 1):
            got = assert_sound(distances, best * (1 + sign * nearness))
            if nearness < 1e-4:
                exact = [float(exact_cost(np.append(row, 0), 9, 2)) for row in distances]
                # The cost is a share of 2^-16 too low at most, and a few roundings.
                assert (got >= np.sqrt(2 * np.array(exact)) * (1 - 2.0**-16)).all()
            if nearness >= 1e-2:
                assert (got < 0).any()


def test_too_small_a_largest_distance_is_caught() -> None:
    # As if all of the excess were gone a little above the level, where most of it is.
    distances = np.array([[1.0] + [0.35] * 8], "float32")
    with pytest.raises(AssertionError, match="cost too much"):
        assert_sound(distances, [0.3], stretched=0.32)
