from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from deel_seg._backend import compiled
from deel_seg.certificates import (
    fnr_radius,
    pixel_accuracy_radius,
    stability_radius,
    worst_case_fnr,
    worst_case_pixel_accuracy,
    worst_case_recall,
    worst_case_stability,
)
from deel_seg.certificates.class_groups import check_class_groups, group_margins, group_of
from deel_seg.certificates.confusion_metrics import recall
from tests.certificates import exact
from tests.certificates import exact_confusion as confusion
from tests.certificates.cases import CASES, labels_for
from tests.certificates.exact import numbers
from tests.certificates.exact_groups import COARSE, KINDS, leaving_cost, six_classes

EPS = (0.0, 1e-38, 0.1, 0.5, 1.0, 1.7, 2.0, 8.0, 1e3, 1e30)
# What the few roundings of a cost in float32 may take from it.
SLACK = Fraction(1, 10**5)


def group_image(logits: Any, labels: Any, groups: Any, p: float, counts: Any = None) -> exact.Image:
    costs = [
        leaving_cost([Fraction(float(z)) for z in logits[where]], int(labels[where]), groups, p)
        for where in np.ndindex(*labels.shape)
        if labels[where] != 255 and (counts is None or counts[where])
    ]
    return exact.Image(costs, p)


def assert_shares_sound(got: Any, image: exact.Image, radius_of_half: Any) -> None:
    """Shares left over `EPS`, and the radius at which half is left."""
    if not image.costs:
        assert np.isnan(got).all()
        return
    as_class = confusion.ClassImage(image.costs, [], (0, 0, 0, 0), image.p)
    for eps, value in zip(EPS, got, strict=True):
        confusion.assert_value_sound(value, recall, as_class, eps=eps)
    total = exact.cost_of_share(image, Fraction(1, 2))
    confusion.assert_radius_sound(radius_of_half, as_class, total)


@pytest.mark.parametrize(("kind", "p"), [(kind, 2) for kind in KINDS] + [("random", math.inf)])
def test_accuracy_and_stability_are_sound(kind: str, p: float) -> None:
    logits, groups = six_classes(kind), check_class_groups(COARSE, 6)
    labels = labels_for(logits, ignore=255)
    options = {"class_groups": COARSE, "p": p}
    got = worst_case_pixel_accuracy(logits, labels, eps=EPS, ignore_class=255, **options)
    radius = pixel_accuracy_radius(logits, labels, threshold=0.5, ignore_class=255, **options)
    image = group_image(logits[0], labels[0], groups, p)
    assert_shares_sound(numbers(got)[0], image, numbers(radius)[0])
    got = worst_case_stability(logits, eps=EPS, **options)
    radius = stability_radius(logits, **options)
    image = group_image(logits[0], logits[0].argmax(-1), groups, p)
    assert_shares_sound(numbers(got)[0], image, numbers(radius)[0])


@pytest.mark.parametrize("kind", ["random", "members level", "mixed scales"])
def test_the_false_negatives_of_a_group_are_sound(kind: str) -> None:
    logits, groups = six_classes(kind), check_class_groups(COARSE, 6)
    labels = labels_for(logits, ignore=255)
    for positive in range(6):
        options = {"positive_class": positive, "class_groups": COARSE, "ignore_class": 255}
        of_group = np.isin(labels[0], [k for k in range(6) if groups[k] == groups[positive]])
        image = group_image(logits[0], labels[0], groups, 2, counts=of_group)
        found = numbers(worst_case_recall(logits, labels, eps=EPS, **options))[0]
        rate = numbers(worst_case_fnr(logits, labels, eps=EPS, **options))[0]
        radius = numbers(fnr_radius(logits, labels, threshold=0.5, **options))[0]
        assert_shares_sound(found, image, radius)
        assert np.array_equal(rate, 1 - found, equal_nan=True)


compiled_margins = compiled(group_margins, static_argnames=("groups", "p"))


def costs_of(logits: np.ndarray, labels: np.ndarray, groups: Any, p: float) -> list[Fraction]:
    reference = group_of(ops.convert_to_tensor(labels), groups)
    tolerance = ops.convert_to_tensor(0.0)
    margins = compiled_margins(
        ops.convert_to_tensor(logits), reference, tolerance, groups=groups, p=p
    )
    return [exact.cost(Fraction(float(m)), 6, p) for m in numbers(margins).ravel()]


def assert_costs_tight(costs: Any, logits: np.ndarray, labels: np.ndarray, groups: Any) -> None:
    for where, got in zip(np.ndindex(*labels.shape), costs, strict=True):
        pixel = [Fraction(float(z)) for z in logits[where]]
        expected = leaving_cost(pixel, int(labels[where]), groups, 2)
        assert got <= expected, "certified too much"
        if expected >= exact.SMALLEST**2:
            assert got * (1 + SLACK) >= expected, "certified far too little"


@settings(deadline=None, max_examples=25)
@given(
    logits=hnp.arrays(np.float32, (1, 4, 4, 6), elements=st.floats(-4, 4, width=32)),
    labels=hnp.arrays(np.int32, (1, 4, 4), elements=st.integers(0, 5)),
)
def test_leaving_is_priced_exactly(logits: np.ndarray, labels: np.ndarray) -> None:
    groups = check_class_groups(COARSE, 6)
    assert_costs_tight(costs_of(logits, labels, groups, 2), logits, labels, groups)


def test_the_price_is_that_of_the_nearest_change() -> None:
    # The oracle itself: no smaller change of the logits found by trying leaves the group.
    generator, groups = np.random.default_rng(0), check_class_groups(COARSE, 6)
    for _ in range(20):
        logits = generator.normal(size=6)
        label = int(logits.argmax())
        price = float(leaving_cost([Fraction(z) for z in logits], label, groups, 2))
        moves = generator.normal(size=(20000, 6))
        moves *= math.sqrt(price) * 0.999 / np.linalg.norm(moves, axis=1, keepdims=True)
        after = (logits + moves).argmax(-1)
        assert all(groups[k] == groups[label] for k in np.unique(after))


@pytest.mark.parametrize("broken", ["nothing", "a member for each", "all the way"])
def test_the_check_catches_a_broken_price(broken: str) -> None:
    groups = check_class_groups(COARSE, 6)
    logits = six_classes("members level")
    labels = logits.argmax(-1)
    costs = []
    for pixel in logits.reshape(-1, 6).astype("float64"):
        above = [Fraction(z) - Fraction(pixel[:3].max()) for z in pixel[3:]]
        if broken == "a member for each":  # Each pair apart: the outside one is raised thrice.
            costs.append(sum(d * d for d in above) / 2)
        elif broken == "all the way":  # Only members move.
            costs.append(sum(d * d for d in above))
        else:
            level = sum(above) / 4
            costs.append(level**2 + sum((d - level) ** 2 for d in above))
    if broken == "nothing":
        assert_costs_tight(costs, logits, labels, groups)
    else:
        with pytest.raises(AssertionError, match="too much"):
            assert_costs_tight(costs, logits, labels, groups)


def test_groups_of_one_are_none() -> None:
    logits, labels = six_classes("random"), labels_for(six_classes("random"))
    assert check_class_groups([(0,), [5]], 6) is None and check_class_groups((), 6) is None
    one = worst_case_pixel_accuracy(logits, labels, eps=EPS, class_groups=[(3,)])
    other = worst_case_pixel_accuracy(logits, labels, eps=EPS)
    assert (numbers(one) == numbers(other)).all()


@pytest.mark.one_backend
def test_coarser_classes_are_never_certified_less() -> None:
    hierarchy = (None, COARSE, [(0, 1, 2), (3, 4, 5)])
    for kind in ("random", "ties", "members level"):
        logits, labels = six_classes(kind), labels_for(six_classes(kind))
        levels = [
            numbers(
                worst_case_pixel_accuracy(
                    logits, labels, eps=EPS, class_groups=groups, ignore_class=255
                )
            )
            for groups in hierarchy
        ]
        for finer, coarser in itertools.pairwise(levels):
            assert (finer <= coarser).all()
        assert (levels[0] < levels[-1]).any()


def test_many_classes_and_members() -> None:
    logits = CASES["nineteen classes"]
    class_groups = [range(11, 19), (1, 2)]
    groups = check_class_groups(class_groups, 19)
    labels = labels_for(logits)
    got = numbers(worst_case_pixel_accuracy(logits, labels, eps=EPS, class_groups=class_groups))
    image = group_image(logits[0], labels[0], groups, 2)
    # Of a group of eight only five members are looked at: a bound that need not be tight.
    for eps, value in zip(EPS, got[0], strict=True):
        assert Fraction(float(value)) <= exact.share_left(image, Fraction(eps))


def test_a_tolerance_covers_every_perturbation_of_the_logits() -> None:
    generator, groups = np.random.default_rng(11), check_class_groups(COARSE, 6)
    logits, labels = six_classes("random"), labels_for(six_classes("random"), ignore=255)
    options = {"ignore_class": 255, "class_groups": COARSE, "logit_tolerance": 0.125}
    held = numbers(worst_case_pixel_accuracy(logits, labels, eps=EPS, **options))[0]
    for _ in range(5):
        moved = (logits + generator.uniform(-0.12, 0.12, logits.shape)).astype("float32")
        image = group_image(moved[0], labels[0], groups, 2)
        for eps, value in zip(EPS, held, strict=True):
            assert Fraction(float(value)) <= exact.share_left(image, Fraction(eps))


def test_the_mapping() -> None:
    assert check_class_groups([(4, 2), [0, 5]], 6) == (0, 1, 2, 3, 2, 0)
    classes = np.array([[0, 5, 4, 255, -1]])
    assert numbers(group_of(classes, (0, 1, 2, 3, 2, 0)))[0, :3].tolist() == [0, 0, 2]


@pytest.mark.parametrize(
    ("class_groups", "message"),
    [
        ([(0, 6)], r"ids in \[0, 6\).*group=\(0, 6\)"),
        ([(-1, 2)], r"ids in \[0, 6\)"),
        ([(1, 1)], "each once"),
        ([(0, 1), (1, 2)], "each class once.*repeated=1"),
        ([()], "none of them empty"),
        ([0, 1], "none of them empty.*group=0"),
        ("01", "sequence of sequences"),
        (7, "sequence of sequences.*class_groups=7"),
        ([(0, 1.5)], "`class_groups` must be an integer"),
        ([range(6)], "at least two groups"),
    ],
)
def test_wrong_groups_are_refused(class_groups: Any, message: str) -> None:
    logits = six_classes("random")
    with pytest.raises(ValueError, match=message):
        worst_case_stability(logits, eps=0.1, class_groups=class_groups)


def test_a_signed_logit_has_no_groups() -> None:
    with pytest.raises(ValueError, match="`class_groups` must be None for a binary"):
        worst_case_stability(CASES["binary"], eps=0.1, class_groups=[(0,)])


def test_wrong_labels_are_refused() -> None:
    logits, labels = six_classes("random"), labels_for(six_classes("random"))
    labels[0, 0, 0] = 9
    with pytest.raises(ValueError, match="label=9"):
        worst_case_pixel_accuracy(logits, labels, eps=EPS, class_groups=COARSE, ignore_class=255)
