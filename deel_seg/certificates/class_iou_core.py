"""The compiled core of the certified IoU of a class."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from deel_seg._backend import compiled, mapped
from deel_seg.certificates.class_iou_whole import least_whole_cost, worst_whole_iou
from deel_seg.certificates.class_items import ClassItems, class_items
from deel_seg.certificates.confusion_metrics import iou
from deel_seg.certificates.costs import capacity, radius_below
from deel_seg.certificates.frontier import frontier
from deel_seg.certificates.rounding import to_float32_below

Tensor = Any

_STATIC = ("p", "ignore_class", "num_classes", "class_groups")
_SORTED = 2**14  # Pixels up to which sorting them costs little.


def _worst_case(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor | None,
    lipschitz_constant: Tensor,
    logit_tolerance: Tensor,
    class_id: Tensor,
    eps: Tensor,
    *,
    p: float,
    num_classes: int,
    **static: Any,
) -> tuple[Tensor, Tensor]:
    items = class_items(
        logits, labels, mask, class_id, logit_tolerance, p=p, num_classes=num_classes, **static
    )
    capacities = capacity(eps, lipschitz_constant, p, num_classes)
    if _sorts(items, p):
        edge = frontier(items, p)
        worst = mapped(lambda most: iou.worst(edge.farthest(most)), capacities)
        worst = ops.transpose(worst)
    else:
        worst = worst_whole_iou(items, capacities, p)
    defined = _defined(items, lipschitz_constant, logit_tolerance)
    return ops.where(ops.logical_and(defined[:, None], eps >= 0), worst, math.nan), items.valid


def _radius(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor | None,
    lipschitz_constant: Tensor,
    logit_tolerance: Tensor,
    class_id: Tensor,
    threshold: tuple[Tensor, ...],
    *,
    p: float,
    num_classes: int,
    **static: Any,
) -> tuple[Tensor, Tensor]:
    items = class_items(
        logits, labels, mask, class_id, logit_tolerance, p=p, num_classes=num_classes, **static
    )
    if _sorts(items, p):
        edge = frontier(items, p)
        total = edge.least_total(lambda counts: iou.at_most(counts, threshold, None))
    else:
        total = least_whole_cost(items, threshold, p)
    radius = to_float32_below(radius_below(total, lipschitz_constant, p, num_classes))
    defined = _defined(items, lipschitz_constant, logit_tolerance)
    return ops.where(defined, radius, math.nan), items.valid


def _sorts(items: ClassItems, p: float) -> bool:
    """Whether to go through the frontier of whole pixels; p = inf has no sums to bound."""
    pixels = items.margins.shape[1]
    return p == math.inf or (pixels is not None and pixels <= _SORTED)


def _defined(items: ClassItems, lipschitz_constant: Tensor, logit_tolerance: Tensor) -> Tensor:
    # Comparisons with NaN are false, so a NaN scalar is caught here as well.
    scalars_valid = ops.logical_and(lipschitz_constant > 0, logit_tolerance >= 0)
    return ops.logical_and(ops.logical_and(items.valid, scalars_valid), items.num_positives > 0)


compiled_worst_case = compiled(_worst_case, static_argnames=_STATIC)
compiled_radius = compiled(_radius, static_argnames=_STATIC)
