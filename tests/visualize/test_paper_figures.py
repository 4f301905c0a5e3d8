"""The paper's figures: what is written in them is certified, and nonsense is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from keras import ops

from deel_seg.certificates import list_regions, region_radius, worst_case_fnr
from deel_seg.visualize import (
    certified_curve_figure,
    missed_figure,
    pareto_figure,
    regions_figure,
    vanishing_figure,
)
from deel_seg.visualize.canvas import MISSED, RIGHT, percent, rounded_down, rounded_up
from deel_seg.visualize.curves import pareto_front

SIZE = (12, 16)
GENERATOR = np.random.default_rng(0)
LABELS = np.zeros(SIZE, "int32")
LABELS[3:9, 2:12] = 1
LOGITS = (np.eye(3)[LABELS] + 0.6 * GENERATOR.normal(size=(*SIZE, 3))).astype("float32")
IMAGE = GENERATOR.random((*SIZE, 3))
COMMON: dict[str, Any] = {"lipschitz_constant": 0.7, "logit_tolerance": 1e-3}

PICTURES: dict[str, Callable[..., Any]] = {
    "regions": lambda image=IMAGE, logits=LOGITS, eps=0.5, **options: regions_figure(
        image, logits, eps=eps, **COMMON, **options
    ),
    "missed": lambda image=IMAGE, logits=LOGITS, eps=0.5, **options: missed_figure(
        image, logits, **{"labels": LABELS, "class_id": 1, "eps": eps, **COMMON, **options}
    ),
    "vanishing": lambda image=IMAGE, logits=LOGITS, eps=0.5, **options: vanishing_figure(
        image, logits, **{"class_id": 1, "eps": eps, **COMMON, **options}
    ),
}


def test_every_region_bears_its_budget_rounded_down() -> None:
    figure = PICTURES["regions"](min_pixels=2)
    certified = region_radius(LOGITS[None], fraction=0.9, min_pixels=2, **COMMON)
    listed = list_regions(certified, LOGITS[None])[0]
    written = [text.get_text() for text in figure.axes[0].texts]
    assert len(written) == len(listed) > 1
    for text, region in zip(written, listed, strict=True):
        assert float(text) <= region.radius < float(text) + 0.01
    kept = np.nan_to_num(ops.convert_to_numpy(certified.radius)[0]) >= 0.5
    shown = np.asarray(figure.axes[1].images[0].get_array())
    assert kept.any() and not kept.all()
    assert (shown[kept] == IMAGE[kept]).all() and (shown[~kept] == 1.0).all()


@pytest.mark.parametrize("eps", [0.0, 0.5, 2.0])
def test_what_is_missed_in_the_worst_case_is_at_most_what_is_written(eps: float) -> None:
    figure = PICTURES["missed"](eps=eps)
    written = float(figure.axes[2].get_title().split("≤ ")[1])
    (bound,) = ops.convert_to_numpy(
        worst_case_fnr(LOGITS[None], LABELS[None], positive_class=1, eps=eps, **COMMON)
    )
    assert bound <= written < bound + 0.01 + 1e-6  # of float32
    shown = np.asarray(figure.axes[2].images[0].get_array())
    missed = (shown == MISSED).all(-1)
    assert (missed <= (LABELS == 1)).all()
    assert missed.sum() / (LABELS == 1).sum() <= written


@pytest.mark.parametrize("eps", [0.0, 0.5, 2.0])
def test_what_is_left_in_the_worst_case_is_at_least_what_is_written(eps: float) -> None:
    figure = PICTURES["vanishing"](eps=eps, class_name="square")
    assert figure.axes[0].get_title().startswith("square")
    written = float(figure.axes[1].get_title().split(": ")[1].split(" %")[0])
    shown = np.asarray(figure.axes[1].images[0].get_array())
    found = LOGITS.argmax(-1) == 1
    left = (shown == RIGHT).all(-1)
    assert (left <= found).all()
    assert written <= 100 * left.sum() / found.sum()
    if eps == 0.0:
        assert (left == found).all()


@pytest.mark.slow
def test_a_class_that_is_nowhere_is_said_to_be_nowhere() -> None:
    figure = PICTURES["missed"](class_id=2)
    assert figure.axes[1].get_title() == "nothing is labelled so"
    logits = np.broadcast_to(np.array([1.0, 0.0], "float32"), (*SIZE, 2))
    figure = PICTURES["vanishing"](logits=logits)
    assert figure.axes[1].get_title().endswith("nothing is found")


@pytest.mark.parametrize("name", PICTURES)
def test_grey_images_and_wrong_ones(name: str) -> None:
    PICTURES[name](image=IMAGE[..., :1])
    for options, message in (
        ({"image": IMAGE[1:]}, "`image` must have the height and width"),
        ({"logits": LOGITS[None]}, "`logits` must have shape"),
        ({"eps": -1.0}, "`eps` must be >= 0"),
    ):
        with pytest.raises(ValueError, match=message):
            PICTURES[name](**options)


def test_wrong_labels() -> None:
    for labels in (LABELS[1:], LABELS.astype("float32")):
        with pytest.raises(ValueError, match="`labels` must be integers"):
            PICTURES["missed"](labels=labels)


def test_a_certificate_above_an_attack_is_not_drawn() -> None:
    certified_curve_figure([0.0, 0.1], [0.9, 0.8])
    for arguments, message in (
        (([0.0, 0.1], [0.9, 0.86], [0.9, 0.85]), "none below what is certified"),
        (([0.1, 0.0], [0.9, 0.8]), "`eps` must grow"),
        (([0.1], [0.9, 0.8]), "`eps` must grow"),
        (([0.1], [float("nan")]), "`certified` must be finite"),
    ):
        with pytest.raises(ValueError, match=message):
            certified_curve_figure(*arguments)


def test_the_pareto_front_is_what_no_point_surpasses() -> None:
    robustness, accuracy = GENERATOR.integers(1, 6, (2, 12)).astype(float)
    front = pareto_front(robustness, accuracy)
    for place in range(12):
        surpassed = any(
            robustness[other] >= robustness[place]
            and accuracy[other] >= accuracy[place]
            and (robustness[other], accuracy[other]) != (robustness[place], accuracy[place])
            for other in range(12)
        )
        there = [(robustness[each], accuracy[each]) for each in front]
        assert ((robustness[place], accuracy[place]) in there) == (not surpassed)
    assert len(set(there)) == len(there)
    with pytest.raises(ValueError, match="`robustness` must be above 0"):
        pareto_figure([0.0], [1.0])


def test_rounding_is_to_the_side_that_promises_less() -> None:
    for value in (0.0, 0.29, 0.999999, 1.1, 0.1 + 0.2):
        assert Fraction(rounded_down(value)) <= Fraction(value) <= Fraction(rounded_up(value))
        assert Fraction(percent(value).removesuffix(" %")) <= 100 * Fraction(value)


@pytest.mark.parametrize("name", PICTURES)
def test_without_matplotlib_it_says_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="visualize"):
        PICTURES[name]()
