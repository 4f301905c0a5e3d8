"""Coarse classes in exact rational arithmetic, and logits with groups to stumble over."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from tests.certificates import exact
from tests.certificates import exact_confusion as confusion

COARSE = ((0, 2), (3, 4, 5))  # of six classes, of which 1 stands alone


def six_classes(kind: str) -> np.ndarray:
    generator = np.random.default_rng(len(kind))
    shape = (1, 4, 4, 6)
    logits = {
        "random": generator.normal(size=shape),
        "ties": generator.integers(0, 2, shape),
        "members level": np.where(np.arange(6) < 3, 0.0, 1.0) + 1e-3 * generator.random(shape),
        "huge": 3e38 * generator.uniform(-1, 1, shape),
        "cancelling": 1e4 + 1e-2 * generator.normal(size=shape),
        "mixed scales": 10.0 ** generator.uniform(-30, 30, shape),
        "subnormal": 1e-40 * generator.normal(size=shape),
        "zero": np.zeros(shape),
    }[kind]
    return logits.astype("float32")


KINDS = (
    "random",
    "ties",
    "members level",
    "huge",
    "cancelling",
    "mixed scales",
    "subnormal",
    "zero",
)


def leaving_cost(
    logits: Sequence[Fraction], label: int, groups: Sequence[int] | None, p: float
) -> Fraction:
    """Cost of another group's coming out on top, over all levels at which the logits can meet."""
    own = groups[label] if groups else label
    of = groups or range(len(logits))
    members = sorted((z for z, group in zip(logits, of, strict=True) if group == own), reverse=True)
    outside = max(z for z, group in zip(logits, of, strict=True) if group != own)
    above = [z for z in members if z > outside]
    if p != 2 or not above:
        return exact.cost(above[0] - outside if above else Fraction(0), len(logits), p)
    costs = []
    for number in range(1, len(above) + 1):
        level = (outside + sum(above[:number])) / (number + 1)
        costs.append((level - outside) ** 2 + sum(max(z - level, 0) ** 2 for z in above))
    return min(costs)


def entering_cost(
    logits: Sequence[Fraction], class_id: int, groups: Sequence[int], p: float
) -> Fraction:
    """Cost of any member's coming out on top of all logits outside of its group."""
    outside = [z for z, group in zip(logits, groups, strict=True) if group != groups[class_id]]
    members = [z for z, group in zip(logits, groups, strict=True) if group == groups[class_id]]
    return min(confusion.becoming_cost([member, *outside], 0, p) for member in members)


def group_class_image(
    logits: Any, labels: Any, class_id: int, groups: Sequence[int], *, p: float = 2
) -> confusion.ClassImage:
    """Exact costs of `(H, W, K)` logits and `(H, W)` labels, of which 255 is left out."""
    lost, gained, clean = [], [], [0, 0, 0, 0]
    for where in np.ndindex(*np.shape(labels)):
        if labels[where] == 255:
            continue
        pixel = [Fraction(float(z)) for z in np.asarray(logits)[where]]
        gap = _gap(pixel, class_id, groups)
        if groups[labels[where]] == groups[class_id]:
            lost.append(leaving_cost(pixel, int(labels[where]), groups, p))
            clean[0 if gap >= 0 else 2] += 1
        else:
            gained.append(entering_cost(pixel, class_id, groups, p))
            clean[1 if gap > 0 else 3] += 1
    return confusion.ClassImage(lost, gained, tuple(clean), p)


def _gap(logits: Sequence[Fraction], class_id: int, groups: Sequence[int]) -> Fraction:
    inside = [z for z, group in zip(logits, groups, strict=True) if group == groups[class_id]]
    outside = [z for z, group in zip(logits, groups, strict=True) if group != groups[class_id]]
    return max(inside) - max(outside)
