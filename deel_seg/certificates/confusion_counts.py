"""The four counts of a class's confusion, and those of the clean prediction."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from keras import ops

from deel_seg.certificates.class_fold import channel, fold_classes
from deel_seg.certificates.class_groups import Groups, group_at, group_of
from deel_seg.certificates.rounding import TINY, raised

Tensor = Any


class Counts(NamedTuple):
    """Pixels by label and prediction, as integers; in the order in which metrics take them."""

    tp: Tensor
    fp: Tensor
    fn: Tensor
    tn: Tensor


def clean_counts(
    logits: Tensor,
    labels: Tensor,
    kept: Tensor,
    class_id: Tensor,
    logit_tolerance: Tensor,
    class_groups: Groups | None = None,
) -> Counts:
    """Counts of the clean prediction, `(batch, 1)`, none of them worse than the exact ones.

    A share of the clean value is an objective that is reached sooner for a larger value. So a
    pixel that ties, or does up to the tolerance, counts as predicted the way its label has it.
    With `class_groups` the counts are those of the group of the class.
    """
    gap = _gap(logits, class_id, class_groups)
    logits_moved = 1 if logits.shape[-1] == 1 else 2
    # Grown by more than the rounding of the gap and of the tolerance itself.
    tolerance = ops.cast(raised(logits_moved * logit_tolerance, 8), gap.dtype) * (1 + 2.0**-20)
    tolerance = ops.where(logit_tolerance > 0, tolerance + TINY, 0.0)
    class_id = ops.cast(class_id, labels.dtype)
    positive = ops.equal(group_of(labels, class_groups), group_of(class_id, class_groups))
    found = ops.logical_and(positive, gap >= -tolerance)
    taken = ops.logical_and(ops.logical_not(positive), gap > tolerance)
    negative = ops.logical_not(positive)
    positives, negatives, tp, fp = (
        ops.sum(ops.cast(ops.logical_and(pixels, kept), "int32"), axis=(1, 2))[:, None]
        for pixels in (positive, negative, found, taken)
    )
    return Counts(tp, fp, positives - tp, negatives - fp)


def _gap(logits: Tensor, class_id: Tensor, groups: Groups | None) -> Tensor:
    """Largest logit of the class, or its group, less that of all others; the sign is exact."""
    first = channel(logits, 0)
    if logits.shape[-1] == 1:
        return ops.where(ops.equal(class_id, 1), first, -first)

    group = group_of(class_id, groups)

    def step(state: Any, value: Tensor, index: Any) -> Any:
        own, other = state
        chosen = ops.equal(group, index if groups is None else group_at(groups, index))
        inside = value if groups is None else ops.maximum(own, value)
        return ops.where(chosen, inside, own), ops.where(chosen, other, ops.maximum(other, value))

    lowest = ops.full_like(first, -math.inf)
    own, other = fold_classes(step, (lowest, lowest), logits, logits.shape[-1])
    return own - other
