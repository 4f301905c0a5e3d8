"""The pixels of a class, which an attack may take away, and the others, which it may add."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from deel_seg.certificates.becoming import becoming_margins
from deel_seg.certificates.class_groups import Groups, group_of
from deel_seg.certificates.counted_pixels import counted
from deel_seg.certificates.group_change import group_change_margins
from deel_seg.certificates.pixels import kept_pixels, named_class
from deel_seg.certificates.rounding import count_dtype

Tensor = Any


class ClassItems(NamedTuple):
    """What the confusion counts of class k can change by (paper, Appendix B)."""

    margins: Tensor  # (batch, H * W) float32, lower bounds; -1 where a pixel does not count
    is_negative: Tensor  # (batch, H * W) int32: 0 where k is the label, 1 elsewhere
    num_positives: Tensor  # (batch,), integer: pixels labelled k
    num_kept: Tensor  # (batch,), integer: pixels that count
    valid: Tensor  # (batch,), bool: see CountedPixels


def class_items(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor | None,
    class_id: Tensor,
    logit_tolerance: Tensor,
    *,
    p: float,
    ignore_class: int | None,
    num_classes: int,
    class_groups: Groups | None = None,
) -> ClassItems:
    """Margins of pixels labelled k over losing it, and of all others over becoming k.

    Both are 0 where that has happened already: the false negatives and the false positives. With
    `class_groups` all of this is about the group of k: labels of it, leaving it, and becoming any
    class of it.
    """
    class_id = ops.cast(class_id, labels.dtype)
    positive = ops.equal(group_of(labels, class_groups), group_of(class_id, class_groups))
    if class_groups is None:
        margins = becoming_margins(
            logits, class_id, logit_tolerance, num_classes, p, leaving=positive
        )
    else:
        margins = group_change_margins(
            logits, class_id, logit_tolerance, class_groups, p, leaving=positive
        )
    kept = kept_pixels(labels, mask, ignore_class)
    unnamed = ops.logical_and(kept, ops.logical_not(named_class(labels, num_classes)))
    pixels = counted(ops.where(unnamed, float("nan"), margins), kept)
    positives = ops.logical_and(positive, kept)
    return ClassItems(
        pixels.margins,
        ops.reshape(ops.where(positive, 0, 1), ops.shape(pixels.margins)),
        ops.sum(ops.cast(positives, count_dtype()), axis=(1, 2)),
        pixels.num_kept,
        pixels.valid,
    )
