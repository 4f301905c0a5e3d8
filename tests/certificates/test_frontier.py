"""The frontier of given margins against exact sums over whole pixels."""

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
from deel_seg.certificates import frontier as frontier_module
from deel_seg.certificates.class_items import ClassItems
from deel_seg.certificates.frontier import Frontier, frontier
from tests.certificates.exact import SLACK, numbers

CAPACITIES = (0.0, 0.25, 1.0, 2.0, 3.5, 8.0, 20.0, 1e5, math.inf)
# Objectives of the form `weight * lost + gained >= goal`.
OBJECTIVES = ((0, 0), (1, 1), (1, 4), (3, 7), (1, 1000), (1000, 1))


def edge_of(margins: Any, negative: Any, p: float) -> Frontier:
    positives = ops.sum(ops.cast((negative < 1) & (margins >= 0), "int32"), axis=1)
    kept = ops.sum(ops.cast(margins >= 0, "int32"), axis=1)
    valid = ops.ones_like(kept, dtype="bool")
    return frontier(ClassItems(margins, negative, positives, kept, valid), p)


def both(margins: Any, negative: Any, capacities: Any, objectives: Any, *, p: float) -> Any:
    edge = edge_of(margins, negative, p)

    def least(objective: Any) -> Any:
        weight, goal = objective[0], objective[1]
        return edge.least_total(lambda counts: counts.fn * weight + counts.fp >= goal)

    farthest = ops.map(lambda capacity: ops.stack(edge.farthest(capacity)[1:3]), capacities)
    return farthest, ops.map(least, objectives)


compiled_both = compiled(both, static_argnames=("p",))


def assert_sound(margins: np.ndarray, negative: np.ndarray, p: float) -> None:
    """Pairs and totals of one image; a negative margin stands for a pixel that does not count."""
    arguments = (
        margins[None].astype("float32"),
        negative[None].astype("int32"),
        np.asarray(CAPACITIES, accumulation_dtype()),
        np.asarray(OBJECTIVES, "int32"),
    )
    pairs, least = compiled_both(*(ops.convert_to_tensor(a) for a in arguments), p=p)
    pairs, least = numbers(pairs)[:, :, 0], numbers(least)[:, 0]
    lost, gained = exact_totals(margins, negative, p)
    for capacity, (j_of, i_of) in zip(CAPACITIES, pairs, strict=True):
        got: dict[int, int] = {}
        for i, j in zip(i_of.tolist(), j_of.tolist(), strict=True):
            got[i] = max(j, got.get(i, 0))  # What does not fit stands as no attack.
        for i, paid in enumerate(lost):
            fitting = [j for j, more in enumerate(gained) if fits(paid, more, capacity, p)]
            assert not fitting or got.get(i, -1) >= max(fitting), "an attack left out"
            nearly = [j for j, more in enumerate(gained) if fits(paid, more, capacity, p, SLACK)]
            assert got.get(i, 0) <= max(nearly, default=0), "an attack too far"
    for (weight, goal), total in zip(OBJECTIVES, least, strict=True):
        exact = min(
            (
                combined(paid, more, p)
                for i, paid in enumerate(lost)
                for j, more in enumerate(gained)
                if weight * i + j >= goal
            ),
            default=None,
        )
        if exact is None:
            assert total == math.inf
        else:
            assert Fraction(float(total)) <= exact, "an attack left out"
            assert Fraction(float(total)) * (1 + SLACK) >= exact, "an attack too far"


def exact_totals(
    margins: np.ndarray, negative: np.ndarray, p: float
) -> tuple[list[Fraction], list[Fraction]]:
    totals = []
    for kind in (0, 1):
        powers = [
            Fraction(float(np.float32(m))) ** (2 if p == 2 else 1)
            for m in sorted(margins[(negative == kind) & (margins >= 0)])
        ]
        sums = [Fraction(0)]
        for power in powers:
            sums.append(power if p == math.inf else sums[-1] + power)
        totals.append(sums)
    return totals[0], totals[1]


def combined(paid: Fraction, more: Fraction, p: float) -> Fraction:
    return max(paid, more) if p == math.inf else paid + more


def fits(
    paid: Fraction, more: Fraction, capacity: float, p: float, slack: Fraction = Fraction(0)
) -> bool:
    if capacity == math.inf:
        return True
    return combined(paid, more, p) <= Fraction(capacity) * (1 + slack)


def margins_like(kind: str, number: int = 40) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(len(kind))
    negative = generator.random(number) < 0.6
    margins = {
        "random": generator.random(number) * 2,
        "whole": generator.integers(0, 4, number),
        "zero": np.zeros(number),
        "equal": np.ones(number),
        "mixed scales": 2.0 ** generator.integers(-48, 48, number),
        "arithmetic": 0.1 * np.arange(number),
        "void": np.full(number, -1.0),
        "some void": np.where(generator.random(number) < 0.3, -1.0, generator.random(number)),
        "one positive": generator.random(number),
        "no positive": generator.random(number),
        "no negative": generator.random(number),
    }[kind]
    if kind == "one positive":
        negative = np.arange(number) > 0
    if kind.startswith("no "):
        negative = np.full(number, kind == "no positive")
    return margins, negative


KINDS = (
    "random",
    "whole",
    "zero",
    "equal",
    "mixed scales",
    "arithmetic",
    "void",
    "some void",
    "one positive",
    "no positive",
    "no negative",
)


@pytest.mark.parametrize("p", [1, 2, math.inf])
@pytest.mark.parametrize("kind", KINDS)
def test_no_attack_is_left_out(kind: str, p: float) -> None:
    assert_sound(*margins_like(kind), p)


@settings(deadline=None, max_examples=25)
@given(
    margins=st.lists(
        st.one_of(st.just(-1.0), st.just(0.0), st.floats(2.0**-20, 2.0**10, width=32)),
        min_size=40,
        max_size=40,
    ),
    negative=st.lists(st.booleans(), min_size=40, max_size=40),
    p=st.sampled_from([1, 2, math.inf]),
)
def test_no_attack_is_left_out_of_random_images(
    margins: list[float], negative: list[bool], p: float
) -> None:
    assert_sound(np.array(margins), np.array(negative), p)


@pytest.mark.parametrize("p", [1, 2])
def test_long_sums_are_bounded(p: float) -> None:
    # In float32 the running sums of such costs drift, past 2^24 times each they stand still.
    generator = np.random.default_rng(1)
    margins = (0.1 + 1e-3 * generator.random((1, 20000))).astype("float32")
    negative = np.zeros_like(margins, dtype="int32")
    edge = edge_of(ops.convert_to_tensor(margins), ops.convert_to_tensor(negative), p)
    totals = numbers(edge.lost)[0].tolist()
    exact = exact_totals(margins[0], negative[0], p)[0]
    assert len(totals) == len(exact)
    for total, bound in zip(totals[::37], exact[::37], strict=True):
        assert Fraction(total) <= bound <= Fraction(total) * (1 + SLACK)
    assert numbers(edge.gained)[0].tolist() == [0.0] + [math.inf] * 20000


@pytest.mark.parametrize("broken", ["nothing", "naive sums", "strictly", "one short"])
def test_the_check_catches_a_broken_frontier(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    leading, total = frontier_module.leading, Frontier._total
    if broken == "naive sums":  # In eight bits, rounded up as often as down.
        monkeypatch.setattr(frontier_module, "_increasing_sums", in_eight_bits)
    if broken == "strictly":  # An attack that uses up its budget is left out.
        monkeypatch.setattr(Frontier, "_total", lambda *a: total(*a) * (1 + 2.0**-10) + 1e-30)
    if broken == "one short":
        monkeypatch.setattr(frontier_module, "leading", lambda *a: ops.maximum(leading(*a) - 1, 0))
    anew = compiled(lambda *a, p: both(*a, p=p), static_argnames=("p",))
    monkeypatch.setitem(globals(), "compiled_both", anew)
    if broken == "nothing":
        assert_sound(*margins_like("whole"), 1)
    else:
        with pytest.raises(AssertionError, match="left out"):
            assert_sound(*margins_like("whole"), 1)


def in_eight_bits(powers: Any) -> Any:
    return ops.cast(ops.cast(ops.cumsum(powers + 0.01, axis=-1), "bfloat16"), powers.dtype)
