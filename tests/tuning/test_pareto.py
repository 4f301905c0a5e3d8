"""The Pareto front against its definition."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from deel_seg.tuning import non_dominated


def by_definition(values: list[tuple[float, ...]], directions: list[str]) -> list[int]:
    def gain(value: float, direction: str) -> float:
        return value if direction == "max" else -value

    def surpasses(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
        pairs = [
            (gain(a, d), gain(b, d)) for a, b, d in zip(one, other, directions, strict=True)
        ]  # fmt: skip
        return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)

    return [
        place
        for place, each in enumerate(values)
        if not any(surpasses(other, each) for other in values)
    ]


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_the_front_is_that_of_the_definition(objectives: int) -> None:
    generator = np.random.default_rng(objectives)
    for directions in itertools.product(("max", "min"), repeat=objectives):
        # A coarse grid has equal values and equal candidates.
        values = [tuple(row) for row in generator.integers(0, 4, (30, objectives)).astype(float)]
        found = non_dominated(values, directions)
        assert found == by_definition(values, list(directions))
        assert 0 < len(found) < 30


def test_what_is_no_number_is_not_on_the_front_and_keeps_nothing_off_it() -> None:
    values = [(math.nan, 9.0), (1.0, 1.0), (9.0, math.nan), (0.5, 0.5)]
    assert non_dominated(values, ["max", "max"]) == [1]
    assert non_dominated([(math.nan,)], ["max"]) == []
    assert non_dominated([], ["max"]) == []


def test_equal_candidates_are_all_on_the_front() -> None:
    assert non_dominated([(1.0, 2.0), (0.0, 2.0), (1.0, 2.0)], ["max", "max"]) == [0, 2]


def test_wrong_numbers_of_values_and_directions_are_refused() -> None:
    with pytest.raises(ValueError, match="one number for each of `directions`"):
        non_dominated([(1.0, 2.0)], ["max"])
    with pytest.raises(ValueError, match=r"`directions` must be one of .* directions='up'"):
        non_dominated([(1.0,)], ["up"])
