"""Metrics of a class's confusion under attack, in exact rational arithmetic."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from deel_seg.certificates import ExactMetric
from tests.certificates import exact

# Becoming a class is priced in float32, at a loss of some units for each class.
SLACK = max(exact.SLACK, Fraction(1, 10**5))


class ClassImage(NamedTuple):
    """Exact costs of one image, as powers of radii times L (for p = inf the radii times L)."""

    lost: list[Fraction]  # of each pixel of the class, to leave it
    gained: list[Fraction]  # of each other pixel that counts, to become it
    clean: tuple[int, int, int, int]  # tp, fp, fn, tn, ties in favour of the label
    p: float

    def usable(self) -> bool:
        """Whether all costs lie in the working range of margins, in which bounds are tight."""
        costs = self.lost + self.gained
        return exact.Image(costs, self.p).usable().costs == costs

    def attacks(self) -> Iterator[tuple[Fraction, tuple[int, int, int, int]]]:
        """Least total of every number of pixels lost and gained, and the counts after it."""
        lost, gained = (
            [exact.combined(sorted(costs)[:n], self.p) for n in range(len(costs) + 1)]
            for costs in (self.lost, self.gained)
        )
        for (i, paid), (j, more) in itertools.product(enumerate(lost), enumerate(gained)):
            counts = (len(self.lost) - i, j, i, len(self.gained) - j)
            yield exact.combined([paid, more], self.p), counts

    def attacks_brute_force(self) -> Iterator[tuple[Fraction, tuple[int, int, int, int]]]:
        """The same for every subset of the pixels."""
        pixels = [(cost, 0) for cost in self.lost] + [(cost, 1) for cost in self.gained]
        for chosen in itertools.product((False, True), repeat=len(pixels)):
            subset = [pixel for pixel, inside in zip(pixels, chosen, strict=True) if inside]
            j = sum(kind for _, kind in subset)
            i = len(subset) - j
            total = exact.combined([cost for cost, _ in subset], self.p)
            yield total, (len(self.lost) - i, j, i, len(self.gained) - j)


def becoming_cost(logits: Sequence[Fraction], class_id: int, p: float) -> Fraction:
    """Cost of putting class k on top, by the least over all levels at which the logits can meet."""
    if len(logits) == 1:
        gap = max(Fraction(0), -logits[0] if class_id == 1 else logits[0])
        return exact.cost(gap, 1, p)
    own = logits[class_id]
    above = sorted((z for z in logits if z > own), reverse=True)
    if p != 2:
        return exact.cost(above[0] - own if above else Fraction(0), len(logits), p)
    costs = [Fraction(0)] if not above else []
    for number in range(1, len(above) + 1):
        level = (own + sum(above[:number])) / (number + 1)
        costs.append((level - own) ** 2 + sum((z - level) ** 2 for z in above if z > level))
    return min(costs)


def class_image(
    logits: Any,
    labels: Any,
    class_id: int,
    *,
    p: float = 2,
    ignore_class: int | None = None,
    mask: Any = None,
) -> ClassImage:
    """Exact costs of `(H, W, K)` logits and `(H, W)` labels."""
    lost, gained, clean = [], [], [0, 0, 0, 0]
    for row, column in np.ndindex(*np.shape(labels)):
        label = int(labels[row][column])
        if label == ignore_class or (mask is not None and not mask[row][column]):
            continue
        pixel = [Fraction(float(z)) for z in np.asarray(logits)[row, column]]
        gap = _gap(pixel, class_id)
        if label == class_id:
            lost.append(exact.cost(exact.margin(pixel, class_id), len(pixel), p))
            clean[0 if gap >= 0 else 2] += 1
        else:
            gained.append(becoming_cost(pixel, class_id, p))
            clean[1 if gap > 0 else 3] += 1
    return ClassImage(lost, gained, tuple(clean), p)


def _gap(logits: Sequence[Fraction], class_id: int) -> Fraction:
    if len(logits) == 1:
        return logits[0] if class_id == 1 else -logits[0]
    return logits[class_id] - max(z for k, z in enumerate(logits) if k != class_id)


def defined(metric: ExactMetric, image: ClassImage) -> bool:
    """Whether a perfect prediction has a value."""
    return metric.fraction(len(image.lost), 0, 0, len(image.gained))[1] > 0


def value(metric: ExactMetric, counts: Sequence[int]) -> Fraction:
    """Exact value, 0/0 being 0."""
    numerator, denominator = metric.fraction(*counts)
    return Fraction(numerator, denominator) if denominator else Fraction(0)


def worst_value(
    metric: ExactMetric, image: ClassImage, budget: Fraction, *, brute_force: bool = False
) -> Fraction:
    """Least value that a change of size `budget` of the logits pays for."""
    attacks = image.attacks_brute_force() if brute_force else image.attacks()
    return min(
        value(metric, counts)
        for total, counts in attacks
        if exact.affordable(total, image.p, budget)
    )


def cost_of_value(
    metric: ExactMetric, image: ClassImage, threshold: Fraction, *, brute_force: bool = False
) -> Fraction | None:
    """Least cost after which the value is at most `threshold`; None if nothing does it."""
    attacks = image.attacks_brute_force() if brute_force else image.attacks()
    return min(
        (total for total, counts in attacks if value(metric, counts) <= threshold), default=None
    )


def assert_value_sound(
    got: Any, metric: ExactMetric, image: ClassImage, *, eps: float, constant: float = 1.0
) -> None:
    """A Q1 value holds, and is not much weaker than the exact one."""
    budget = Fraction(eps) * Fraction(constant)
    assert Fraction(float(got)) <= worst_value(metric, image, budget), "certified too much"
    if image.usable():
        loose = worst_value(metric, image, budget * (1 + SLACK) + exact.SMALLEST / 2**60)
        assert Fraction(float(got)) > loose - Fraction(1, 2**24), "certified far too little"


def assert_radius_sound(
    got: Any, image: ClassImage, total: Fraction | None, constant: float = 1.0
) -> None:
    """A Q2 radius holds, and is not much smaller than the exact one."""
    if total is None:
        assert got == math.inf, "certified far too little"
        return
    assert got != math.inf, "certified too much"
    reached = Fraction(float(got)) * Fraction(constant)
    within = exact.strictly_affordable(total, image.p, reached)
    assert reached == 0 or not within, "certified too much"
    if image.usable():
        enough = exact.affordable(total, image.p, reached * (1 + SLACK))
        assert enough, "certified far too little"
