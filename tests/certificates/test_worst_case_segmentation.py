from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deel_seg.certificates import (
    worst_case_pixel_accuracy,
    worst_case_segmentation,
    worst_case_stability,
)
from tests.certificates import exact
from tests.certificates.cases import CASES, in_a_corner, labels_for, of_shared_shapes
from tests.certificates.device import predictions
from tests.certificates.exact import numbers
from tests.certificates.test_in_graph import JIT_COMPILE, traced

# Everywhere ten budgets and the same void label, so that few programs are compiled.
EPS = [0.0, 1e-3, 0.1, 0.5, 1.0, 1.7, 3.0, 8.0, 1e3, 1e20]


def assert_consistent(
    maps: np.ndarray,
    shares: np.ndarray,
    logits: np.ndarray,
    predicted: np.ndarray,
    reference: np.ndarray,
    kept: np.ndarray,
    costs: list[Fraction],
    eps: float,
    p: float,
) -> None:
    """The map of one image agrees with the certified share, and is what the definition says."""
    left = kept & (maps == reference)
    # To the pixel: the share is the count, rounded down to a multiple of 2^-24.
    steps = Fraction(int(left.sum()), int(kept.sum())) * 2**24
    assert Fraction(float(shares)) * 2**24 == math.floor(steps), "another count"
    flipped = maps != predicted
    assert not (flipped & ~kept).any(), "a pixel that does not count is flipped"
    assert (predicted == reference)[flipped].all(), "a wrong pixel is moved"
    for row, column in np.argwhere(flipped):
        pixel = logits[row, column].astype("float64")
        if len(pixel) > 1:
            others = np.delete(pixel, predicted[row, column])
            # A subnormal may have been taken for zero.
            shown = max(pixel[maps[row, column]], pixel[maps[row, column]] + 2.0**-126)
            assert shown >= max(others), "not the second class"
    lost = kept & (maps != reference)
    keys = [*zip(costs, range(len(costs)), strict=True)]
    dearest = max((keys[index] for index in np.flatnonzero(lost)), default=None)
    cheapest = min((keys[index] for index in np.flatnonzero(left)), default=None)
    assert dearest is None or cheapest is None or dearest < cheapest, "not the cheapest ones"
    total = exact.combined([costs[index] for index in np.flatnonzero(lost)], p)
    budget = Fraction(eps) * (1 + exact.SLACK) + exact.SMALLEST / 2**60
    assert exact.affordable(total, p, budget), "dearer than the budget"


def check(
    logits: np.ndarray, labels: np.ndarray | None, kept: np.ndarray | None = None, **options: Any
) -> None:
    options = {"ignore_class": 255, **options}
    maps = numbers(worst_case_segmentation(logits, labels, eps=EPS, **options))
    if labels is None:
        shares = worst_case_stability(logits, eps=EPS, **options)
    else:
        shares = worst_case_pixel_accuracy(logits, labels, eps=EPS, **options)
    shares = numbers(shares)
    p = options.get("p", 2)
    assert maps.shape == (len(logits), len(EPS), *logits.shape[1:3]) and maps.dtype == np.int32
    for image in range(len(logits)):
        inside = np.ones(logits.shape[1:3], bool) if kept is None else kept[image]
        predicted = predictions(logits)[image]
        reference = predicted if labels is None else labels[image]
        counted = np.where(inside, reference, 0)
        costs = exact.Image(exact.image(logits[image], counted, p=p).costs, p).usable().costs
        for query, eps in enumerate(EPS):
            assert_consistent(
                maps[image, query],
                shares[image, query],
                logits[image],
                predicted,
                reference,
                inside,
                costs,
                eps,
                p,
            )


# The norm and the reference do not meet.
@pytest.mark.parametrize(
    ("name", "p", "labelled"),
    of_shared_shapes(
        [(name, 2, labelled) for name in CASES for labelled in (True, False)]
        + [("random", 1, True), ("random", math.inf, False), ("binary", math.inf, True)]
    ),
)
def test_consistent_on_adversarial_logits(name: str, p: float, labelled: bool) -> None:
    labels = labels_for(CASES[name]) if labelled else None
    check(CASES[name], labels, p=p)


@settings(deadline=None, max_examples=15)
@given(
    logits=hnp.arrays(np.float32, (1, 4, 4, 3), elements=st.integers(-3, 3).map(float)),
    labels=hnp.arrays(np.int32, (1, 4, 4), elements=st.integers(0, 2)),
    labelled=st.booleans(),
)
def test_consistent_among_many_ties(logits: np.ndarray, labels: np.ndarray, labelled: bool) -> None:
    check(logits, labels if labelled else None)


@pytest.mark.slow
@pytest.mark.one_backend
def test_consistent_with_void_and_mask() -> None:
    logits = CASES["random"]
    labels = labels_for(logits, ignore=255)
    mask = np.random.default_rng(5).random(labels.shape) < 0.6
    check(logits, labels, (labels != 255) & mask, mask=mask)
    check(logits, None, predictions(logits) != 1, ignore_class=1)


@pytest.mark.slow
@pytest.mark.one_backend
def test_consistent_with_class_groups() -> None:
    logits, groups = CASES["nineteen classes"], [(0, 5, 7, 18), (2, 3)]
    group = np.arange(19)
    for members in groups:
        group[list(members)] = members[0]
    predicted, labels = predictions(logits), labels_for(logits)
    options: dict[str, Any] = {"eps": EPS, "class_groups": groups}
    for truth, certificate in ((None, worst_case_stability), (labels, worst_case_pixel_accuracy)):
        shares = numbers(certificate(logits, *([] if truth is None else [labels]), **options))[0]
        maps = numbers(worst_case_segmentation(logits, truth, **options))[0]
        reference = group[predicted[0] if truth is None else labels[0]]
        for drawn, share in zip(maps, shares, strict=True):
            left = Fraction(int((group[drawn] == reference).sum()), reference.size)
            assert Fraction(float(share)) * 2**24 == math.floor(left * 2**24)
            flipped = drawn != predicted[0]
            assert (group[predicted[0]] == reference)[flipped].all()
            for row, column in np.argwhere(flipped):
                own = group[predicted[0, row, column]]
                outside = np.where(group == own, -np.inf, logits[0, row, column])
                assert drawn[row, column] == outside.argmax()


def test_one_budget_equals_its_entry_of_a_sequence() -> None:
    logits = CASES["random"]
    many = numbers(worst_case_segmentation(logits, eps=EPS, ignore_class=255))
    for query in (0, 4, 6):
        single = numbers(worst_case_segmentation(logits, eps=EPS[query], ignore_class=255))
        assert single.shape == (1, 4, 4) and (single == many[:, query]).all()


def test_attacks_grow_with_the_budget() -> None:
    maps = numbers(worst_case_segmentation(CASES["random"], eps=EPS, ignore_class=255))[0]
    flipped = maps != predictions(CASES["random"])[0]
    assert (flipped[1:] >= flipped[:-1]).all() and not flipped[0].any() and flipped[-1].all()


def test_equal_radii_go_in_reading_order() -> None:
    # Six pixels, over two rows, of a cost of 2 each.
    image = in_a_corner(np.tile(np.array([2.0, 0.0], "float32"), (6, 1)), np.zeros(6, "int32"))
    eps = [0.6 * n for n in range(10)]
    maps = numbers(worst_case_segmentation(*image, eps=eps, ignore_class=255))[0]
    drawn = maps.reshape(10, 16)[:, :6]
    lost = [0, 0, 0, 1, 2, 4, 6, 6, 6, 6]
    assert drawn.tolist() == [[1] * number + [0] * (6 - number) for number in lost]


def test_nothing_to_attack_shows_the_prediction() -> None:
    logits = CASES["random"]
    labels = np.full((1, 4, 4), 255)
    maps = numbers(worst_case_segmentation(logits, labels, eps=EPS, ignore_class=255))
    assert (maps == predictions(logits)[:, None]).all()


@pytest.mark.slow
@pytest.mark.xla
@pytest.mark.parametrize("jit_compile", JIT_COMPILE)
def test_in_a_graph_bad_images_are_minus_one(jit_compile: bool) -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(3, 4, 4, 3)).astype("float32")
    labels = generator.integers(0, 3, (3, 4, 4)).astype("int32")
    bad_logits, bad_labels = logits.copy(), labels.copy()
    bad_logits[1, 0, 0, 0], bad_labels[2, 0, 0] = np.nan, 3

    def draw(logits: Any, labels: Any, eps: Any) -> Any:
        return worst_case_segmentation(logits, labels, eps=eps)

    function, eps = traced(draw, jit_compile), np.float32(0.5)
    maps = numbers(function(bad_logits, bad_labels, eps))
    assert (maps[1:] == -1).all()
    assert (maps[0] == numbers(worst_case_segmentation(logits, labels, eps=0.5))[0]).all()
    assert (numbers(function(logits, labels, -eps)) == -1).all()
    with pytest.raises(ValueError, match="`logits` must be finite"):
        worst_case_segmentation(bad_logits, labels, eps=0.5)
    with pytest.raises(ValueError, match="`labels` must lie in"):
        worst_case_segmentation(logits, bad_labels, eps=0.5)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("one more", "another count"),
        ("a dearer one", "not the cheapest"),
        ("the third class", "not the second class"),
        ("a wrong pixel", "a wrong pixel is moved"),
        ("void", "does not count"),
    ],
)
def test_the_check_catches_a_broken_map(broken: str, message: str) -> None:
    logits = np.array([[[k, 0.5, 0.0] for k in (1, 2, 3, 3)]], "float32")
    labels, kept = np.array([[0, 0, 1, 0]]), np.array([[True, True, True, False]])
    share, good = np.float32(math.floor(2**24 / 3) / 2**24), np.array([[1, 0, 0, 0]])
    costs = [Fraction((2 * k - 1) ** 2, 8) for k in (1, 2)] + [Fraction(0)] * 2
    arguments = (share, logits, np.zeros((1, 4), int), labels, kept, costs, 0.5, 2)
    assert_consistent(good, *arguments)
    bad = {
        "one more": [[1, 1, 0, 0]],
        "a dearer one": [[0, 1, 0, 0]],
        "the third class": [[2, 0, 0, 0]],
        "a wrong pixel": [[1, 0, 2, 0]],
        "void": [[1, 0, 0, 1]],
    }[broken]
    with pytest.raises(AssertionError, match=message):
        assert_consistent(np.array(bad), *arguments)
