"""The IoU over whole pixels by cells against rational arithmetic and against sorting."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from deel_seg._backend import accumulation_dtype, compiled
from deel_seg.certificates import (
    class_iou_radius,
    class_iou_whole,
    class_iou_window,
    confusion_metric_radius,
    leading_sums,
    worst_case_class_iou,
    worst_case_confusion_metric,
)
from deel_seg.certificates.class_items import ClassItems
from deel_seg.certificates.confusion_metrics import iou
from tests.certificates.anew import compiled_anew
from tests.certificates.exact import SLACK, numbers
from tests.certificates.exact_frontier import Frontier, frontier
from tests.certificates.test_class_iou_bound import CASES

IN_FLOAT64 = accumulation_dtype() == "float64"
BUDGETS = [0.0, 1e-3, 0.25, 1.0, 2.0, 3.5, 8.0, 20.0, 100.0, 1e6]
THRESHOLDS = [(0, 1), (1, 3), (1, 2), (700001, 10**6)]
SIZE = 24


def of_items(margins: Any, negative: Any, given: Any, *, p: int) -> Any:
    """Q1 of a batch, given capacities, or Q2, given a threshold."""
    count = ops.sum(1 - negative, axis=1)
    items = ClassItems(margins, negative, count, count, ops.ones_like(count, dtype="bool"))
    if isinstance(given, tuple):
        return class_iou_whole.least_whole_cost(items, given, p)
    return class_iou_whole.worst_whole_iou(items, given, p)


compiled_whole = compiled(of_items, static_argnames=("p",))


def whole_worst(
    margins: np.ndarray, negative: np.ndarray, budgets: Any, p: int, function: Callable
) -> np.ndarray:
    """Worst IoU for the budgets, `(batch, budgets)`."""
    wide = accumulation_dtype()
    # The budgets in the wide dtype, rounded up, as `capacity` would.
    capacities = np.nextafter(np.asarray(budgets, wide), np.asarray(np.inf, wide))
    arguments = [ops.convert_to_tensor(a) for a in (margins, negative, capacities)]
    return numbers(function(*arguments, p=p))


def whole_least(
    margins: np.ndarray, negative: np.ndarray, p: int, function: Callable
) -> list[np.ndarray]:
    """Least costs, `(batch,)`, for all thresholds."""
    arguments = [ops.convert_to_tensor(a) for a in (margins, negative)]
    thresholds = [tuple(ops.convert_to_tensor(n, "int32") for n in pair) for pair in THRESHOLDS]
    return [numbers(function(*arguments, threshold, p=p)) for threshold in thresholds]


def assert_sound(
    exact: Frontier, budgets: Any, worst: np.ndarray, least: Any, *, is_exact: bool
) -> None:
    """Never above the optimum over whole pixels; if `is_exact`, at it but for rounding."""
    for budget, value in zip(budgets, worst, strict=True):
        found = Fraction(float(value))
        assert found <= exact.worst(Fraction(budget)), "certified too much"
        # Values are multiples of 2^-24, and budgets look larger by what sums are rounded by.
        loose = exact.worst(Fraction(budget) * (1 + 2 * SLACK) + Fraction(1, 2**80))
        assert not is_exact or found > loose - Fraction(1, 2**23), "certified too little"
    for threshold, value in zip(THRESHOLDS, least, strict=True):
        found, cheapest = Fraction(float(value)), exact.cheapest(Fraction(*threshold))
        assert found <= cheapest, "certified too much"
        assert not is_exact or found >= cheapest * (1 - 2 * SLACK), "certified too little"


def check(
    margins: np.ndarray,
    negative: np.ndarray,
    p: int,
    *,
    is_exact: bool,
    budgets: Any = BUDGETS,
    function: Callable = compiled_whole,
) -> None:
    worst = whole_worst(margins[None], negative[None], budgets, p, function)[0]
    least = [costs[0] for costs in whole_least(margins[None], negative[None], p, function)]
    exact = frontier(margins, negative, p)
    assert_sound(exact, budgets, worst, least, is_exact=is_exact)


def narrowed(patch: pytest.MonkeyPatch) -> None:
    """Has four numbers tried, so that most lie outside."""
    patch.setattr(class_iou_window, "_NARROWEST", 4)
    patch.setattr(class_iou_window, "_WIDEST", 4)


@pytest.fixture(scope="module")
def in_narrow_windows() -> Callable:
    """The functions with few numbers tried; others that are compiled later are left alone."""
    function = compiled_anew(of_items, ("p",))

    def call(*arguments: Any, **static: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            narrowed(patch)
            return function(*arguments, **static)

    return call


@pytest.mark.xla
@pytest.mark.parametrize("positives", [1, 8, 24, 23])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("p", [1, 2])
def test_exact_on_adversarial_margins(p: int, name: str, positives: int) -> None:
    generator = np.random.default_rng(3)
    margins = CASES[name](generator).astype("float32")
    negative = generator.permutation(np.arange(SIZE) >= positives).astype("int32")
    check(margins, negative, p, is_exact=True)


@pytest.mark.one_backend
@pytest.mark.parametrize("positives", [1, 8, 23, 24])
@pytest.mark.parametrize("name", CASES)
def test_sound_where_few_numbers_are_tried(
    name: str, positives: int, in_narrow_windows: Callable
) -> None:
    generator = np.random.default_rng(4)
    margins = CASES[name](generator).astype("float32")
    negative = generator.permutation(np.arange(SIZE) >= positives).astype("int32")
    check(margins, negative, 2, is_exact=False, function=in_narrow_windows)


MARGINS = st.lists(
    st.floats(2**-20, 2**10, width=32) | st.sampled_from([0.0, 0.5, 1.0, 1.5]),
    min_size=SIZE,
    max_size=SIZE,
)
NEGATIVE = st.lists(st.booleans(), min_size=SIZE, max_size=SIZE)


@pytest.mark.slow
@pytest.mark.one_backend
@settings(deadline=None, max_examples=10)
@given(margins=MARGINS, negative=NEGATIVE, p=st.sampled_from([1, 2]), sums=st.integers(0, 10**6))
def test_on_random_margins(
    margins: list[float], negative: list[bool], p: int, sums: int, in_narrow_windows: Callable
) -> None:
    kinds, values = np.array(negative, "int32"), np.array(margins, "float32")
    kinds[0] = 0
    exact = frontier(values, kinds, p)
    # Budgets that whole pixels use up, give or take the last bit.
    paid = exact.lost[sums % len(exact.lost)] + exact.added[sums % len(exact.added)]
    budgets = [float(np.asarray(float(paid), accumulation_dtype())), *BUDGETS[1:]]
    for function, is_exact in ((compiled_whole, True), (in_narrow_windows, False)):
        check(values, kinds, p, is_exact=is_exact, budgets=budgets, function=function)


def by_sorting(margins: np.ndarray, negative: np.ndarray, budgets: Any) -> np.ndarray:
    """Exact in all but the last bits of float64, p = 2."""
    lost, added = (
        np.concatenate([[0], np.cumsum(np.sort(margins[negative == kind].astype("f8")) ** 2)])
        for kind in (0, 1)
    )
    positives, values = len(lost) - 1, []
    for budget in budgets:
        i = np.flatnonzero(lost <= budget)
        j = np.searchsorted(added, budget - lost[i], side="right") - 1
        values.append(((positives - i) / (positives + j)).min())
    return np.array(values)


# Name to margins: noise, few different ones, one that half of the pixels share, and equal ones.
LARGE = {
    "noise": lambda g: np.abs(g.normal(size=2**16)),
    "quantised": lambda g: np.round(np.abs(g.normal(size=2**16)) * 64) / 64,
    "half alike": lambda g: np.where(g.random(2**16) < 0.5, 0.7371, np.abs(g.normal(size=2**16))),
    "progression": lambda g: np.arange(1, 2**16 + 1) / 2**16,
    "nearly one": lambda g: 1 + 1e-3 * g.random(2**16),
}


@pytest.mark.slow
@pytest.mark.one_backend
@pytest.mark.parametrize("name", LARGE)
def test_equal_to_sorting_on_many_pixels(name: str) -> None:
    generator = np.random.default_rng(1)
    margins = np.stack([LARGE[name](generator) for _ in range(2)]).astype("float32")
    negative = (generator.random(margins.shape) < [[0.9], [0.5]]).astype("int32")
    budgets = [10.0, 100.0, 1000.0, 10000.0]
    worst = whole_worst(margins, negative, budgets, 2, compiled_whole)
    for values, *image in zip(worst, margins, negative, strict=True):
        missing = by_sorting(*image, budgets) - values
        positives = (image[1] == 0).sum()
        # In float32 the sums of so many pixels are off by what eight of them make up.
        assert (missing >= -1e-15).all() if IN_FLOAT64 else (missing >= 0).all()
        assert (missing < (2.0**-23 if IN_FLOAT64 else 8 / positives)).all()


@pytest.mark.slow
@pytest.mark.one_backend
@pytest.mark.parametrize("p", [1, 2])
def test_equal_to_the_frontier_of_any_metric(p: int) -> None:
    generator = np.random.default_rng(5)
    logits = generator.normal(size=(1, 256, 256, 4)).astype("float32")
    labels = np.where(generator.random((1, 256, 256)) < 0.7, logits.argmax(-1), 2).astype("int32")
    options = {"class_id": 2, "p": p}
    eps = [0.0, 0.3, 3.0, 17.0, 60.0, 300.0]
    values = numbers(worst_case_class_iou(logits, labels, eps=eps, **options))
    exact = numbers(worst_case_confusion_metric(iou, logits, labels, eps=eps, **options))
    assert (values == exact).all() and len(np.unique(values)) > 3
    for threshold in (0.2, 0.4):
        radius = class_iou_radius(logits, labels, threshold=threshold, **options)
        other = confusion_metric_radius(iou, logits, labels, threshold=threshold, **options)
        assert float(radius[0]) == float(other[0]) > 0


def _no_outside(*arguments: Any) -> Any:
    return arguments[5]


def _one_pixel_too_few(self: Any, left: Any) -> Any:
    return ops.maximum(_most(self, left) - 1, 0)


_most = leading_sums.LeadingSums.most


@pytest.mark.parametrize("fault", ["outside not looked at", "a pixel too few"])
def test_a_broken_bound_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    narrowed(monkeypatch)
    if fault == "outside not looked at":
        monkeypatch.setattr(class_iou_whole, "with_edges", _no_outside)
    else:
        monkeypatch.setattr(leading_sums.LeadingSums, "most", _one_pixel_too_few)
    broken = compiled_anew(of_items, ("p",))
    # The lost pixels cost 2 each and the added 3: what fits best may be far from the level.
    negative = (np.arange(SIZE) >= SIZE // 2).astype("int32")
    margins = np.where(negative, np.sqrt(3), np.sqrt(2)).astype("float32")
    with pytest.raises(AssertionError, match="too much"):
        check(margins, negative, 2, is_exact=False, function=broken)
