"""Vanishing and fabrication: pixels that leave a class, and pixels that become one."""

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

from deel_seg._backend import IS_TENSORFLOW
from deel_seg.certificates import (
    fabrication_radius,
    vanishing_radius,
    worst_case_fabrication,
    worst_case_vanishing,
)
from tests.certificates import exact
from tests.certificates.cases import CASES, of_shared_shapes
from tests.certificates.device import predictions
from tests.certificates.exact import numbers
from tests.certificates.exact_confusion import becoming_cost

# The same number of budgets everywhere, so that few programs are compiled.
EPS = [0.0, 1e-3, 0.1, 0.5, 1.0, 2.0, 8.0, 1e3, 1e20]

# Becoming a class is priced in float32, at a loss of some units for each class.
SLACK = max(exact.SLACK, Fraction(1, 10**5))


def exact_image(
    logits: np.ndarray,
    class_id: int,
    *,
    becomes: bool,
    p: float = 2,
    kept: np.ndarray | None = None,
) -> exact.Image:
    """Exact costs of the pixels that an attack may change."""
    costs = []
    predicted = predictions(logits[None])[0]
    for row, column in np.ndindex(*logits.shape[:2]):
        if kept is not None and not kept[row, column]:
            continue
        pixel = [Fraction(float(z)) for z in logits[row, column]]
        if becomes:
            costs.append(becoming_cost(pixel, class_id, p))
        elif predicted[row, column] == class_id:
            costs.append(exact.cost(exact.margin(pixel, class_id), len(pixel), p))
    return exact.Image(costs, p)


def assert_share(value: float, image: exact.Image, eps: float, *, becomes: bool) -> None:
    """A Q1 value holds, and is not much weaker than the exact one."""
    left = Fraction(float(value))
    if becomes:
        left = 1 - left
    assert left <= exact.share_left(image, Fraction(eps)), "certified too much"
    budget = Fraction(eps) * (1 + SLACK) + exact.SMALLEST / 2**60
    loose = exact.share_left(image.usable(), budget)
    assert left > loose - Fraction(1, 2**24), "certified far too little"


def assert_radius(value: float, image: exact.Image, number: int) -> None:
    """A Q2 radius holds, and is not much smaller than the exact one."""
    if number > len(image.costs):
        assert value == math.inf
        return
    total = exact.combined(sorted(image.costs)[:number], image.p)
    reached = Fraction(float(value))
    assert reached == 0 or not exact.strictly_affordable(total, image.p, reached), (
        "certified too much"
    )
    usable = exact.combined(sorted(image.usable().costs)[:number], image.p)
    budget = reached * (1 + SLACK) + exact.SMALLEST / 2**60
    assert exact.affordable(min(usable, total), image.p, budget), "certified far too little"


def assert_sound(
    logits: np.ndarray, class_id: int, kept: np.ndarray | None = None, **options: Any
) -> None:
    """All four certificates of one class, for each image."""
    p = options.get("p", 2)
    arguments = {"class_id": class_id, **options}
    for becomes in (False, True):
        worst_case = worst_case_fabrication if becomes else worst_case_vanishing
        radius = fabrication_radius if becomes else vanishing_radius
        number = "pixels" if becomes else "pixels_left"
        shares = numbers(worst_case(logits, eps=EPS, **arguments))
        radii = {
            objective: numbers(radius(logits, **dict([objective]), **arguments))
            for objective in (("fraction", 0.9), ("fraction", 0.5), (number, 1), (number, 3))
        }
        for entry, z in enumerate(logits):
            inside = None if kept is None else kept[entry]
            image = exact_image(z, class_id, becomes=becomes, p=p, kept=inside)
            if not image.costs:
                assert np.isnan(shares[entry]).all()
                assert all(np.isnan(values[entry]) for values in radii.values())
                continue
            for eps, value in zip(EPS, shares[entry], strict=True):
                assert_share(value, image, eps, becomes=becomes)
            for (name, value), values in radii.items():
                size = len(image.costs)
                if name == "fraction":
                    needed = math.ceil(Fraction(str(value)) * size)
                else:
                    needed = value if becomes else max(0, size - value)
                assert_radius(values[entry], image, needed)


@pytest.mark.parametrize(
    ("name", "p"),
    of_shared_shapes(
        [(name, 2) for name in CASES] + [("random", 1), ("random", math.inf), ("binary", math.inf)]
    ),
)
def test_sound_on_adversarial_logits(name: str, p: float) -> None:
    for class_id in (0, 1):
        assert_sound(CASES[name], class_id, p=p)


@settings(deadline=None, max_examples=15)
@given(
    # Without -0, which some hardware takes for less than 0 when it looks for the largest.
    logits=hnp.arrays(
        np.float32, (1, 4, 4, 3), elements=st.floats(-4, 4, width=32).map(lambda z: z + 0.0)
    ),
    class_id=st.integers(0, 2),
)
def test_sound_on_random_images(logits: np.ndarray, class_id: int) -> None:
    assert_sound(logits, class_id)


@pytest.mark.slow
@pytest.mark.one_backend
def test_mask_and_ignored_pixels_are_left_out() -> None:
    logits = CASES["random"]
    mask = np.random.default_rng(0).random((1, 4, 4)) < 0.7
    labels = np.where(np.random.default_rng(1).random((1, 4, 4)) < 0.8, 7, 255)
    options = {"labels": labels, "ignore_class": 255}
    assert_sound(logits, 2, mask & (labels == 7), mask=mask, **options)
    shares = [
        numbers(worst_case_fabrication(logits, class_id=2, eps=EPS, **arguments))
        for arguments in ({"ignore_class": 1}, {"mask": logits.argmax(-1) != 1})
    ]
    assert (shares[0] == shares[1]).all()
    nothing = {"mask": np.zeros((1, 4, 4), bool), **options}
    assert np.isnan(numbers(worst_case_fabrication(logits, class_id=0, eps=EPS, **nothing))).all()
    assert np.isnan(numbers(vanishing_radius(logits, class_id=0, **nothing))).all()


@pytest.mark.parametrize("becomes", [False, True])
def test_equals_all_subsets(becomes: bool) -> None:
    generator = np.random.default_rng(3)
    logits = (generator.integers(-8, 9, (1, 4, 4, 3)) / 8).astype("float32")
    mask = np.arange(16).reshape(1, 4, 4) < 8
    image = exact_image(logits[0], 0, becomes=becomes, kept=mask[0])
    assert image.costs
    eps = [0.03, 0.11, 0.31, 0.52, 0.77, 1.02, 1.23, 1.51, 2.01]
    worst_case = worst_case_fabrication if becomes else worst_case_vanishing
    got = numbers(worst_case(logits, class_id=0, eps=eps, mask=mask))[0]
    for budget, value in zip(eps, got, strict=True):
        left = exact.share_left_brute_force(image, Fraction(budget))
        steps = Fraction(float(1 - value if becomes else value)) * 2**24
        assert steps == math.floor(left * 2**24)
    size = len(image.costs)
    for number in range(1, size + 1):
        least = min(
            exact.combined(subset, 2)
            for count in range(number, size + 1)
            for subset in itertools.combinations(image.costs, count)
        )
        assert least == exact.combined(sorted(image.costs)[:number], 2)


def test_radii_and_worst_cases_invert_each_other() -> None:
    logits = CASES["random"]
    for fraction in (0.25, 0.5, 1):
        radius = float(vanishing_radius(logits, class_id=0, fraction=fraction)[0])
        eps = np.linspace(0, 1, len(EPS)) * radius
        below = numbers(worst_case_vanishing(logits, class_id=0, eps=eps))[0]
        assert (below > 1 - fraction).all()
        radius = float(fabrication_radius(logits, class_id=0, fraction=fraction)[0])
        eps = np.linspace(0, 1, len(EPS)) * radius
        below = numbers(worst_case_fabrication(logits, class_id=0, eps=eps))[0]
        assert (below < fraction).all()


def test_a_fabricated_class_costs_more_where_several_stand_above() -> None:
    # Two logits at 3 above one at 0: it rises to 2 and they come down to 2, 4 + 1 + 1.
    logits = np.tile(np.array([3.0, 3.0, 0.0], "float32"), (1, 4, 4, 1))
    radius = Fraction(float(fabrication_radius(logits, class_id=2, pixels=1)[0]))
    assert 6 * (1 - SLACK) ** 2 <= radius**2 <= 6
    assert radius**2 > Fraction(9, 2)


def test_more_pixels_than_there_are_can_never_change() -> None:
    logits = CASES["random"]
    assert numbers(fabrication_radius(logits, class_id=0, pixels=17)).tolist() == [math.inf]
    assert numbers(fabrication_radius(logits, class_id=0, pixels=10**12)).tolist() == [math.inf]
    assert numbers(vanishing_radius(logits, class_id=0, pixels_left=17)).tolist() == [0.0]


def test_logit_tolerance_covers_every_perturbation_of_the_logits() -> None:
    generator = np.random.default_rng(11)
    logits = CASES["random"]
    kept = logits.argmax(-1) == 0
    options = {"class_id": 0, "eps": EPS, "logit_tolerance": 0.125}
    vanishing = numbers(worst_case_vanishing(logits, **options))[0]
    fabrication = numbers(worst_case_fabrication(logits, **options))[0]
    for _ in range(5):
        moved = (logits + generator.uniform(-0.12, 0.12, logits.shape)).astype("float32")
        image = exact_image(moved[0], 0, becomes=True)
        # Of the pixels that were of the class, those that are not any more cost nothing.
        left = exact.image(moved[0], np.zeros((4, 4), int), mask=kept[0])
        for place, eps in enumerate(EPS):
            budget = Fraction(eps)
            assert 1 - Fraction(float(fabrication[place])) <= exact.share_left(image, budget)
            assert Fraction(float(vanishing[place])) <= exact.share_left(left, budget)


@pytest.mark.slow
@pytest.mark.xla
def test_in_a_graph_bad_images_become_nan() -> None:
    logits = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype("float32")
    logits[1, 0, 0, 0] = np.inf

    def certify(logits: Any) -> Any:
        return (
            worst_case_vanishing(logits, class_id=1, eps=0.5),
            vanishing_radius(logits, class_id=1),
            worst_case_fabrication(logits, class_id=1, eps=0.5),
            fabrication_radius(logits, class_id=1),
        )

    if IS_TENSORFLOW:
        import tensorflow as tf

        function = tf.function(certify, jit_compile=True)
    else:
        import jax

        function = jax.jit(certify)
    for values in function(logits):
        assert np.isnan(numbers(values)).tolist() == [False, True]
    for function in (vanishing_radius, fabrication_radius):
        with pytest.raises(ValueError, match="`logits` must be finite"):
            function(logits, class_id=1)


@pytest.mark.parametrize(
    ("certificate", "arguments", "message"),
    [
        (vanishing_radius, {"class_id": 3}, r"`class_id` must lie in \[0, 3\).*class_id=3"),
        (vanishing_radius, {"class_id": -1}, r"`class_id`"),
        (vanishing_radius, {"class_id": 1.0}, r"`class_id` must be an integer"),
        (vanishing_radius, {"class_id": 1, "ignore_class": 1}, r"`class_id` must not be"),
        (vanishing_radius, {"class_id": 1, "pixels_left": -1}, r"`pixels_left`"),
        (
            vanishing_radius,
            {"class_id": 1, "pixels_left": 1, "fraction": 0.5},
            r"`fraction` and `pixels_left` exclude each other",
        ),
        (
            fabrication_radius,
            {"class_id": 1, "pixels": 1, "fraction": 0.9},
            r"`fraction` and `pixels` exclude each other",
        ),
        (fabrication_radius, {"class_id": 1, "pixels": 0}, r"`pixels` must be at least 1"),
        (fabrication_radius, {"class_id": 1, "fraction": 0}, r"`fraction` must lie in"),
        (worst_case_fabrication, {"class_id": 5, "eps": 1.0}, r"`class_id`"),
        (worst_case_vanishing, {"class_id": 1, "eps": -1.0}, r"`eps` must be finite"),
    ],
)
def test_wrong_arguments_are_refused(
    certificate: Any, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        certificate(CASES["random"], **arguments)


@pytest.mark.parametrize("broken", ["nothing", "factor missing", "one more pixel", "rounded up"])
def test_the_check_catches_a_broken_bound(broken: str) -> None:
    image = exact.Image([Fraction(n * n, 2) for n in range(1, 11)], 2)
    total = exact.combined(image.costs[:7], 2)
    if broken == "factor missing":
        total = 2 * total
    if broken == "one more pixel":
        total = exact.combined(image.costs[:8], 2)
    radius = math.sqrt(total) * (1 + 1e-7 if broken == "rounded up" else 1 - 1e-7)
    left = Fraction(3 if broken == "nothing" else 4, 10)
    value = math.floor(left * 2**24) / 2**24
    eps = math.sqrt(exact.combined(image.costs[:7], 2)) * (1 + 1e-12)
    if broken == "nothing":
        assert_radius(radius, image, 7)
        assert_share(value, image, eps, becomes=False)
        assert_share(1 - value, image, eps, becomes=True)
    else:
        for check in (
            lambda: assert_radius(radius, image, 7),
            lambda: assert_share(value, image, eps, becomes=False),
            lambda: assert_share(1 - value, image, eps, becomes=True),
        ):
            with pytest.raises(AssertionError, match="too much"):
                check()
