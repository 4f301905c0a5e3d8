"""Margin of a class over every other one, rounded towards zero: one pass over the logits."""

from __future__ import annotations

import functools
import math
from typing import Any

import keras
from keras import ops

from deel_seg.certificates.class_fold import channel, fold_classes
from deel_seg.certificates.class_lanes import IN_CACHE, fold_lanes
from deel_seg.certificates.rounding import (
    LARGEST,
    SMALLEST,
    TINY,
    float32_below,
    raised,
)

Tensor = Any


def class_margins(
    logits: Tensor, classes: Tensor | None, logit_tolerance: Tensor, num_classes: int
) -> Tensor:
    r"""Lower-bounds, at every pixel, how far the logit of `classes` stands above all others.

    The margin is $z_k - \max_{j \ne k} z_j$, or for one signed logit $z$ (class 1) and $-z$
    (class 0); 0 where the class is not strictly on top. For the predicted class it is the
    difference of the two largest logits.

    Args:
        logits: `(batch, H, W, num_classes)`, any float dtype.
        classes: `(batch, H, W)`, integer class ids; `None` for the predicted ones.
        logit_tolerance: Scalar; how far each logit may be from the exact one.
        num_classes: Size of the last axis; 1 for one signed logit.

    Returns:
        `(batch, H, W)`, float32: NaN where a logit is not finite, else 0 or between `SMALLEST`
            and `LARGEST`.
    """
    if num_classes == 1:
        logit = channel(logits, 0)
        finite = ops.isfinite(logit)
        exact = ops.abs(logit) if classes is None else _signed(logit, classes)
    elif classes is None:
        exact, finite = _two_largest(logits, num_classes)
    else:
        exact, finite = _own_and_largest_other(logits, classes, num_classes)
    logits_moved = 1 if num_classes == 1 else 2
    margins = usable_margins(exact, logits_moved * logit_tolerance)
    return ops.where(finite, margins, math.nan)


def usable_margins(exact: Tensor, tolerance: Tensor) -> Tensor:
    """Lower-bounds `exact - tolerance` by 0 or a float32 in the working range.

    Rounding: `exact` is off by half a place of float32 (a difference of two logits), by half a
    place more when it is cast from float64, and by the flush of a subnormal logit, which is below
    2^-126 and far below a place of anything above `SMALLEST`: two places cover it. The tolerance
    is grown by more than its cast is off, and one more place covers its subtraction.
    """
    below = float32_below(ops.cast(exact, "float32"), 2)
    tolerance = ops.cast(raised(tolerance + 2 * TINY, 4), "float32") * (1 + 2.0**-22)
    below = float32_below(below - tolerance, 1)
    return ops.where(
        ops.logical_and(exact > 0, below >= SMALLEST),
        ops.minimum(below, LARGEST),
        ops.zeros_like(below),
    )


def _signed(logit: Tensor, classes: Tensor) -> Tensor:
    return ops.where(ops.equal(classes, 1), logit, -logit)


def _two_largest(logits: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Difference of the two largest logits, and whether all are finite."""
    if num_classes > IN_CACHE:
        return _two_largest_of_many(logits, num_classes)

    def step(state: Any, value: Tensor, _: Any) -> Any:
        first, second, finite = state
        second = ops.maximum(second, ops.minimum(first, value))
        return ops.maximum(first, value), second, ops.logical_and(finite, ops.isfinite(value))

    lowest = ops.full_like(channel(logits, 0), -math.inf)
    state = (lowest, lowest, ops.ones_like(lowest, dtype="bool"))
    first, second, finite = fold_classes(step, state, logits, num_classes)
    return first - second, finite


def _own_and_largest_other(
    logits: Tensor, classes: Tensor, num_classes: int
) -> tuple[Tensor, Tensor]:
    """Logit of `classes` less the largest other one, and whether all are finite."""
    if num_classes > IN_CACHE:
        return _own_and_largest_other_of_many(logits, classes, num_classes)

    def step(state: Any, value: Tensor, index: Any) -> Any:
        own, other, finite = state
        chosen = ops.equal(classes, index)
        own = ops.where(chosen, value, own)
        other = ops.where(chosen, other, ops.maximum(other, value))
        return own, other, ops.logical_and(finite, ops.isfinite(value))

    lowest = ops.full_like(channel(logits, 0), -math.inf)
    state = (lowest, lowest, ops.ones_like(lowest, dtype="bool"))
    own, other, finite = fold_classes(step, state, logits, num_classes)
    return own - other, finite


def _two_largest_of_many(logits: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """The same, many classes side by side."""

    def step(first: Tensor, second: Tensor, values: Tensor, _: Any) -> tuple[Tensor, Tensor]:
        return ops.maximum(first, values), ops.maximum(second, ops.minimum(first, values))

    firsts, seconds = fold_lanes(step, logits, num_classes)
    first, second = firsts[0], seconds[0]
    for of_lane, next_of_lane in zip(firsts[1:], seconds[1:], strict=True):
        second = ops.maximum(ops.maximum(second, next_of_lane), ops.minimum(first, of_lane))
        first = ops.maximum(first, of_lane)
    return first - second, ops.isfinite(first)


def _own_and_largest_other_of_many(
    logits: Tensor, classes: Tensor, num_classes: int
) -> tuple[Tensor, Tensor]:
    """The same, many classes side by side."""
    # In 8 bits class 256 would be 0, and its logit none of the others.
    wide = "int64" if keras.backend.standardize_dtype(classes.dtype) == "int64" else "int32"
    classes = ops.cast(classes, wide)

    def step(own: Tensor, other: Tensor, values: Tensor, ids: Any) -> tuple[Tensor, Tensor]:
        chosen = ops.equal(classes[..., None], ops.cast(ids, wide))
        return (
            ops.where(chosen, ops.maximum(own, values), own),
            ops.where(chosen, other, ops.maximum(other, values)),
        )

    owns, others = fold_lanes(step, logits, num_classes)
    own = functools.reduce(ops.maximum, owns)
    other = functools.reduce(ops.maximum, others)
    # What is not finite is inf by now, and a class that is not named has no logit at all.
    found = ops.logical_and(own < math.inf, other < math.inf)
    return own - other, found
