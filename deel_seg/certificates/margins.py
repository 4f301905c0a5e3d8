"""Margin of a class over every other one, rounded towards zero."""

from __future__ import annotations

from typing import Any

from keras import ops

from deel_seg._backend import accumulation_dtype
from deel_seg.certificates.rounding import LARGEST, SMALLEST, TINY, lowered, raised

Tensor = Any


def class_margins(
    logits: Tensor, classes: Tensor, logit_tolerance: Tensor, num_classes: int
) -> Tensor:
    r"""Lower-bounds, at every pixel, how far the logit of `classes` stands above all others.

    The margin is $z_k - \max_{j \ne k} z_j$, or for one signed logit $z$ (class 1) and $-z$
    (class 0); 0 where the class is not strictly on top. With the predicted class it is the
    difference of the two largest logits.

    Rounding: the difference of two float32 logits, of which one may be a subnormal flushed to
    zero, is within `2u` of the exact one once it exceeds `SMALLEST`, since a subnormal is below
    `2^-126 < u * SMALLEST`. Shrinking by `6u` leaves a bound that is at least `3u` below the
    exact margin, of which the subtraction of the tolerance takes at most `u`.

    Args:
        logits: `(batch, H, W, num_classes)`, float32 or float64, finite.
        classes: `(batch, H, W)`, integer class ids.
        logit_tolerance: Scalar; how far each logit may be from the exact one.
        num_classes: Size of the last axis; 1 for one signed logit.

    Returns:
        `(batch, H, W)` in the accumulation dtype, 0 or between `SMALLEST` and `LARGEST`.
    """
    wide = accumulation_dtype()
    if num_classes == 1:
        logit = ops.cast(logits[..., 0], wide)
        exact = ops.where(ops.equal(classes, 1), logit, -logit)
    else:
        chosen = ops.equal(classes[..., None], ops.arange(num_classes, dtype=classes.dtype))
        own = ops.max(ops.where(chosen, logits, -float("inf")), axis=-1)
        other = ops.max(ops.where(chosen, -float("inf"), logits), axis=-1)
        exact = ops.cast(own, wide) - ops.cast(other, wide)
    logits_moved = 1 if num_classes == 1 else 2
    margins = lowered(exact, 6) - logits_moved * raised(logit_tolerance + TINY, 4)
    return ops.where(margins >= SMALLEST, ops.minimum(margins, LARGEST), ops.zeros_like(margins))
