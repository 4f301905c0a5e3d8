from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from deel_seg._backend import accumulation_dtype, compiled
from deel_seg.certificates import becoming, class_fold, level_cost
from deel_seg.certificates.becoming import becoming_margins
from tests.certificates.anew import compiled_anew
from tests.certificates.cases import CASES
from tests.certificates.exact import LARGEST, SMALLEST, numbers

pytestmark = pytest.mark.xla

# Relative to a cost: sums of as many float32 squares as there are classes.
SLACK = Fraction(1, 2**15)

margins_of = compiled(becoming_margins, static_argnames=("num_classes", "p"))


def get(
    logits: Any, k: int, p: float = 2, tolerance: float = 0.0, function: Any = margins_of
) -> Any:
    scalars = (
        ops.convert_to_tensor(k, "int32"),
        ops.convert_to_tensor(np.asarray(tolerance, accumulation_dtype())),
    )
    tensor = ops.convert_to_tensor(logits)
    return numbers(function(tensor, *scalars, num_classes=logits.shape[-1], p=p))


def exact_cost(pixel: Any, k: int, p: float, tolerance: float = 0.0) -> Fraction:
    """Cost of becoming class k, as half a square of a margin (p = 2) or the margin itself."""
    logits = [Fraction(float(z)) for z in pixel]
    if len(logits) == 1:
        away = -logits[0] if k == 1 else logits[0]
        gap = max(away - Fraction(tolerance), Fraction(0))
        return gap**2 / 2 if p == 2 else gap
    gaps = [z - logits[k] - 2 * Fraction(tolerance) for j, z in enumerate(logits) if j != k]
    above = sorted((gap for gap in gaps if gap > 0), reverse=True)
    if not above:
        return Fraction(0)
    if p != 2:
        return above[0]
    level = max(total / (m + 1) for m, total in enumerate(itertools.accumulate(above), start=1))
    return level**2 + sum((gap - level) ** 2 for gap in above if gap > level)


def assert_sound(logits: np.ndarray, k: int, p: float = 2, **options: Any) -> None:
    got = get(logits, k, p, **options)
    tolerance = options.get("tolerance", 0.0)
    for place in np.ndindex(*logits.shape[:-1]):
        exact = exact_cost(logits[place], k, p, tolerance)
        margin = Fraction(float(got[place]))
        cost = margin**2 / 2 if p == 2 else margin
        assert cost <= exact, "cost too much"
        power = 2 if p == 2 else 1
        usable = min(exact, (LARGEST / 2) ** power) if exact > SMALLEST**power else Fraction(0)
        assert cost >= usable * (1 - SLACK), "cost far too little"
        simple = max(float(max(logits[place])) - float(logits[place][k % logits.shape[-1]]), 0.0)
        if logits.shape[-1] > 1 and not tolerance and 1e-6 < simple < 1e6:
            assert margin >= Fraction(simple) * (1 - SLACK), "below the simple bound"


@pytest.mark.parametrize("p", [1, 2, float("inf")])
@pytest.mark.parametrize("name", CASES)
def test_sound_and_tight(name: str, p: float) -> None:
    logits = CASES[name]
    for k in (0, max(logits.shape[-1], 2) - 1):
        assert_sound(logits, k, p)


@settings(deadline=None, max_examples=30)
@given(
    logits=hnp.arrays(np.float32, (1, 4, 4, 6), elements=st.floats(-4, 4, width=32)),
    k=st.integers(0, 5),
)
def test_sound_and_tight_on_random_logits(logits: np.ndarray, k: int) -> None:
    assert_sound(logits, k)


@pytest.mark.slow
@pytest.mark.parametrize(("classes", "written_out"), [(40, 256), (150, 32)])
def test_many_classes_above_the_level(
    classes: int, written_out: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_fold, "_UNROLLED", written_out)
    function = compiled_anew(becoming_margins, ("num_classes", "p"))
    generator = np.random.default_rng(classes)
    for logits in (
        generator.normal(size=(1, 2, 2, classes)),
        np.broadcast_to(np.arange(classes) > 0, (1, 2, 2, classes)),  # all stand above, equal
        np.broadcast_to(np.linspace(0, 1, classes) ** 0.25, (1, 2, 2, classes)),
    ):
        assert_sound(np.asarray(logits, "float32"), 0, function=function)


def test_the_tolerance_covers_every_perturbation() -> None:
    logits = CASES["random"]
    held = get(logits, 1, tolerance=0.125)
    generator = np.random.default_rng(0)
    for _ in range(10):
        moved = (logits + generator.uniform(-0.12, 0.12, logits.shape)).astype("float32")
        for place in np.ndindex(*logits.shape[:-1]):
            assert Fraction(float(held[place])) ** 2 / 2 <= exact_cost(moved[place], 1, 2)
    assert_sound(logits, 1, tolerance=0.125)


def test_leaving_pixels_have_the_margin_of_the_class() -> None:
    logits = CASES["random"]
    leaving = np.random.default_rng(1).random(logits.shape[:-1]) < 0.5
    scalars = (
        ops.convert_to_tensor(1, "int32"),
        ops.convert_to_tensor(np.zeros((), accumulation_dtype())),
    )
    got = numbers(
        becoming_margins(
            ops.convert_to_tensor(logits), *scalars, 3, 2, leaving=ops.convert_to_tensor(leaving)
        )
    )
    others = get(logits, 1)
    assert (got[~leaving] == others[~leaving]).all()
    gaps = logits[..., 1] - np.maximum(logits[..., 0], logits[..., 2])
    exact = np.maximum(gaps, 0)[leaving]
    assert (got[leaving] <= exact).all() and (got[leaving] >= exact * (1 - 1e-6)).all()


def test_what_is_not_finite_is_nan() -> None:
    logits = CASES["random"].copy()
    logits[0, 0, 0, 2], logits[0, 1, 1, 0] = np.nan, -np.inf
    for p in (1, 2):
        nan = np.isnan(get(logits, 1, p))
        assert nan[0, 0, 0] and nan[0, 1, 1] and nan.sum() == 2


def test_the_search_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    # Newton's steps replaced by steps anywhere: looser, and never too much.
    monkeypatch.setattr(becoming._Pass, "_newton", lambda self, levels: levels * 0.7 + 0.1)
    function = compiled_anew(becoming_margins, ("num_classes", "p"))
    for name in ("random", "ties", "nineteen classes"):
        got = get(CASES[name], 0, function=function)
        for place in np.ndindex(*got.shape):
            assert Fraction(float(got[place])) ** 2 / 2 <= exact_cost(CASES[name][place], 0, 2)


def uncorrected(level: Any, largest: Any, additions: Any, excess: Any, squares: Any) -> Any:
    return level_cost.margins_at_level(level, largest, additions, level, squares)


@pytest.mark.parametrize("fault", ["no correction", "all classes at once"])
def test_a_broken_cost_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if fault == "no correction":
        # The cost at a level that is not the best one, as if it were.
        monkeypatch.setattr(becoming._Pass, "_newton", lambda self, levels: levels * 0.5)
        monkeypatch.setattr(becoming, "margins_at_level", uncorrected)
    else:
        # Every class above has to be passed on its own, as if costs added up.
        monkeypatch.setattr(becoming._Pass, "_newton", lambda self, levels: levels * 0.0)
        monkeypatch.setattr(level_cost, "_LOST", 2.0)
        monkeypatch.setattr(
            becoming._Pass,
            "_filled",
            lambda self, levels: ops.sqrt(2.0 * self._above(levels)[3]),
        )
    broken = compiled_anew(becoming_margins, ("num_classes", "p"))
    with pytest.raises(AssertionError, match="cost too much"):
        assert_sound(CASES["random"], 1, function=broken)
