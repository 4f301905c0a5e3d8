"""The table bounds against the exact frontier over whole pixels, in rational arithmetic."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from deel_seg._backend import accumulation_dtype, compiled
from deel_seg.certificates import class_iou_bound, class_iou_tables
from deel_seg.certificates.class_iou_sections import worst_iou
from deel_seg.certificates.class_items import ClassItems
from tests.certificates.anew import compiled_anew
from tests.certificates.exact import SLACK, numbers
from tests.certificates.exact_frontier import frontier

pytestmark = pytest.mark.xla


def both_bounds(margins: Any, negative: Any, capacities: Any, ratios: Any, *, p: int) -> Any:
    count = ops.sum(1 - negative, axis=1)
    items = ClassItems(margins, negative, count, count, ops.ones_like(count, dtype="bool"))
    tables = class_iou_tables.iou_tables(items, p)
    return worst_iou(tables, capacities), class_iou_bound.least_cost(tables, ratios)


compiled_bounds = compiled(both_bounds, static_argnames=("p",))


def bounds(
    margins: Any, negative: Any, budgets: Any, ratios: Any, *, p: int, function: Any
) -> tuple[np.ndarray, np.ndarray]:
    wide = accumulation_dtype()
    # The budgets in the wide dtype, rounded up, as `capacity` would.
    capacities = np.nextafter(np.asarray(budgets, wide), np.asarray(np.inf, wide))
    arguments = (
        margins[None].astype("float32"),
        negative[None].astype("int32"),
        capacities,
        np.asarray([ratios], wide),
    )
    worst, least = function(*(ops.convert_to_tensor(a) for a in arguments), p=p)
    return numbers(worst)[0], numbers(least)[0]


BUDGETS = [0.0, 1e-3, 0.25, 1.0, 2.0, 3.5, 8.0, 20.0, 100.0, 1e6]
RATIOS = [0.0, 0.1, 0.25, 0.5, 0.7, 0.9, 1.0]


def assert_sound(
    margins: np.ndarray, negative: np.ndarray, p: int, function: Any = compiled_bounds
) -> None:
    exact = frontier(margins, negative, p)
    worst, least = bounds(margins, negative, BUDGETS, RATIOS, p=p, function=function)
    # A table knows margins to 2^-9; one pixel of each kind is what whole pixels may be worth.
    loose = 1 + 2 * SLACK + Fraction(1, 2**9)
    for budget, value in zip(BUDGETS, worst, strict=True):
        assert Fraction(float(value)) <= exact.worst(Fraction(budget)), "certified too much"
        lower = exact.worst(Fraction(budget) * loose, spare=1)
        assert Fraction(float(value)) >= lower - Fraction(1, 10**5), "certified far too little"
    for ratio, value in zip(RATIOS, least, strict=True):
        # The decimal ratio may be rounded either way on its way in; both sides are proved.
        nearest = Fraction(float(np.asarray(ratio, accumulation_dtype())))
        assert Fraction(float(value)) <= exact.cheapest(nearest), "certified too much"
        assert Fraction(float(value)) <= exact.cheapest(Fraction(str(ratio))), "too much"


CASES = {
    "random": lambda g: np.abs(g.normal(size=24)),
    "ties": lambda g: g.integers(0, 3, 24) / 2,
    "equal": lambda g: np.full(24, 1.0),
    "zeros": lambda g: np.zeros(24),
    "progression": lambda g: np.arange(24) / 8,
    "mixed": lambda g: 10.0 ** g.uniform(-6, 6, 24),
    "huge and tiny": lambda g: np.where(np.arange(24) % 2, 2.0**48, 2.0**-48),
}


@pytest.mark.parametrize("positives", [1, 8, 23, 24])
@pytest.mark.parametrize("name", CASES)
def test_sound_on_adversarial_margins(name: str, positives: int) -> None:
    generator = np.random.default_rng(3)
    margins = CASES[name](generator).astype("float32")
    negative = generator.permutation(np.arange(24) >= positives).astype("int32")
    for p in (1, 2):
        assert_sound(margins, negative, p)


@settings(deadline=None, max_examples=40)
@given(
    margins=st.lists(st.floats(2**-20, 2**10, width=32) | st.just(0.0), min_size=24, max_size=24),
    negative=st.lists(st.booleans(), min_size=24, max_size=24),
    p=st.sampled_from([1, 2]),
)
def test_sound_on_random_margins(margins: list[float], negative: list[bool], p: int) -> None:
    kinds = np.array(negative, "int32")
    kinds[0] = 0
    assert_sound(np.array(margins, "float32"), kinds, p)


def test_close_to_the_exact_value_on_many_pixels() -> None:
    generator = np.random.default_rng(1)
    margins = np.abs(generator.normal(size=2**16)).astype("float32")
    negative = (generator.random(2**16) < 0.9).astype("int32")
    budgets = [10.0, 100.0, 1000.0, 10000.0]
    worst, _ = bounds(margins, negative, budgets, RATIOS, p=2, function=compiled_bounds)
    lost, added = (
        np.concatenate([[0], np.cumsum(np.sort(margins[negative == kind].astype("f8")) ** 2)])
        for kind in (0, 1)
    )
    positives = len(lost) - 1
    for budget, value in zip(budgets, worst, strict=True):
        i = np.flatnonzero(lost <= budget)
        j = np.searchsorted(added, budget - lost[i], side="right") - 1
        exact = ((positives - i) / (positives + j)).min()
        within = 2 if accumulation_dtype() == "float64" else 8  # pixels
        assert 0 <= exact - value <= within / positives


def _half_capacity(tables: Any, ratios: Any, capacities: Any) -> Any:
    return class_iou_bound.least_surplus(tables, ratios, capacities * 0.5)


def _no_chord(sums: Any) -> Any:
    # The pixels in the bin of the level are forgotten.
    before = ops.cast(sums.ends - sums.counts, accumulation_dtype())
    return class_iou_tables.Lines(before, sums.before)


@pytest.mark.parametrize("fault", ["factor", "bin of the level"])
def test_a_broken_bound_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if fault == "factor":
        monkeypatch.setattr(
            "deel_seg.certificates.class_iou_sections.least_surplus", _half_capacity
        )
    else:
        monkeypatch.setattr(class_iou_tables, "_lines", _no_chord)
    negative = (np.arange(24) >= 12).astype("int32")
    with pytest.raises(AssertionError, match="too much"):
        broken = compiled_anew(both_bounds, ("p",))
        assert_sound(np.full(24, 1.001, "float32"), negative, 2, broken)


@pytest.mark.slow
@pytest.mark.one_backend
def test_any_multiplier_gives_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    # The search is not trusted: with its halvings cut short the values are loose, never wrong.
    generator = np.random.default_rng(5)
    margins = np.abs(generator.normal(size=24)).astype("float32")
    negative = (generator.random(24) < 0.5).astype("int32")
    exact = frontier(margins, negative, 2)
    found = []
    for steps in (0, 3, 6, 10):
        monkeypatch.setattr(class_iou_bound, "_STEPS", steps)
        anew = compiled_anew(both_bounds, ("p",))
        worst, least = bounds(margins, negative, BUDGETS, RATIOS, p=2, function=anew)
        for budget, value in zip(BUDGETS, worst, strict=True):
            assert Fraction(float(value)) <= exact.worst(Fraction(budget))
        for ratio, value in zip(RATIOS, least, strict=True):
            assert Fraction(float(value)) <= exact.cheapest(Fraction(ratio))
        found.append(worst.sum())
    assert found[0] < found[-1]
