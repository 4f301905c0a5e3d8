"""Coarse classes: groups of classes that count as one, and the margin of leaving a group."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from deel_seg._checks import check_integer, received
from deel_seg.certificates.class_fold import channel, fold_classes
from deel_seg.certificates.margins import usable_margins
from deel_seg.certificates.rounding import LARGEST, TINY, raised

Tensor = Any
Groups = tuple[int, ...]  # For each class the least class of its group.

_UNIT = 2.0**-24  # Unit roundoff of float32, in which this is computed.
_MEMBERS = 5  # Logits of a group that water-filling looks at, the largest ones.


def check_class_groups(
    class_groups: Sequence[Sequence[int]] | None, num_classes: int
) -> Groups | None:
    """Reads groups of classes, or raises; `None` where each class stands alone.

    Args:
        class_groups: Disjoint sequences of class ids. Classes in none of them stand alone.
        num_classes: Number of logits of a pixel.

    Returns:
        For each class the least class of its group.
    """
    if class_groups is None:
        return None
    if num_classes == 1:
        raise ValueError(
            "`class_groups` must be None for a binary model with a single logit. "
            f"{received(class_groups=class_groups)}"
        )
    groups = list(range(num_classes))
    for members in check_group_lists(class_groups, num_classes):
        for member in members:
            groups[member] = min(members)
    if len(set(groups)) == 1:
        raise ValueError(
            f"`class_groups` must leave at least two groups. {received(class_groups=class_groups)}"
        )
    return None if groups == list(range(num_classes)) else tuple(groups)


def check_group_lists(class_groups: Any, num_classes: float = math.inf) -> list[list[int]]:
    """Reads groups of classes as lists of ids below `num_classes`, or raises."""
    if isinstance(class_groups, str) or not isinstance(class_groups, Sequence):
        raise ValueError(
            "`class_groups` must be a sequence of sequences of class ids. "
            f"{received(class_groups=class_groups)}"
        )
    lists = [_check_members(group, num_classes) for group in class_groups]
    listed = Counter(member for members in lists for member in members)
    repeated = [member for member, times in listed.items() if times > 1]
    if repeated:
        raise ValueError(
            "`class_groups` must hold each class once. "
            f"{received(class_groups=class_groups, repeated=min(repeated))}"
        )
    return lists


def _check_members(group: Any, num_classes: float) -> list[int]:
    if isinstance(group, str) or not isinstance(group, Sequence) or not group:
        raise ValueError(
            "`class_groups` must be a sequence of sequences of class ids, none of them empty. "
            f"{received(group=group)}"
        )
    members = [check_integer("class_groups", member) for member in group]
    if len(set(members)) < len(members) or not all(0 <= m < num_classes for m in members):
        raise ValueError(
            f"`class_groups` must hold ids in [0, {num_classes}), each once. "
            f"{received(group=group)}"
        )
    return members


def groups_around(class_id: int, groups: Groups | None) -> Groups | None:
    """The groups, or `None` where the class stands alone: then they say nothing about it."""
    return None if groups is None or groups.count(groups[class_id]) == 1 else groups


def one_of_each(classes: Sequence[int], groups: Groups | None) -> list[int]:
    """The first of some classes in each group."""
    first: dict[int, int] = {}
    for class_id in classes:
        first.setdefault(class_id if groups is None else groups[class_id], class_id)
    return list(first.values())


def members_with(class_id: int, class_groups: Sequence[Sequence[int]] | None) -> list[int]:
    """The classes that count as one with a class, itself among them."""
    [members] = [group for group in class_groups or () if class_id in group] or [[class_id]]
    return list(members)


def group_of(classes: Tensor, groups: Groups | None) -> Tensor:
    """Group of each class id; where an id names no class, that of one that does."""
    if groups is None:
        return classes
    named = ops.cast(ops.clip(classes, 0, len(groups) - 1), "int32")
    return ops.take(ops.convert_to_tensor(np.array(groups, "int32")), named)


def group_at(groups: Groups, index: Any) -> Any:
    """Group of one class in a pass over all of them, whose index is a number or a tensor."""
    if isinstance(index, int):
        return groups[index]
    return ops.take(ops.convert_to_tensor(np.array(groups, "int32")), index)


def group_margins(
    logits: Tensor, reference: Tensor, logit_tolerance: Tensor, groups: Groups, p: float
) -> Tensor:
    r"""Lower-bounds what it takes for each pixel to leave its group, written as a margin.

    The largest logit $o$ outside of the group has to meet the largest one inside, and no member
    may stay above: with $d_j = z_j - o$ for the members, that costs for p = 2
    $\min_\tau \tau^2 + \sum_j (d_j - \tau)_+^2$, at least half of the square of the largest $d_j$.
    The margin returned is the $m$ with $m^2 / 2$ equal to that cost, counting the
    largest members only. For p = 1 and inf it is the largest $d_j$.

    Args:
        logits: `(batch, H, W, num_classes)`, any float dtype; at least two classes.
        reference: `(batch, H, W)`, group of each pixel, see `group_of`.
        logit_tolerance: Scalar; how far each logit may be from the exact one.
        groups: For each class the least class of its group; at least two groups.
        p: Norm order.

    Returns:
        `(batch, H, W)`, float32: as `class_margins`.
    """
    members, outside, finite = _members_and_outside(logits, reference, groups, p)
    margins = usable_margins(members[0] - outside, 2 * logit_tolerance)
    if len(members) > 1:
        moved = ops.cast(raised(2.0 * logit_tolerance + 2 * TINY, 4), "float32")
        moved = moved * (1 + 2.0**-22)
        distances = [ops.cast(member - outside, "float32") - moved for member in members]
        distances = [ops.clip(distance, 0.0, LARGEST) for distance in distances]
        margins = ops.maximum(margins, usable_margins(_water_filling(distances), 0.0))
    return ops.where(finite, margins, math.nan)


def _members_and_outside(
    logits: Tensor, reference: Tensor, groups: Groups, p: float
) -> tuple[list[Tensor], Tensor, Tensor]:
    """Largest logits inside of the group, the largest outside, and whether all are finite."""

    def step(state: Any, value: Tensor, index: Any) -> Any:
        *members, outside, finite = state
        inside = ops.equal(reference, group_at(groups, index))
        rest, sorted_in = ops.where(inside, value, -math.inf), []
        for member in members:
            sorted_in.append(ops.maximum(member, rest))
            rest = ops.minimum(member, rest)
        outside = ops.maximum(outside, ops.where(inside, -math.inf, value))
        return *sorted_in, outside, ops.logical_and(finite, ops.isfinite(value))

    lowest = ops.full_like(channel(logits, 0), -math.inf)
    number = min(max(Counter(groups).values()), _MEMBERS) if p == 2 else 1
    state = (*[lowest] * number, lowest, ops.ones_like(lowest, dtype="bool"))
    *members, outside, finite = fold_classes(step, state, logits, len(groups))
    return members, outside, finite


def _water_filling(distances: Sequence[Tensor]) -> Tensor:
    r"""Lower-bounds the root of twice the least of $\phi(\tau)=\tau^2+\sum (d_j-\tau)_+^2$.

    The best level is the largest mean of 0 and some of the largest distances. Wherever it ends up
    by rounding, $\phi'' \ge 2$ and $\phi' = 2 g$ have $\min \phi \ge \phi(\tau) - g(\tau)^2$.

    Rounding: the distances are within 3 units, a common factor the cost is homogeneous in; each
    excess and its square add 3, sums of n terms n - 1, and the rest less than 6.
    """
    level = total = ops.zeros_like(distances[0])
    for number, distance in enumerate(distances, start=1):
        total = total + distance
        level = ops.maximum(level, total * (1 / (number + 1)))
    excess, squares, number = ops.zeros_like(level), ops.zeros_like(level), len(distances)
    for distance in distances:
        over = ops.maximum(distance - level, 0.0)
        excess, squares = excess + over, squares + over * over
    gap = ops.abs(level - excess) + (number + 4.0) * (4 * _UNIT) * (level + excess)
    cost = level * level + squares - gap * gap * (1 + 4 * _UNIT)
    return ops.sqrt(2.0 * ops.maximum(cost * (1 - (2 * number + 24) * _UNIT), 0.0))
