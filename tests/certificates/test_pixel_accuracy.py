from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deel_seg.certificates import pixel_accuracy_radius, worst_case_pixel_accuracy
from tests.certificates import exact
from tests.certificates.cases import CASES, in_a_corner, labels_for
from tests.certificates.exact import numbers

# Everywhere ten budgets and the same void label, so that few programs are compiled.
EPS = [0.0, 1e-38, 1e-3, 0.1, 0.5, 1.0, 1.7, 3.0, 8.0, 1e30]
VOID: dict[str, Any] = {"ignore_class": 255}


def assert_sound(logits: np.ndarray, labels: np.ndarray, **options: Any) -> None:
    """Both questions, for one image of each batch entry, against exact arithmetic."""
    options = {**VOID, **options}
    constant = options.get("lipschitz_constant", 1.0)
    worst = numbers(worst_case_pixel_accuracy(logits, labels, eps=EPS, **options))
    radii = {
        threshold: numbers(pixel_accuracy_radius(logits, labels, threshold=threshold, **options))
        for threshold in (0, 0.3, 0.5, 0.7, 0.95, 1)
    }
    for entry in range(len(logits)):
        image = exact.image(logits[entry], labels[entry], **options)
        if not image.costs:
            assert np.isnan(worst[entry]).all()
            continue
        for eps, value in zip(EPS, worst[entry], strict=True):
            exact.assert_share_sound(value, image, eps=eps, constant=constant)
        for threshold, radius in radii.items():
            share = Fraction(str(threshold))
            total = exact.cost_of_share(image, share)
            usable = exact.cost_of_share(image.usable(), share)
            if usable == total:
                exact.assert_radius_sound(radius[entry], image, total, constant)
            else:
                reached = Fraction(float(radius[entry])) * Fraction(constant)
                assert not exact.strictly_affordable(total, image.p, reached)


@pytest.mark.parametrize(
    ("name", "p"),
    [(name, 2) for name in CASES]
    + [(name, p) for name in ("random", "huge", "subnormal", "binary") for p in (1, math.inf)],
)
def test_sound_on_adversarial_logits(name: str, p: float) -> None:
    labels = labels_for(CASES[name], ignore=255)
    assert_sound(CASES[name], labels, p=p)


@pytest.mark.parametrize("constant", [0.3, 1.0, 7.1])
def test_sound_for_other_constants(constant: float) -> None:
    logits = CASES["random"]
    assert_sound(logits, labels_for(logits), lipschitz_constant=constant)


@settings(deadline=None, max_examples=25)
@given(
    logits=hnp.arrays(
        np.float32, (1, 4, 4, 3), elements=st.floats(-4, 4, width=32, allow_subnormal=True)
    ),
    labels=hnp.arrays(np.int32, (1, 4, 4), elements=st.integers(0, 2)),
    p=st.sampled_from([1, 2, math.inf]),
)
def test_sound_on_random_images(logits: np.ndarray, labels: np.ndarray, p: float) -> None:
    assert_sound(logits, labels, p=p)


@pytest.mark.parametrize("p", [1, 2, math.inf])
def test_equals_all_subsets_on_a_grid_of_eighths(p: float) -> None:
    generator = np.random.default_rng(3)
    for _ in range(5):
        # Margins that float32 holds exactly; budgets off their sums, where any rounding fits.
        logits = (generator.integers(-8, 9, (1, 2, 4, 2)) / 8).astype("float32")
        labels = labels_for(logits)
        eps = [0.03, 0.11, 0.31, 0.52, 0.77, 1.02, 1.23, 1.51, 2.01, 3.3]
        image = exact.image(logits[0], labels[0], p=p)
        expected = [exact.share_left_brute_force(image, Fraction(e)) for e in eps]
        framed = in_a_corner(logits, labels)
        got = numbers(worst_case_pixel_accuracy(*framed, eps=eps, p=p, **VOID))[0]
        assert [Fraction(float(value)) for value in got] == expected


def test_budget_exactly_on_a_prefix_sum_is_spent() -> None:
    # Costs 2, 2, 4.5: margins 2, 2, 3. A budget of 2 is worth 4 and flips two pixels.
    logits = np.array([[[[2.0, 0.0], [0.0, 2.0], [3.0, 0.0], [9.0, 0.0]]]], "float32")
    framed = in_a_corner(logits, np.array([0, 1, 0, 0]))
    assert numbers(worst_case_pixel_accuracy(*framed, eps=2.0, **VOID)).tolist() == [0.5]


def test_ties_and_wrong_pixels_are_lost_for_nothing() -> None:
    logits = np.array([[[[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]]], "float32")
    framed = in_a_corner(logits, np.array([0, 0, 0, 1]))
    assert numbers(worst_case_pixel_accuracy(*framed, eps=0.0, **VOID)).tolist() == [0.5]
    assert numbers(pixel_accuracy_radius(*framed, threshold=0.5, **VOID)).tolist() == [0.0]


def test_the_count_is_exact_where_floats_ask_for_one_pixel_more() -> None:
    assert math.ceil((1 - 0.7) * 10) == 4  # what this guards against
    margins = np.arange(1, 11, dtype="float32").reshape(1, 1, 10)
    logits, labels = np.stack([margins, 0 * margins], -1), np.zeros((1, 1, 10), "int32")
    image = exact.image(logits[0], labels[0])
    radius = numbers(pixel_accuracy_radius(*in_a_corner(logits, labels), threshold=0.7, **VOID))[0]
    exact.assert_radius_sound(radius, image, Fraction(1 + 4 + 9, 2))
    with pytest.raises(AssertionError, match="too much"):
        exact.assert_radius_sound(math.sqrt((1 + 4 + 9 + 16) / 2), image, Fraction(1 + 4 + 9, 2))


def test_all_wrong_and_all_void() -> None:
    logits = np.tile(np.array([1.0, 0.0], "float32"), (2, 2, 2, 1))
    labels = np.stack([np.ones((2, 2), "int32"), np.full((2, 2), 255)])
    worst = numbers(worst_case_pixel_accuracy(logits, labels, eps=0.1, **VOID))
    radii = numbers(pixel_accuracy_radius(logits, labels, threshold=0.5, **VOID))
    assert worst[0] == 0 and radii[0] == 0
    assert np.isnan(worst[1]) and np.isnan(radii[1])


def test_already_satisfied_thresholds_have_radius_zero() -> None:
    logits, labels = CASES["random"], labels_for(CASES["random"])
    radii = pixel_accuracy_radius(logits, labels, threshold=1.0, **VOID)
    assert numbers(radii).tolist() == [0.0]


@pytest.mark.parametrize(
    ("name", "p"),
    [("random", 1), ("random", 2), ("random", math.inf), ("binary", 2), ("cancelling", 2)],
)
def test_below_the_radius_the_worst_case_stays_above_the_threshold(name: str, p: float) -> None:
    logits, labels = CASES[name], labels_for(CASES[name])
    for threshold in (0.0, 0.25, 0.4):
        radius = float(pixel_accuracy_radius(logits, labels, threshold=threshold, p=p, **VOID)[0])
        assert radius > 0
        below = [0.0, *(radius * share for share in (0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1 - 1e-7, 1))]
        eps = [*below, radius * (1 + 2 * float(exact.SLACK))]
        values = numbers(worst_case_pixel_accuracy(logits, labels, eps=eps, p=p, **VOID))[0]
        assert (values[:-1] > threshold).all()
        assert values[-1] <= threshold


def test_invariants() -> None:
    logits, labels = CASES["random"], labels_for(CASES["random"])

    def worst(logits: np.ndarray, labels: np.ndarray, **options: Any) -> np.ndarray:
        options = {**VOID, **options}
        return np.concatenate(
            [
                numbers(worst_case_pixel_accuracy(logits, labels, eps=ten, **options))[0]
                for ten in np.linspace(0, 4, 40).reshape(4, 10)
            ]
        )

    values = worst(logits, labels)
    assert (np.diff(values) <= 0).all() and values[0] > values[-1]
    clean = (logits.argmax(-1) == labels).mean()
    assert values[0] <= clean < values[0] + 2**-23
    larger = worst(logits, labels, lipschitz_constant=1.5)
    assert (larger <= values).all() and (larger < values).any()
    assert (worst(2 * logits, labels, lipschitz_constant=2.0) == values).all()
    permuted = np.random.default_rng(0).permutation(16)
    moved = logits.reshape(1, 16, 3)[:, permuted].reshape(logits.shape)
    moved_labels = labels.reshape(1, 16)[:, permuted].reshape(labels.shape)
    assert (worst(moved, moved_labels) == values).all()


def test_one_budget_equals_its_entry_of_a_sequence() -> None:
    logits, labels = CASES["random"], labels_for(CASES["random"])
    many = numbers(worst_case_pixel_accuracy(logits, labels, eps=EPS, **VOID))
    single = [numbers(worst_case_pixel_accuracy(logits, labels, eps=eps, **VOID)) for eps in EPS]
    assert many.shape == (1, len(EPS)) and single[0].shape == (1,)
    assert (np.stack(single, 1) == many).all()


def test_mask_and_ignored_pixels_leave_the_same() -> None:
    logits, labels = CASES["random"], labels_for(CASES["random"])
    mask = np.random.default_rng(5).random(labels.shape) < 0.6
    void = np.where(mask, labels, 255)
    masked = worst_case_pixel_accuracy(logits, labels, eps=EPS, mask=mask)
    ignored = worst_case_pixel_accuracy(logits, void, eps=EPS, **VOID)
    assert (numbers(masked) == numbers(ignored)).all()
    assert_sound(logits, void)


def test_logit_tolerance_covers_every_perturbation_of_the_logits() -> None:
    generator = np.random.default_rng(11)
    for name in ("random", "binary"):
        logits, labels = CASES[name], labels_for(CASES[name])
        options = {"logit_tolerance": 0.125, **VOID}
        held = numbers(worst_case_pixel_accuracy(logits, labels, eps=EPS, **options))
        for _ in range(5):
            moved = (logits + generator.uniform(-0.12, 0.12, logits.shape)).astype("float32")
            image = exact.image(moved[0], labels[0])
            for eps, value in zip(EPS, held[0], strict=True):
                assert Fraction(float(value)) <= exact.share_left(image, Fraction(eps))
        image = exact.image(logits[0], labels[0], tolerance=0.125)
        for eps, value in zip(EPS, held[0], strict=True):
            exact.assert_share_sound(value, image, eps=eps)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_widened_exactly(dtype: str) -> None:
    from keras import ops

    half = ops.cast(CASES["random"], dtype)
    widened = numbers(ops.cast(half, "float32"))
    labels = labels_for(CASES["random"])
    got = numbers(worst_case_pixel_accuracy(half, labels, eps=EPS, **VOID))
    assert (got == numbers(worst_case_pixel_accuracy(widened, labels, eps=EPS, **VOID))).all()
    assert_sound(widened, labels)


def test_float64_arrays_are_certified_as_given() -> None:
    # Rounded to float32 these margins would grow a hundredfold.
    logits = np.array([[[[1.0 + 5.97e-8, 1.0 + 5.95e-8], [2.0, 0.0]]]])
    labels = np.array([[[0, 0]]])
    image = exact.image(logits[0], labels[0])
    for eps in (0.0, 1e-10, 1e-9, 1e-3):
        value = float(worst_case_pixel_accuracy(logits, labels, eps=eps)[0])
        assert Fraction(value) <= exact.share_left(image, Fraction(eps))


@pytest.mark.parametrize("broken", ["nothing", "factor missing", "naive sum", "no void"])
def test_the_check_catches_a_broken_bound(broken: str) -> None:
    logits = np.zeros((50, 50, 2), "float32")
    logits[..., 0] = 1.55  # costs of 1.2
    image = exact.image(logits, np.zeros((50, 50), int))
    costs = np.full(2500, 1.55**2 / 2)
    eps = math.sqrt(1.2 * 2400)
    kept = 2500
    if broken == "factor missing":
        costs = 2 * costs
    if broken == "no void":
        image, kept = exact.Image(image.costs[:2400], 2), 2500
    # Past 2048 a float16 sum rounds each 1.2 up to 2, as float32 does past 2^24.
    totals = np.cumsum(costs, dtype="float16" if broken == "naive sum" else "float64")
    lost = int(np.sum(totals[: len(image.costs)].astype("float64") <= eps**2))
    value = math.floor((kept - lost) / kept * 2**24) / 2**24
    if broken == "nothing":
        exact.assert_share_sound(value, image, eps=eps)
    else:
        with pytest.raises(AssertionError, match="too much"):
            exact.assert_share_sound(value, image, eps=eps)


def test_labels_are_required_and_checked() -> None:
    logits = CASES["random"]
    with pytest.raises(ValueError, match="`labels` must be given"):
        worst_case_pixel_accuracy(logits, None, eps=1.0)
    for threshold in (-0.1, 1.5, float("nan"), "half", True, None):
        with pytest.raises(ValueError, match="`threshold`"):
            pixel_accuracy_radius(logits, labels_for(logits), threshold=threshold)
