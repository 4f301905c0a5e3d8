"""One pass over the logits of every pixel, many classes side by side.

Where there are many, reading one class of each pixel after the other is slow: the logits of a
pixel lie side by side in memory. Lanes are what each vector operation works on at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from keras import ops

from deel_seg.certificates.class_fold import widened

Tensor = Any

LANES = 16  # Two vectors of the usual processor.
IN_CACHE = 32  # Classes up to which those of a pixel are read faster one after the other.
_FARTHEST = 2.0**127  # No finite distance counts as larger.


def lanes(logits: Tensor, num_classes: int) -> Iterator[tuple[Tensor, np.ndarray]]:
    """Logits of consecutive classes and their ids, `(batch, H, W, LANES)` and `(LANES,)`.

    Where the number of classes, at least `LANES`, is no multiple of it, the last ones overlap
    those before, and the id of a class that was there already is -1.
    """
    for start in range(0, num_classes, LANES):
        first = min(start, num_classes - LANES)
        ids = np.arange(first, first + LANES, dtype="int32")
        yield widened(logits[..., first : first + LANES]), np.where(ids < start, -1, ids)


def fold_lanes(
    step: Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]],
    logits: Tensor,
    num_classes: int,
) -> tuple[list[Tensor], list[Tensor]]:
    """Folds the classes of each lane, from two states of -inf, and returns those of all lanes.

    `step` is handed both states, logits and their class ids, and returns both states. Logits that
    are not finite come as inf, and those that were there already as -inf.

    Returns:
        The first states of all lanes, `(batch, H, W)` each, and the second ones.
    """
    shape = (*ops.shape(logits)[:-1], LANES)
    first = second = ops.full(shape, -math.inf, dtype=widened(logits[..., :1]).dtype)
    for values, ids in lanes(logits, num_classes):
        values = ops.where(ops.isfinite(values), values, math.inf)
        if (ids < 0).any():
            values = ops.where(ids >= 0, values, -math.inf)
        first, second = step(first, second, values, ids)
    # One array, for the same reason as in `lane_sums`.
    both = ops.where(np.array([[True], [False]]), first[..., None, :], second[..., None, :])
    return tuple([both[..., row, lane] for lane in range(LANES)] for row in (0, 1))  # type: ignore


def largest_of_lanes(logits: Tensor, own: Tensor, class_id: Tensor, num_classes: int) -> Tensor:
    """Largest distance of the other classes of each lane to class k, whose logit is `own`.

    Returns:
        `(batch, H, W, LANES)`, float32: the distances of different classes, far below 0 where
            there are none; some of them inf where a logit is not finite, and only there.
    """
    largest = ops.full((*ops.shape(own), LANES), -_FARTHEST, dtype="float32")
    for values, ids in lanes(logits, num_classes):
        distance = ops.minimum(ops.cast(values - own[..., None], "float32"), _FARTHEST)
        distance = ops.where(ops.isfinite(values), distance, math.inf)
        left_out = ops.logical_or(ids < 0, ops.equal(class_id, ids))
        largest = ops.maximum(largest, ops.where(left_out, -_FARTHEST, distance))
    return ops.where(ops.isfinite(own)[..., None], largest, math.inf)


def additions(num_classes: int) -> int:
    """How many additions a term of `lane_sums` goes through at most."""
    return -(-num_classes // LANES) + LANES


def lane_sums(
    terms: Callable[[Tensor], tuple[Tensor, Tensor]], logits: Tensor, num_classes: int
) -> tuple[Tensor, Tensor]:
    """Sums over the classes of two functions of their logits, `(batch, H, W)` float32 each.

    `terms` is handed logits `(batch, H, W, 1, LANES)`. Each lane adds up its own terms before the
    lanes are added up, both in any order. The two sums are one array, for the compiler makes of
    each array a loop of its own, which reads all logits anew.
    """
    is_first = np.array([[True], [False]])
    total: Tensor = 0.0
    for values, ids in lanes(logits, num_classes):
        term = ops.where(is_first, *terms(values[..., None, :]))
        total = total + (ops.where(ids >= 0, term, 0.0) if (ids < 0).any() else term)
    sums = ops.sum(total, axis=-1)
    return sums[..., 0], sums[..., 1]
