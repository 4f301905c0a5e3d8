from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deel_seg._backend import IS_TENSORFLOW
from deel_seg.certificates import region_radius, worst_case_region_stability
from tests.certificates import exact
from tests.certificates.cases import CASES
from tests.certificates.exact import numbers
from tests.certificates.region_search import searched_regions

EPS = [0.0, 1e-3, 0.1, 0.5, 1.0, 2.0, 8.0, 1e20]
BLOBS = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype("float32")


def assert_sound(logits: np.ndarray, *, min_pixels: int = 1, **options: Any) -> int:
    """Every region of every image against exact arithmetic; returns how many there were."""
    certified = worst_case_region_stability(logits, eps=EPS, min_pixels=min_pixels, **options)
    shares, regions = map(numbers, certified)
    assert shares.shape == (len(logits), len(EPS), *logits.shape[1:3])
    # Which regions there are is the same question as for their radii.
    assert (regions == numbers(region_radius(logits, min_pixels=min_pixels)[1])).all()
    p, found = options.get("p", 2), 0
    for image, z in enumerate(logits):
        costs = exact.image(z, p=p).costs
        assert (np.isnan(shares[image]) == (regions[image] == 0)).all()
        for number in range(1, regions[image].max() + 1):
            pixels = regions[image] == number
            region = exact.Image([costs[index] for index in np.flatnonzero(pixels)], p)
            found += 1
            for eps, values in zip(EPS, shares[image][:, pixels], strict=True):
                (value,) = set(values.tolist())
                exact.assert_share_sound(value, region, eps=eps)
    return found


@pytest.mark.parametrize(
    ("name", "p"),
    [(n, 2) for n in ("random", "ties", "huge", "cancelling", "subnormal", "binary")]
    + [("random", 1), ("random", math.inf)],
)
def test_sound_on_adversarial_logits(name: str, p: float) -> None:
    assert assert_sound(CASES[name], p=p) > 0


@settings(deadline=None, max_examples=15)
@given(
    logits=hnp.arrays(np.float32, (2, 4, 5, 3), elements=st.integers(-3, 3).map(float)),
    min_pixels=st.integers(1, 4),
)
def test_sound_on_random_images(logits: np.ndarray, min_pixels: int) -> None:
    assert_sound(logits, min_pixels=min_pixels)


def test_equals_all_subsets() -> None:
    logits = (np.random.default_rng(3).integers(1, 9, (1, 2, 4, 1)) / 8).astype("float32")
    eps = [0.03, 0.31, 0.77, 1.23, 2.01]
    got = numbers(worst_case_region_stability(logits, eps=eps).share)
    image = exact.image(logits[0])
    for budget, values in zip(eps, got[0], strict=True):
        left = exact.share_left_brute_force(image, Fraction(budget))
        assert set(values.flat) == {math.floor(left * 2**24) / 2**24}


def test_below_the_radius_of_a_region_its_share_stays() -> None:
    radius, regions = map(numbers, region_radius(BLOBS, fraction=0.5))
    for image in range(2):
        for number in range(1, regions[image].max() + 1):
            pixels = regions[image] == number
            eps = float(radius[image][pixels][0]) * (1 - 4 * float(exact.SLACK))
            share = numbers(worst_case_region_stability(BLOBS, eps=eps).share)
            assert (share[image][pixels] > 0.5).all()


def test_one_budget_equals_its_entry_of_a_sequence() -> None:
    many = numbers(worst_case_region_stability(BLOBS, eps=EPS).share)
    single = numbers(worst_case_region_stability(BLOBS, eps=EPS[3]).share)
    assert single.shape == (2, 4, 5)
    np.testing.assert_array_equal(single, many[:, 3])


def test_mask_cuts_regions_apart() -> None:
    mask = np.random.default_rng(3).random((2, 4, 5)) < 0.7
    classes = BLOBS.argmax(-1)
    regions = numbers(worst_case_region_stability(BLOBS, eps=1.0, mask=mask).regions)
    for image in range(2):
        assert (regions[image] == searched_regions(classes[image], mask[image], 4)).all()


@pytest.mark.slow
@pytest.mark.xla
def test_in_a_graph_bad_images_and_budgets_become_nan() -> None:
    logits = BLOBS.copy()
    logits[1, 0, 0, 0] = np.nan

    def certify(logits: Any, eps: Any) -> Any:
        return tuple(worst_case_region_stability(logits, eps=eps))

    if IS_TENSORFLOW:
        import tensorflow as tf

        function = tf.function(certify, jit_compile=True)
    else:
        import jax

        function = jax.jit(certify)
    share, regions = map(numbers, function(logits, np.float32([0.5, -0.5, np.nan])))
    assert np.isnan(share[1]).all() and (regions[1] == 0).all()
    assert np.isfinite(share[0, 0]).all() and np.isnan(share[0, 1:]).all()
    with pytest.raises(ValueError, match="`logits` must be finite"):
        worst_case_region_stability(logits, eps=0.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"eps": -1.0}, r"`eps` must be finite and >= 0"),
        ({"min_pixels": 0}, r"`min_pixels` must be at least 1"),
        ({"connectivity": 3}, r"`connectivity` must be one of 4, 8"),
    ],
)
def test_wrong_arguments_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        worst_case_region_stability(BLOBS, **{"eps": 1.0, **changes})


def test_the_budget_is_not_shared_out_among_regions() -> None:
    # The twin: the worst case of the whole image leaves more of a region than its own does.
    margins = np.array([[[1.0, 1.0, -1.0, -1.0]]], "float32")
    logits = np.stack([margins, 0 * margins], -1)
    costs = exact.image(logits[0]).costs
    region = exact.Image(costs[:2], 2)
    own = numbers(worst_case_region_stability(logits, eps=1.0).share)
    assert (own == 0).all()
    exact.assert_share_sound(own[0, 0, 0], region, eps=1.0)
    with pytest.raises(AssertionError, match="too much"):
        exact.assert_share_sound(
            exact.share_left(exact.Image(costs, 2), Fraction(1)), region, eps=1
        )
