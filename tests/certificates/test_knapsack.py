from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from deel_seg._backend import accumulation_dtype, compiled
from deel_seg.certificates import knapsack, margin_table, running_totals
from deel_seg.certificates.knapsack import least_total, most_pixels_lost
from tests.certificates.anew import compiled_anew
from tests.certificates.exact import numbers

pytestmark = pytest.mark.xla

# How much a sum of powers may look smaller than it is: what is stated in margin_table.
SLACK = Fraction(1, 2**19) if accumulation_dtype() == "float64" else Fraction(1, 2**13)

lost_within = compiled(most_pixels_lost, static_argnames=("p",))
cost_of = compiled(least_total, static_argnames=("p",))


def count_lost(margins: Any, capacities: Any, p: float, function: Any = lost_within) -> np.ndarray:
    tensors = margins.astype("float32")[None], np.asarray(capacities, accumulation_dtype())
    return numbers(function(*(ops.convert_to_tensor(t) for t in tensors), p=p))[0]


def totals(margins: Any, pixels: Any, p: float, function: Any = cost_of) -> np.ndarray:
    tensors = margins.astype("float32")[None], np.asarray(pixels, "int32")[None]
    return numbers(function(*(ops.convert_to_tensor(t) for t in tensors), p=p))[0]


def sums_of_powers(margins: np.ndarray, p: float) -> list[Fraction]:
    """Exact cost of the n cheapest counting pixels, for n = 0, 1, ..."""
    ordered = sorted(Fraction(float(m)) for m in margins.astype("float32") if m >= 0)
    sums = [Fraction(0)]
    for margin in ordered:
        sums.append(margin if p == math.inf else sums[-1] + margin ** int(p))
    return sums


def assert_sound(margins: np.ndarray, p: float, functions: Any = (lost_within, cost_of)) -> None:
    sums = sums_of_powers(margins, p)
    wide = accumulation_dtype()
    # On a sum, a hair below and above it, and far off.
    on_sums = [float(sums[len(sums) * n // 7]) for n in range(7)]
    capacities = np.array([*on_sums, on_sums[3] * 0.999, 1e-30, 1e30], wide)
    got = count_lost(margins, capacities, p, functions[0])
    for capacity, count in zip(capacities, got, strict=True):
        budget = Fraction(float(capacity))
        exact = max(n for n, total in enumerate(sums) if total <= budget)
        loose = max(n for n, total in enumerate(sums) if total <= budget * (1 + SLACK))
        assert exact <= count, "counted too few"
        assert count <= loose, "counted far too many"
    pixels = [(len(sums) - 1) * n // 7 for n in range(8)]
    for count, total in zip(pixels, totals(margins, pixels, p, functions[1]), strict=True):
        assert Fraction(float(total)) <= sums[count], "cost too much"
        assert Fraction(float(total)) >= sums[count] * (1 - SLACK), "cost far too little"


def cases() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    one_large = np.full(60, 0.1)
    one_large[7] = 1e4
    return {
        "random": np.abs(generator.normal(size=60)),
        "ties": generator.integers(0, 3, 60) / 4,
        "zeros": np.zeros(60),
        "equal": np.full(60, 1.2),
        "progression": np.arange(60) / 16,
        "fine progression": 1 + np.arange(60) * 2.0**-20,
        "mixed scales": 10.0 ** generator.uniform(-10, 10, 60),
        "largest and smallest": np.where(np.arange(60) % 2, 2.0**48, 2.0**-48),
        "one large among small": one_large,
        "some left out": np.where(np.arange(60) % 3, generator.random(60), -1),
        "one pixel": np.where(np.arange(60) == 5, 0.3, -1),
    }


@pytest.mark.parametrize("p", [1, 2, math.inf])
@pytest.mark.parametrize("name", cases())
def test_sound_and_tight(name: str, p: float) -> None:
    assert_sound(cases()[name], p)


@settings(deadline=None, max_examples=60)
@given(
    margins=st.lists(st.floats(2**-30, 2**30, width=32) | st.just(0.0), min_size=60, max_size=60),
    p=st.sampled_from([1, 2, math.inf]),
)
def test_sound_and_tight_on_random_margins(margins: list[float], p: float) -> None:
    assert_sound(np.array(margins), p)


@pytest.mark.one_backend
@pytest.mark.parametrize("kind", ["equal", "wide"])
def test_a_million_pixels(kind: str) -> None:
    generator = np.random.default_rng(0)
    margins = {
        "equal": np.full(2**20, 1.1),
        "wide": 10.0 ** generator.uniform(-6, 3, 2**20),
    }[kind].astype("float32")
    ordered = np.sort(margins.astype("float64") ** 2)
    for pixels in (2**10, 2**17 + 1, 2**20):
        exact = math.fsum(ordered[:pixels])
        total = totals(margins, [pixels], 2)[0]
        assert exact * (1 - float(SLACK)) <= total <= exact
        # Whole again: what so many pixels cost pays for them, and for hardly one more.
        lost = count_lost(margins, [exact], 2)[0]
        cheaper = np.searchsorted(np.cumsum(ordered), exact * (1 + float(SLACK)), side="right")
        assert pixels <= lost <= max(cheaper, pixels)


def test_a_naive_float32_sum_over_a_million_pixels_is_caught() -> None:
    powers = np.full(2**20, np.float32(1.2))
    assert np.cumsum(powers, dtype="float32")[-1] > math.fsum(powers.astype("float64"))


def test_nothing_depends_on_the_order_of_the_pixels() -> None:
    generator = np.random.default_rng(4)
    margins = np.abs(generator.normal(size=60))
    capacities, pixels = np.linspace(0, 60, 10), np.arange(0, 60, 8)
    for p in (1, 2):
        shuffled = generator.permutation(margins)
        assert (count_lost(margins, capacities, p) == count_lost(shuffled, capacities, p)).all()
        assert (totals(margins, pixels, p) == totals(shuffled, pixels, p)).all()


@pytest.mark.one_backend
def test_many_budgets_equal_one_by_one() -> None:
    margins = np.abs(np.random.default_rng(9).normal(size=60))
    capacities = np.linspace(0, 60, 10)  # Several of them in the same bin.
    together = count_lost(margins, capacities, 2)
    apart = [count_lost(margins, [capacity], 2)[0] for capacity in capacities]
    assert together.tolist() == apart


def test_the_images_of_a_batch_do_not_mix() -> None:
    margins = np.array([[4.0, 1.0, 2.0, 8.0], [3.0, -1.0, 3.0, -1.0]], "float32")
    capacities = ops.convert_to_tensor(np.array([0.0, 1.0, 6.5, 7.5], accumulation_dtype()))
    lost = numbers(lost_within(ops.convert_to_tensor(margins), capacities, p=1))
    assert lost.tolist() == [[0, 1, 2, 3], [0, 0, 2, 2]]
    pixels = ops.convert_to_tensor(np.array([[3], [0]], "int32"))
    least = numbers(cost_of(ops.convert_to_tensor(margins), pixels, p=1))
    assert 7 * (1 - float(SLACK)) <= least[0, 0] <= 7 and least[1, 0] == 0


def test_an_unlimited_budget_pays_for_all_that_count() -> None:
    for p in (2, math.inf):
        assert count_lost(cases()["some left out"], [math.inf] * 10, p).tolist() == [40] * 10


def _strictly_below(a: Any, b: Any) -> Any:
    # A margin that only just fits is left out, as `<` for `<=` would.
    return (a + b) * (1 + 2.0**-10)


@pytest.mark.one_backend
@pytest.mark.parametrize("fault", ["sums too large", "offsets forgotten", "strictly below"])
def test_a_broken_sum_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if fault == "sums too large":
        monkeypatch.setattr(running_totals, "lowered", lambda x, _: x * (1 + 2.0**-10))
    elif fault == "offsets forgotten":
        # Without the offsets of the pixels every margin of a bin is its upper edge.
        edges, places = margin_table._EDGES, margin_table._PLACES
        monkeypatch.setattr(margin_table, "_EDGES", edges + places * margin_table.NUM_OFFSETS)
    else:
        monkeypatch.setattr(knapsack, "_plus", _strictly_below)
    broken = [compiled_anew(function, ("p",)) for function in (most_pixels_lost, least_total)]
    with pytest.raises(AssertionError, match=r"counted too few|cost too much"):
        for name in ("equal", "progression"):
            assert_sound(cases()[name], 2, broken)
