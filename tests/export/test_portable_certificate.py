from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from deel_seg.certificates import pixel_radius, stability_radius, worst_case_stability
from deel_seg.certificates.pixels import predicted_class
from deel_seg.export import portable as module
from deel_seg.export.portable import portable_certificate
from tests.certificates import exact
from tests.certificates.cases import CASES
from tests.certificates.exact import numbers
from tests.export.claims import (
    EPS,
    FLATTENED,
    SHARE_SLACK,
    SLACK,
    assert_tight,
    claims_too_much,
)


def certified(logits: np.ndarray, **options: Any) -> dict[str, np.ndarray]:
    given = {"lipschitz_constant": 1.0, "logit_tolerance": 0.0, "eps": EPS, **options}
    return {name: numbers(value) for name, value in portable_certificate(logits, **given).items()}


@pytest.mark.parametrize("name", CASES)
def test_sound_and_tight_on_adversarial_logits(name: str) -> None:
    logits = CASES[name]
    for fraction in (0.01, 0.333, 1):
        bounds = certified(logits, fraction=fraction)
        assert not claims_too_much(logits, bounds, fraction=fraction)
        if name not in FLATTENED:
            assert_tight(logits, bounds, fraction)


@pytest.mark.one_backend
@pytest.mark.parametrize("name", ["ties", "binary", "nineteen classes"])
def test_never_above_the_library(name: str) -> None:
    logits = CASES[name]
    bounds = certified(logits, lipschitz_constant=0.7)
    # Both lie a little below the exact value, so that one may be above the other by as little.
    above = 1 + float(SLACK)
    single = numbers(pixel_radius(logits, lipschitz_constant=0.7))
    half = numbers(stability_radius(logits, lipschitz_constant=0.7))
    share = numbers(worst_case_stability(logits, lipschitz_constant=0.7, eps=EPS))
    assert (bounds["radius"] <= single * above).all()
    assert (bounds["stability_radius"] <= half * above).all()
    assert (bounds["crs"] <= share * above).all()
    top = numbers(predicted_class(ops.convert_to_tensor(logits), logits.shape[-1]))
    assert bounds["labels"].dtype == np.int32
    assert (bounds["labels"] == top)[bounds["radius"] > 0].all()


logit = st.one_of(
    st.integers(-3, 3).map(float),
    st.floats(-8, 8, width=32),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
)


@settings(max_examples=60, deadline=None)
@given(
    logits=st.sampled_from([(1, 2, 3, 2), (2, 3, 1, 1), (1, 3, 3, 19)]).flatmap(
        lambda shape: hnp.arrays("float32", shape, elements=logit)
    ),
    constant=st.floats(1e-3, 1e3),
    tolerance=st.one_of(st.just(0.0), st.floats(0, 1)),
    fraction=st.sampled_from([0.1, 0.5, 0.75, 1.0, Fraction(1, 3)]),
    number=st.integers(1, 3),
)
def test_sound_at_budgets_beside_running_totals(
    logits: np.ndarray, constant: float, tolerance: float, fraction: Any, number: int
) -> None:
    costs = sorted(exact.image(logits[0], tolerance=tolerance).costs)
    root = min(math.sqrt(min(sum(costs[:number]), Fraction(10) ** 60)), 1e30) / constant
    options: dict[str, Any] = {
        "lipschitz_constant": constant,
        "logit_tolerance": tolerance,
        "eps": sorted({np.nextafter(root, 0), root, np.nextafter(root, 2 * root), 1.0}),
        "fraction": fraction,
    }
    assert not claims_too_much(logits, certified(logits, **options), **options)


def in_one_row(margins: Sequence[float]) -> np.ndarray:
    """Logits `(1, 1, n, 1)` of a binary model with these margins."""
    return np.reshape(margins, (1, 1, -1, 1)).astype("float32")


def test_a_budget_on_a_running_total_pays_for_it() -> None:
    bounds = certified(in_one_row([12, 3, 4, 84]), eps=[2.999, 3.0, 5.0, 13.0, 85.0])
    assert bounds["crs"].round(5).tolist() == [[1.0, 0.75, 0.5, 0.25, 0.0]]


def test_half_of_an_odd_number_of_pixels_is_rounded_up() -> None:
    logits = in_one_row([1, 2, 3, 4, 5])
    for fraction, total in ((0.5, 14), (0.6, 14), (0.600001, 30), (Fraction(1, 5), 1), (1, 55)):
        radius = float(certified(logits, fraction=fraction)["stability_radius"][0])
        assert Fraction(radius) ** 2 <= total <= (Fraction(radius) * (1 + SLACK)) ** 2


def test_tied_pixels_are_lost_for_nothing() -> None:
    logits = np.array([[[[1.0, 1.0], [2.0, 0.0], [0.0, -0.0], [0.0, 3.0]]]], "float32")
    bounds = certified(logits, eps=[0.0])
    assert bounds["radius"][0, 0, [0, 2]].tolist() == [0, 0]
    assert bounds["labels"][0, 0, [0, 1, 3]].tolist() == [0, 0, 1]
    assert 0.499999 < bounds["crs"][0, 0] <= 0.5 and bounds["stability_radius"] == 0


@pytest.mark.parametrize("classes", [1, 2, 19])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_nothing_is_certified_where_a_logit_is_not_finite(classes: int, bad: float) -> None:
    logits = np.random.default_rng(0).normal(size=(2, 3, 2, classes)).astype("float32")
    clean = certified(logits)
    logits[0, 1, 1, classes - 1] = bad
    bounds = certified(logits)
    for name in ("radius", "stability_radius", "crs"):
        assert np.isnan(bounds[name][0]).all()
        assert (bounds[name][1] == clean[name][1]).all()


@pytest.mark.parametrize("constant", [1e-44, 1e-38, 1e-30, 1e30, 1e38, 1e300])
def test_extreme_constants_stay_sound(constant: float) -> None:
    for logits in (CASES["random"], CASES["huge"], CASES["binary"]):
        bounds = certified(logits, lipschitz_constant=constant)
        assert np.isfinite(bounds["radius"]).all()
        assert not claims_too_much(logits, bounds, lipschitz_constant=constant)


@pytest.mark.parametrize("tolerance", [1e-300, 1e-6, 0.25, 1e38, 1e300])
def test_a_tolerance_shrinks_every_margin(tolerance: float) -> None:
    for name in ("random", "binary", "huge", "one class"):
        bounds = certified(CASES[name], logit_tolerance=tolerance)
        assert not claims_too_much(CASES[name], bounds, logit_tolerance=tolerance)
    # The margin is 2, of which a tolerance of 1/4 leaves 3/2: with 4/3 of the relative error.
    left = float(certified(CASES["one class"], logit_tolerance=0.25)["radius"][0, 0, 0])
    assert 1.5 * (1 - 2e-6) < left * math.sqrt(2) < 1.5 * (1 + 1e-12)


def test_a_large_image_is_as_tight_as_documented() -> None:
    margins = np.random.default_rng(0).exponential(size=(1, 1024, 1024, 1)).astype("float32")
    bounds = certified(margins, eps=[100.0, 700.0])
    # Squares of float32 numbers are exact in float64, and `fsum` rounds but once.
    squares = np.sort(np.float64(margins).ravel()) ** 2
    radius, exact_radius = (
        float(bounds["stability_radius"][0]),
        math.sqrt(math.fsum(squares[: 2**19])),
    )
    assert exact_radius * (1 - float(SLACK)) < radius < exact_radius
    for eps, share in zip([100.0, 700.0], bounds["crs"][0].tolist(), strict=True):
        lost, lost_more = (
            np.searchsorted(np.cumsum(squares), (eps * grow) ** 2, side="right")
            for grow in (1, 1 + float(SLACK))
        )
        kept, kept_less = 1 - lost / 2**20, 1 - lost_more / 2**20
        assert kept_less * (1 - float(SHARE_SLACK)) <= share <= kept < 1


def many(seed: int) -> np.ndarray:
    """Logits of 144 pixels whose differences, squares and sums all have to be rounded."""
    return np.random.default_rng(seed).normal(size=(1, 12, 12, 2)).astype("float32")


def beside_totals(logits: np.ndarray, constant: float) -> dict[str, Any]:
    """Budgets that only just pay for so many pixels."""
    costs = sorted(exact.image(logits[0]).costs)
    roots = [math.sqrt(sum(costs[:number])) / constant for number in range(20, 140, 20)]
    return {"eps": [np.nextafter(root, 2 * root) for root in roots], "lipschitz_constant": constant}


def unchanged(value: Fraction, _: int) -> Fraction:
    return value


@pytest.mark.parametrize(
    ("broken", "caught"),
    [
        ({"shrunk": unchanged}, {"radius"}),
        ({"shrunk": unchanged, "grown": unchanged}, {"radius", "stability_radius", "crs"}),
        ({"floor_product": lambda n, a, b: n * a // b - 1}, {"stability_radius"}),
        ({"running_sums": lambda x: ops.cumsum(x, axis=-1) * 1.0001}, {"stability_radius", "crs"}),
    ],
)
def test_a_broken_bound_is_caught(
    monkeypatch: pytest.MonkeyPatch, broken: dict[str, Any], caught: set[str]
) -> None:
    cases = [(many(seed), beside_totals(many(seed), 0.7 + seed / 10)) for seed in range(6)]

    def wrong() -> set[str]:
        found = [claims_too_much(x, certified(x, **given), **given) for x, given in cases]
        return set().union(*found)

    assert not wrong()
    for name, replacement in broken.items():
        monkeypatch.setattr(module, name, replacement)
    assert caught <= wrong()


@pytest.mark.parametrize("narrow", ["float16", "bfloat16"])
def test_narrow_logits_are_read_exactly(narrow: str) -> None:
    logits = ops.cast(CASES["random"], narrow)
    wide = certified(numbers(ops.cast(logits, "float32")))
    for name, value in certified(logits).items():
        assert (value == wide[name]).all()


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("lipschitz_constant", 0.0),
        ("lipschitz_constant", math.nan),
        ("logit_tolerance", -1e-3),
        ("eps", []),
        ("eps", [-1.0]),
        ("fraction", 0),
        ("fraction", 1 / 3),
    ],
)
def test_arguments_are_checked(argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"`{argument}`.*Received: "):
        certified(CASES["random"], **{argument: value})


@pytest.mark.parametrize(
    "logits",
    [
        np.zeros((1, 2, 2), "float32"),
        np.zeros((1, 2, 2, 0), "float32"),
        np.zeros((1, 2, 2, 3), "int32"),
    ],
)
def test_logits_are_checked(logits: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"`logits`.*Received: "):
        certified(logits)
