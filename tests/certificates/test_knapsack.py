from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from keras import ops

from deel_seg._backend import accumulation_dtype
from deel_seg.certificates.knapsack import cheapest_totals, least_total, most_pixels_lost
from tests.certificates.exact import numbers

# The bound itself: (2n + 4) 2^-53 for a million pixels, or (2 * 132 + 4) 2^-24 in blocks, twice
# over, since the sums are shrunk by as much as they may be off.
SLACK = 1e-9 if accumulation_dtype() == "float64" else 4e-5


def totals_of(costs: np.ndarray) -> np.ndarray:
    wide = ops.convert_to_tensor(costs.astype(accumulation_dtype()).reshape(1, 1, -1))
    return numbers(cheapest_totals(wide, ops.ones_like(wide, dtype="bool"), 2))[0]


def running_sums_are_sound(totals: np.ndarray, costs: np.ndarray) -> bool:
    """Compares some running sums with exactly rounded ones."""
    ordered = np.sort(costs.astype(accumulation_dtype()).astype("float64"))
    ends = np.unique(np.geomspace(1, costs.size, 12).astype(int))
    exact = np.array([math.fsum(ordered[:end]) for end in ends])
    return bool((totals.astype("float64")[ends - 1] <= exact).all())


@pytest.mark.parametrize("kind", ["equal", "wide"])
def test_a_million_pixels_are_summed_from_below(kind: str) -> None:
    generator = np.random.default_rng(0)
    costs = {
        "equal": np.full(2**20, 1.2),
        "wide": 10.0 ** generator.uniform(-12, 6, 2**20),
    }[kind]
    totals = totals_of(costs)
    assert running_sums_are_sound(totals, costs)
    ordered = np.sort(costs.astype(accumulation_dtype()).astype("float64"))
    assert totals[-1] >= math.fsum(ordered) * (1 - SLACK)


def test_a_naive_float32_sum_over_a_million_pixels_is_caught() -> None:
    costs = np.full(2**20, np.float32(1.2))
    naive = np.cumsum(costs, dtype="float32")
    assert not running_sums_are_sound(naive, costs)


@pytest.mark.parametrize("count", [1, 32, 33, 1025, 5000])
def test_running_sums_at_block_borders(count: int) -> None:
    costs = np.random.default_rng(count).random(count).astype("float32")
    totals = totals_of(costs)
    exact = np.cumsum([Fraction(float(cost)) for cost in np.sort(costs)])
    for total, bound in zip(totals, exact, strict=True):
        assert Fraction(float(total)) <= bound
        assert Fraction(float(total)) >= bound * (1 - Fraction(SLACK))


def test_counts_and_least_totals() -> None:
    costs = np.array([[[4.0, 1.0, 2.0, 8.0]], [[3.0, 3.0, 3.0, 3.0]]])
    kept = np.array([[[True, True, True, True]], [[True, False, True, False]]])
    tensor = ops.convert_to_tensor(costs.astype(accumulation_dtype()))
    totals = cheapest_totals(tensor, ops.convert_to_tensor(kept), 1)
    capacities = ops.convert_to_tensor(np.array([0.0, 1.0, 6.5, 7.5], accumulation_dtype()))
    assert numbers(most_pixels_lost(totals, capacities)).tolist() == [[0, 1, 2, 3], [0, 0, 2, 2]]
    pixels = ops.convert_to_tensor(np.array([3, 0], "int32"))
    least = numbers(least_total(totals, pixels))
    assert 7 * (1 - SLACK) <= least[0] <= 7 and least[1] == 0


def test_for_the_max_norm_a_set_costs_its_dearest_pixel() -> None:
    tensor = ops.convert_to_tensor(np.array([[[4.0, 1.0, 2.0]]], accumulation_dtype()))
    totals = cheapest_totals(tensor, ops.ones_like(tensor, dtype="bool"), math.inf)
    assert numbers(totals).tolist() == [[1.0, 2.0, 4.0]]
