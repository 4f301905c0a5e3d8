"""Coarse classes as positives: the margins of leaving a group, and of becoming one of it."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from deel_seg._backend import materialised
from deel_seg.certificates.becoming import becoming_margins
from deel_seg.certificates.class_fold import channel, fold_classes
from deel_seg.certificates.class_groups import Groups, group_at, group_margins, group_of

Tensor = Any


def group_change_margins(
    logits: Tensor,
    class_id: Tensor,
    logit_tolerance: Tensor,
    groups: Groups,
    p: float,
    *,
    leaving: Tensor,
) -> Tensor:
    r"""Lower-bounds what it takes for each pixel to enter the group of a class, or to leave it.

    A pixel enters the group once any member is on top of all logits outside, whatever the other
    members do. That costs what it costs the largest member, o: `becoming_margins` with
    $d_j = z_j - o$ over the logits outside of the group.

    Args:
        logits: `(batch, H, W, num_classes)`, any float dtype; at least two classes.
        class_id: Scalar integer tensor, any member of the group.
        logit_tolerance: Scalar; how far each logit may be from the exact one.
        groups: For each class the least class of its group; at least two groups.
        p: Norm order.
        leaving: `(batch, H, W)` bool, pixels whose margin of leaving is wanted.

    Returns:
        `(batch, H, W)`, float32: as `becoming_margins`.
    """
    group = group_of(class_id, groups)

    def left() -> Tensor:
        reference = ops.broadcast_to(group, ops.shape(logits)[:-1])
        return group_margins(logits, reference, logit_tolerance, groups, p)

    # Of all logits, so that it is NaN at every pixel where one of them is not finite.
    like = ops.zeros(ops.shape(logits)[:-1], dtype="float32")
    lost = materialised(left, like, logits)
    levelled = _levelled(logits, group, groups)
    gained = becoming_margins(levelled, class_id, logit_tolerance, logits.shape[-1], p)
    return ops.where(leaving, lost, ops.where(ops.isnan(lost), math.nan, gained))


def entering_margins(
    logits: Tensor, class_id: Tensor, logit_tolerance: Tensor, groups: Groups, p: float
) -> Tensor:
    """`group_change_margins` where every pixel is to enter the group."""
    nowhere = ops.zeros(ops.shape(logits)[:-1], dtype="bool")
    return group_change_margins(logits, class_id, logit_tolerance, groups, p, leaving=nowhere)


def _levelled(logits: Tensor, group: Tensor, groups: Groups) -> Tensor:
    r"""The logits with every member of the group raised to the largest one.

    On these, becoming one member costs what becoming any member of the group costs on the given
    ones. Proof: let a change $\alpha$ bring member k on top of all logits outside, the largest of
    which it leaves at $\tau$. Then $\alpha_k \ge (\tau - z_k)_+$, and each $z_j$ outside has moved
    by at least $(z_j - \tau)_+$. As $z_k \le o$, the first part is least for the largest member,
    for which these parts alone are enough of a change. All other members stay where they are and
    count for nothing: one that is level with the member to become does not stand above it.
    """
    lowest = ops.full_like(channel(logits, 0), -math.inf)

    def step(state: Any, value: Tensor, index: Any) -> Any:
        (largest,) = state
        inside = ops.equal(group, group_at(groups, index))
        return (ops.maximum(largest, ops.where(inside, value, -math.inf)),)

    def compute() -> Tensor:
        return fold_classes(step, (lowest,), logits, len(groups))[0]

    largest = ops.cast(materialised(compute, lowest, logits), logits.dtype)
    members = ops.equal(group, group_of(ops.arange(len(groups)), groups))
    return ops.where(members, largest[..., None], logits)
