"""What an attack can do to each of the classes, from the few largest logits of every pixel."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from keras import ops

from deel_seg._backend import materialised, segment_sum
from deel_seg.certificates.class_fold import channel, fold_classes
from deel_seg.certificates.class_items import ClassItems
from deel_seg.certificates.level_cost import margins_at_level
from deel_seg.certificates.margins import usable_margins
from deel_seg.certificates.pixels import kept_pixels, label_count, named_class
from deel_seg.certificates.rounding import LARGEST, TINY, raised

Tensor = Any

_SORTED = 6  # Logits of a pixel that are kept, the largest first.


def every_class_items(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor | None,
    logit_tolerance: Tensor,
    *,
    p: float,
    ignore_class: int | None,
    num_classes: int,
) -> Callable[[Tensor, Tensor], ClassItems]:
    """As `class_items`, of a class and its logits, without a pass over all logits for each.

    For p = 2 the cost of becoming a class is that of passing the six largest logits alone: a lower
    bound, and the cost itself where no seventh stands above the level at which they meet.
    """
    largest = _largest_logits(logits, min(_SORTED, num_classes))
    kept = kept_pixels(labels, mask, ignore_class)
    named = named_class(labels, num_classes)
    read = ops.logical_and(
        ops.logical_not(ops.isnan(largest[0])), ops.logical_or(named, ops.logical_not(kept))
    )
    valid, counts = ops.all(read, axis=(1, 2)), ops.logical_and(kept, read)
    labelled = _labelled_pixels(labels, counts, num_classes)
    moved = raised(2.0 * logit_tolerance + 2 * TINY, 4)
    moved = ops.cast(moved, "float32") * (1 + 2.0**-22)

    def of_class(class_id: Tensor, own: Tensor) -> ClassItems:
        positive = ops.equal(labels, ops.cast(class_id, labels.dtype))

        def compute() -> Tensor:
            # Where k is on top the next one is the largest other; elsewhere it is lost already.
            other = ops.where(own < largest[0], own, largest[1])
            lost = usable_margins(own - other, 2.0 * logit_tolerance)
            distances = [ops.cast(logit - own, "float32") - moved for logit in largest]
            distances = [ops.clip(distance, 0.0, LARGEST) for distance in distances]
            gained = _gained(distances, p)
            return ops.where(counts, ops.where(positive, lost, gained), -1.0)

        margins = materialised(compute, ops.zeros_like(largest[0], dtype="float32"), logits)
        flat = (ops.shape(logits)[0], -1)
        return ClassItems(
            ops.reshape(margins, flat),
            ops.reshape(ops.where(positive, 0, 1), flat),
            ops.take(labelled, class_id, axis=1),
            ops.sum(labelled, axis=1),
            valid,
        )

    return of_class


def _labelled_pixels(labels: Tensor, counts: Tensor, num_classes: int) -> Tensor:
    """Pixels of each label among those that count, `(batch, classes)` int32."""
    classes = label_count(num_classes)
    batch = ops.shape(labels)[0]
    first = classes * ops.arange(batch, dtype="int32")[:, None, None]
    segments = ops.reshape(ops.where(counts, ops.cast(labels, "int32") + first, -1), (-1,))
    sums = segment_sum(ops.ones_like(segments), segments, batch * classes)
    return ops.reshape(sums, (batch, classes))


def _gained(distances: list[Tensor], p: float) -> Tensor:
    """Margins of becoming a class, from sorted distances to it."""
    if p != 2:
        return usable_margins(distances[0], 0.0)
    level = total = ops.zeros_like(distances[0])
    for number, distance in enumerate(distances, start=1):
        total = total + distance
        level = ops.maximum(level, total * (1 / (number + 1)))
    number = excess = squares = ops.zeros_like(level)
    for distance in distances:
        over = ops.maximum(distance - level, 0.0)
        number = number + ops.cast(over > 0, "float32")
        excess, squares = excess + over, squares + over * over
    return ops.abs(margins_at_level(level, distances[0], number, excess, squares))


def _largest_logits(logits: Tensor, number: int) -> list[Tensor]:
    """The largest logits of every pixel in falling order, the first NaN if one is not finite."""
    lowest = ops.full_like(channel(logits, 0), -math.inf)

    def step(state: Any, value: Tensor, _: Any) -> Any:
        *kept, finite = state
        finite = ops.logical_and(finite, ops.isfinite(value))
        sorted_in = []
        for other in kept:
            sorted_in.append(ops.maximum(other, value))
            value = ops.minimum(other, value)
        return *sorted_in, finite

    def pass_over(wanted: int) -> Callable[[], Tensor]:
        def compute() -> Tensor:
            state = (*[lowest] * (wanted + 1), ops.ones_like(lowest, dtype="bool"))
            *kept, finite = fold_classes(step, state, logits, logits.shape[-1])
            return kept[wanted] if wanted else ops.where(finite, kept[0], math.nan)

        return compute

    return [
        materialised(pass_over(wanted), ops.zeros_like(lowest), logits) for wanted in range(number)
    ]
