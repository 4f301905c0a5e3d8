"""The margins of the pixels that count: where every certificate starts."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from keras import ops

from deel_seg._backend import accumulation_dtype, materialised
from deel_seg.certificates.class_groups import Groups, group_margins, group_of
from deel_seg.certificates.margins import class_margins
from deel_seg.certificates.pixels import kept_pixels, named_class, predicted_class
from deel_seg.certificates.rounding import count_dtype, lowered

Tensor = Any


class CountedPixels(NamedTuple):
    """Margins of the pixels that count, how many they are, and whether all could be read."""

    margins: Tensor  # (batch, H * W) float32, lower bounds; -1 where a pixel does not count
    num_kept: Tensor  # (batch,), integer
    valid: Tensor  # (batch,), bool: all logits are finite and all labels that count name a class

    def defined(self, lipschitz_constant: Tensor, logit_tolerance: Tensor) -> Tensor:
        """Images that can be certified, `(batch,)` bool: some pixel counts, nothing is bad."""
        # Comparisons with NaN are false, so a NaN scalar is caught here as well.
        scalars_valid = ops.logical_and(lipschitz_constant > 0, logit_tolerance >= 0)
        return ops.logical_and(ops.logical_and(self.valid, scalars_valid), self.num_kept > 0)

    def powers(self, p: float) -> Tensor:
        """Lower bounds of $m^p$ (for `p = inf` of $m$) of every pixel, accumulation dtype."""
        wide = ops.cast(self.margins, accumulation_dtype())
        return lowered(wide * wide, 1) if p == 2 else wide


def count_pixels(
    logits: Tensor,
    labels: Tensor | None,
    mask: Tensor | None,
    logit_tolerance: Tensor,
    label_class: Tensor | None = None,
    *,
    ignore_class: int | None,
    num_classes: int,
    by_label: bool,
    class_groups: Groups | None = None,
    p: float = math.inf,
) -> CountedPixels:
    """Margins of the pixels that count over leaving their reference class.

    The reference is the label if `by_label`, and otherwise the predicted class; then labels, if
    any, only say which pixels `ignore_class` removes. With a scalar `label_class` only the pixels
    of that label count. With `class_groups` all of this is about groups, of which the margin is
    tight for the norm `p`, and valid for any norm by default.
    """

    def compute() -> Tensor:
        reference = labels if by_label else None
        if class_groups is None:
            margins = class_margins(logits, reference, logit_tolerance, num_classes)
        else:
            classes = predicted_class(logits, num_classes) if reference is None else reference
            groups = group_of(classes, class_groups)
            margins = group_margins(logits, groups, logit_tolerance, class_groups, p)
        ids = labels
        if ids is None:
            ids = margins if ignore_class is None else predicted_class(logits, num_classes)
        kept = kept_pixels(ids, mask, ignore_class)
        if by_label:
            unnamed = ops.logical_and(kept, ops.logical_not(named_class(labels, num_classes)))
            margins = ops.where(unnamed, math.nan, margins)
        if label_class is not None:
            same = ops.equal(group_of(labels, class_groups), group_of(label_class, class_groups))
            kept = ops.logical_and(kept, same)
        return _encoded(margins, kept)

    like = ops.zeros(ops.shape(logits)[:-1], dtype="float32")
    return _counted(materialised(compute, like, logits))


def counted(margins: Tensor, kept: Tensor) -> CountedPixels:
    """Flattens `(batch, H, W)` margins, in which NaN marks what could not be read."""
    return _counted(_encoded(margins, kept))


def _encoded(margins: Tensor, kept: Tensor) -> Tensor:
    """Marks the pixels that do not count by -1, unless they could not be read."""
    return ops.where(ops.logical_or(kept, ops.isnan(margins)), margins, -1.0)


def _counted(margins: Tensor) -> CountedPixels:
    margins = ops.reshape(margins, (ops.shape(margins)[0], -1))
    unread = ops.isnan(margins)
    margins = ops.where(unread, -1.0, margins)
    return CountedPixels(
        margins,
        ops.cast(_number(margins >= 0), count_dtype()),
        ops.equal(_number(unread), 0),
    )


def _number(flags: Tensor) -> Tensor:
    """Flags that are set, `(batch,)`: fewer than 2^27, and narrow integers are added faster."""
    return ops.sum(ops.cast(flags, "int32"), axis=-1)
