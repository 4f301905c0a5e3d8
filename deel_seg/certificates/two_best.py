"""The two classes that a prediction is between: the one it is, and the one that comes second."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from deel_seg._backend import materialised
from deel_seg.certificates.class_fold import channel, fold_classes
from deel_seg.certificates.class_groups import Groups, group_of
from deel_seg.certificates.pixels import label_count, predicted_class

Tensor = Any


def two_best(
    logits: Tensor, num_classes: int, class_groups: Groups | None = None
) -> tuple[Tensor, Tensor]:
    """The predicted class and the best one outside of its group, `(batch, H, W)` int32."""
    pairs = label_count(num_classes)

    def compute() -> Tensor:
        predicted = predicted_class(logits, num_classes)
        return pairs * predicted + _runner_up(logits, predicted, num_classes, class_groups)

    # As one number, and in memory: the maps of all budgets look at it.
    like = ops.zeros(ops.shape(logits)[:-1], dtype="int32")
    both = materialised(compute, like, logits)
    return both // pairs, both % pairs


def _runner_up(
    logits: Tensor, predicted: Tensor, num_classes: int, class_groups: Groups | None
) -> Tensor:
    """Class of the largest logit outside of the predicted group, `(batch, H, W)` int32."""
    if num_classes == 1:
        return 1 - predicted
    own = group_of(predicted, class_groups)

    def step(state: Any, value: Tensor, index: Any) -> Any:
        largest, second = state
        outside = ops.not_equal(group_of(ops.convert_to_tensor(index), class_groups), own)
        larger = ops.logical_and(outside, value > largest)
        return ops.where(larger, value, largest), ops.where(larger, index, second)

    lowest = ops.full_like(channel(logits, 0), -math.inf)
    return fold_classes(step, (lowest, ops.zeros_like(predicted)), logits, num_classes)[1]
