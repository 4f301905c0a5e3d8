"""IoU and other metrics of a group of classes, against exact arithmetic and all subsets."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from deel_seg._backend import accumulation_dtype, compiled
from deel_seg.certificates import (
    class_iou_radius,
    confusion_metric_radius,
    group_change,
    worst_case_class_iou,
    worst_case_confusion_metric,
)
from deel_seg.certificates.class_groups import check_class_groups, group_at
from deel_seg.certificates.confusion_metrics import dice, iou
from deel_seg.certificates.group_change import group_change_margins
from tests.certificates import exact
from tests.certificates import exact_confusion as confusion
from tests.certificates.cases import CASES, labels_for
from tests.certificates.exact import numbers
from tests.certificates.exact_groups import (
    COARSE,
    KINDS,
    entering_cost,
    group_class_image,
    six_classes,
)

EPS = (0.0, 1e-38, 0.1, 0.5, 1.0, 1.7, 2.0, 8.0, 1e3, 1e30)
THRESHOLDS = (0, 0.3, 0.5, 0.75, 1)
OPTIONS: dict[str, Any] = {"ignore_class": 255, "class_groups": COARSE}
SEED = 15  # Of labels among which there is every class.
GROUPS = check_class_groups(COARSE, 6)
# What the few roundings of a cost in float32 may take from it.
SLACK = Fraction(1, 10**5)


def assert_sound(
    logits: np.ndarray,
    labels: np.ndarray,
    class_id: int,
    p: float = 2,
    *,
    exact_groups: Any = GROUPS,
    relative: bool = False,
) -> None:
    """The IoU, by its own functions and as a metric of counts, and its radii."""
    options = {**OPTIONS, "class_id": class_id, "p": p}
    image = group_class_image(logits[0], labels[0], class_id, exact_groups, p=p)
    worst = numbers(worst_case_class_iou(logits, labels, eps=EPS, **options))[0]
    if not image.lost:
        assert np.isnan(worst).all()
        return
    for eps, value in zip(EPS, worst, strict=True):
        confusion.assert_value_sound(value, iou, image, eps=eps)
    clean = confusion.value(iou, image.clean)
    for threshold in THRESHOLDS:
        radius = class_iou_radius(logits, labels, threshold=threshold, **options)
        total = confusion.cost_of_value(iou, image, Fraction(str(threshold)))
        confusion.assert_radius_sound(numbers(radius)[0], image, total)
        if relative:
            radius = confusion_metric_radius(
                iou, logits, labels, threshold=threshold, relative=True, **options
            )
            total = confusion.cost_of_value(iou, image, Fraction(str(threshold)) * clean)
            confusion.assert_radius_sound(numbers(radius)[0], image, total)


@pytest.mark.parametrize(("kind", "p"), [(kind, 2) for kind in KINDS] + [("random", math.inf)])
def test_the_iou_of_a_group_is_sound(kind: str, p: float) -> None:
    logits = six_classes(kind)
    labels = labels_for(logits, seed=SEED, ignore=255)
    for class_id in (2, 4):
        assert_sound(logits, labels, class_id, p, relative=p == 2 and kind in ("random", "ties"))


@settings(deadline=None, max_examples=15)
@given(
    logits=hnp.arrays(np.float32, (1, 4, 4, 6), elements=st.floats(-4, 4, width=32)),
    labels=hnp.arrays(np.int32, (1, 4, 4), elements=st.sampled_from([0, 1, 2, 3, 4, 5, 255])),
    class_id=st.sampled_from([0, 5]),
)
def test_sound_on_random_images(logits: np.ndarray, labels: np.ndarray, class_id: int) -> None:
    assert_sound(logits, labels, class_id)


@pytest.mark.slow
def test_equals_all_subsets_on_a_grid_of_eighths() -> None:
    generator = np.random.default_rng(3)
    # Off the sums of margins, where any rounding fits.
    eps = (0.03, 0.11, 0.31, 0.52, 0.77, 1.02, 1.23, 1.51, 2.01, 3.3)
    for class_id in (3, 2):
        logits = (generator.integers(-8, 9, (1, 4, 4, 6)) / 8).astype("float32")
        labels = np.full((1, 4, 4), 255, "int32")
        labels[0, 0], labels[0, 1] = (3, 4, 0, 2), (1, 2, 5, 1)
        image = group_class_image(logits[0], labels[0], class_id, GROUPS)
        options = {**OPTIONS, "class_id": class_id}
        worst = numbers(worst_case_confusion_metric(dice, logits, labels, eps=eps, **options))[0]
        for budget, value in zip(eps, worst, strict=True):
            share = confusion.worst_value(dice, image, Fraction(budget), brute_force=True)
            assert float(value) == math.floor(share * 2**24) / 2**24
        for threshold in THRESHOLDS:
            radius = confusion_metric_radius(dice, logits, labels, threshold=threshold, **options)
            total = confusion.cost_of_value(dice, image, Fraction(str(threshold)), brute_force=True)
            confusion.assert_radius_sound(numbers(radius)[0], image, total)


@pytest.mark.slow
def test_any_member_names_its_group_and_a_class_alone_is_as_without() -> None:
    logits = six_classes("random")
    labels = labels_for(logits, seed=SEED, ignore=255)
    values = [
        numbers(worst_case_class_iou(logits, labels, class_id=k, eps=EPS, **OPTIONS))
        for k in range(6)
    ]
    assert not np.isnan(values).any()
    for members in COARSE:
        assert all((values[k] == values[members[0]]).all() for k in members)
    alone = worst_case_class_iou(logits, labels, class_id=1, eps=EPS, ignore_class=255)
    assert (values[1] == numbers(alone)).all()


compiled_margins = compiled(group_change_margins, static_argnames=("groups", "p"))


def costs_of(logits: np.ndarray, class_id: int, groups: Any, function: Any) -> list[Fraction]:
    """Costs of every pixel for entering the group."""
    margins = function(
        ops.convert_to_tensor(logits),
        ops.convert_to_tensor(class_id, "int32"),
        ops.convert_to_tensor(np.zeros((), accumulation_dtype())),
        groups=groups,
        p=2,
        leaving=ops.zeros(logits.shape[:-1], dtype="bool"),
    )
    return [exact.cost(Fraction(float(m)), logits.shape[-1], 2) for m in numbers(margins).ravel()]


def assert_costs_tight(
    logits: np.ndarray, class_id: int, groups: Any, function: Any = compiled_margins
) -> None:
    for pixel, got in zip(
        logits.reshape(-1, logits.shape[-1]), costs_of(logits, class_id, groups, function),
        strict=True,
    ):  # fmt: skip
        expected = entering_cost([Fraction(float(z)) for z in pixel], class_id, groups, 2)
        assert got <= expected, "certified too much"
        if expected >= exact.SMALLEST**2:
            assert got * (1 + SLACK) >= expected, "certified far too little"


def test_entering_is_priced_exactly() -> None:
    for kind in ("random", "ties", "members level"):
        assert_costs_tight(six_classes(kind), 0, GROUPS)


def test_the_group_of_a_class_in_a_pass_by_blocks() -> None:
    for k in range(6):
        assert int(group_at(GROUPS, ops.convert_to_tensor(k))) == group_at(GROUPS, k) == GROUPS[k]


def test_the_price_of_entering_is_that_of_the_nearest_change() -> None:
    # The oracle itself: no smaller change of the logits found by trying enters the group.
    generator = np.random.default_rng(0)
    for _ in range(20):
        logits = generator.normal(size=6)
        class_id = int(logits.argmin())
        price = float(entering_cost([Fraction(z) for z in logits], class_id, GROUPS, 2))
        moves = generator.normal(size=(20000, 6))
        moves *= math.sqrt(price) * 0.999 / np.linalg.norm(moves, axis=1, keepdims=True)
        after = np.unique((logits + moves).argmax(-1))
        if GROUPS[int(logits.argmax())] != GROUPS[class_id]:
            assert all(GROUPS[k] != GROUPS[class_id] for k in after)


@pytest.mark.parametrize("fault", ["the named member alone", "members stand in the way"])
def test_a_broken_price_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def levelled(logits: Any, group: Any, groups: Any) -> Any:
        inside = np.asarray(groups) == int(group)
        array = numbers(logits).copy()
        if fault == "the named member alone":  # The others may be larger, and nearer to the top.
            array[..., inside & (np.arange(len(groups)) != 0)] = array.min()
        return ops.convert_to_tensor(array)

    monkeypatch.setattr(group_change, "_levelled", levelled)
    with pytest.raises(AssertionError, match="too much"):
        assert_costs_tight(six_classes("random"), 0, GROUPS, group_change_margins)


def test_the_check_of_the_iou_catches_costs_of_single_classes() -> None:
    # Values of the classes apart, held against the exact ones of the group.
    logits, labels = six_classes("members level"), labels_for(six_classes("members level"))
    image = group_class_image(logits[0], labels[0], 4, GROUPS)
    merged = np.where(np.isin(labels, COARSE[1]), 4, labels)
    best = np.where(np.arange(6) == 4, logits[..., 3:].max(-1, keepdims=True), logits)
    best[..., (3, 5)] = -9.0  # One logit for the group: what it takes to leave is understated.
    worst = numbers(worst_case_class_iou(best, merged, class_id=4, eps=EPS))[0]
    with pytest.raises(AssertionError, match="far too little"):
        for eps, value in zip(EPS, worst, strict=True):
            confusion.assert_value_sound(value, iou, image, eps=eps)


def test_a_tolerance_covers_every_perturbation_of_the_logits() -> None:
    generator = np.random.default_rng(11)
    logits, labels = six_classes("random"), labels_for(six_classes("random"), ignore=255)
    options = {**OPTIONS, "class_id": 3, "logit_tolerance": 0.125}
    held = numbers(worst_case_class_iou(logits, labels, eps=EPS, **options))[0]
    half = confusion_metric_radius(iou, logits, labels, threshold=0.5, relative=True, **options)
    for _ in range(5):
        moved = (logits + generator.uniform(-0.12, 0.12, logits.shape)).astype("float32")
        image = group_class_image(moved[0], labels[0], 3, GROUPS)
        for eps, value in zip(EPS, held, strict=True):
            assert Fraction(float(value)) <= confusion.worst_value(iou, image, Fraction(eps))
        total = confusion.cost_of_value(iou, image, confusion.value(iou, image.clean) / 2)
        assert total is not None
        assert not exact.strictly_affordable(total, 2, Fraction(float(numbers(half)[0])))


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, 4])
def test_what_is_not_finite_is_refused_even_inside_a_group(place: int) -> None:
    logits, labels = six_classes("random"), labels_for(six_classes("random"))
    for bad in (-math.inf, math.nan):
        logits[0, 1, 1, place] = bad
        with pytest.raises(ValueError, match="`logits` must be finite"):
            worst_case_class_iou(logits, labels, class_id=3, eps=0.1, class_groups=COARSE)


def test_wrong_arguments_are_refused() -> None:
    logits, labels = six_classes("random"), labels_for(six_classes("random"))
    for call in (
        lambda groups: worst_case_class_iou(
            logits, labels, class_id=1, eps=0.1, class_groups=groups
        ),
        lambda groups: confusion_metric_radius(
            dice, logits, labels, class_id=1, threshold=0.5, class_groups=groups
        ),
    ):
        for groups, message in (
            ([(0, 6)], r"ids in \[0, 6\).*group=\(0, 6\)"),
            ([(0, 1), (1, 2)], "each class once.*repeated=1"),
            ([range(6)], "at least two groups"),
        ):
            with pytest.raises(ValueError, match=message):
                call(groups)
    binary = CASES["binary"]
    with pytest.raises(ValueError, match="`class_groups` must be None for a binary"):
        worst_case_class_iou(binary, labels_for(binary), class_id=0, eps=0.1, class_groups=[(0,)])
