"""The sums behind the IoU of a data set: how parts come together, and what the whole says."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from deel_seg._checks import received
from deel_seg.certificates.data_set_iou import Surpluses, worst_data_set_iou
from deel_seg.certificates.exact_sum import carried
from deel_seg.certificates.rounding import lowered

Tensor = Any


def check_summable_norm(p: Any) -> Any:
    """Returns a norm in which the costs of pixels add up, or raises."""
    if p not in (1, 2):
        raise ValueError(f"`p` must be 1 or 2 for an IoU of a data set. {received(p=p)}")
    return p


def added(first: Surpluses, second: Surpluses) -> Surpluses:
    """The sums of two parts of a data set; the same bits in any order."""
    return Surpluses(
        carried(first.limbs + second.limbs),
        first.labelled + second.labelled,
        first.bad + second.bad,
    )


def class_values(sums: Surpluses) -> Tensor:
    """Certified IoU of each class, `(classes, budgets)`, accumulation dtype.

    NaN for a class that no image is labelled with, and for all where an image could not be read.
    """
    known = ops.logical_and(sums.labelled > 0, ops.equal(sums.bad, 0))
    return ops.where(known[:, None], worst_data_set_iou(sums.limbs), math.nan)


def mean_over_classes(values: Tensor) -> Tensor:
    """Lower-bounds the mean over the classes that have a value, `(budgets,)`; NaN if none has."""
    known = ops.logical_not(ops.isnan(values))
    number = ops.cast(ops.sum(ops.cast(known, "int32"), axis=0), values.dtype)
    # A sum of as many terms as there are classes, and a quotient.
    mean = ops.sum(ops.where(known, values, 0.0), axis=0) / number
    mean = lowered(mean, 2 * values.shape[0] + 8)
    return ops.where(number > 0, mean, math.nan)
