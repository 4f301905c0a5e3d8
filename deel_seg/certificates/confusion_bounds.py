"""The compiled computations behind the certified metrics of a class's confusion."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from deel_seg._backend import compiled, mapped
from deel_seg.certificates.class_groups import Groups
from deel_seg.certificates.class_items import class_items
from deel_seg.certificates.confusion_counts import clean_counts
from deel_seg.certificates.costs import capacity, radius_below
from deel_seg.certificates.exact_metric import ExactMetric
from deel_seg.certificates.frontier import Frontier, frontier
from deel_seg.certificates.measured_metric import MeasuredMetric
from deel_seg.certificates.pixels import kept_pixels
from deel_seg.certificates.rounding import to_float32_below

Tensor = Any
Metric = ExactMetric | MeasuredMetric


def _worst_value(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor | None,
    lipschitz_constant: Tensor,
    logit_tolerance: Tensor,
    class_id: Tensor,
    eps: Tensor,
    *,
    metric: Metric,
    p: float,
    num_classes: int,
    ignore_class: int | None,
    class_groups: Groups | None = None,
) -> tuple[Tensor, Tensor]:
    items = class_items(
        logits,
        labels,
        mask,
        class_id,
        logit_tolerance,
        p=p,
        num_classes=num_classes,
        ignore_class=ignore_class,
        class_groups=class_groups,
    )
    edge = frontier(items, p)
    capacities = capacity(eps, lipschitz_constant, p, num_classes)
    # One budget after the other: all at once would hold the frontier as often.
    values = mapped(lambda most: metric.worst(edge.farthest(most)), capacities)
    defined = _defined(edge, items.valid, metric, lipschitz_constant, logit_tolerance)
    defined = ops.logical_and(defined[:, None], eps >= 0)
    return ops.where(defined, ops.transpose(values), math.nan), items.valid


def _metric_radius(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor | None,
    lipschitz_constant: Tensor,
    logit_tolerance: Tensor,
    class_id: Tensor,
    threshold: tuple[Tensor, ...],
    *,
    metric: Metric,
    relative: bool,
    p: float,
    num_classes: int,
    ignore_class: int | None,
    class_groups: Groups | None = None,
) -> tuple[Tensor, Tensor]:
    items = class_items(
        logits,
        labels,
        mask,
        class_id,
        logit_tolerance,
        p=p,
        num_classes=num_classes,
        ignore_class=ignore_class,
        class_groups=class_groups,
    )
    edge = frontier(items, p)
    clean = None
    if relative:
        kept = kept_pixels(labels, mask, ignore_class)
        clean = clean_counts(logits, labels, kept, class_id, logit_tolerance, class_groups)
    total = edge.least_total(lambda counts: metric.at_most(counts, threshold, clean))
    radius = to_float32_below(radius_below(total, lipschitz_constant, p, num_classes))
    radius = ops.where(total < math.inf, radius, math.inf)
    defined = _defined(edge, items.valid, metric, lipschitz_constant, logit_tolerance)
    return ops.where(defined, radius, math.nan), items.valid


def _defined(
    edge: Frontier,
    valid: Tensor,
    metric: Metric,
    lipschitz_constant: Tensor,
    logit_tolerance: Tensor,
) -> Tensor:
    """Images that can be certified, `(batch,)` bool: a perfect prediction has a value."""
    scalars_valid = ops.logical_and(lipschitz_constant > 0, logit_tolerance >= 0)
    counted = edge.positives + edge.negatives > 0
    perfect = metric(*edge.counts(0, 0))
    has_value = ops.logical_and(counted, ops.logical_not(ops.isnan(perfect)))[:, 0]
    return ops.logical_and(ops.logical_and(valid, scalars_valid), has_value)


_STATIC = ("metric", "relative", "p", "ignore_class", "num_classes", "class_groups")
compiled_worst_value = compiled(_worst_value, static_argnames=_STATIC[:1] + _STATIC[2:])
compiled_radius = compiled(_metric_radius, static_argnames=_STATIC)
