"""One pass over the logits of every pixel, class by class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

Tensor = Any
State = tuple[Tensor, ...]

_UNROLLED = 32  # Classes written out at once; more of a long step take XLA minutes to compile.


def channel(logits: Tensor, index: Any) -> Tensor:
    """Logits of one class, `(batch, H, W)`; half precision is widened exactly."""
    values = logits[..., index] if isinstance(index, int) else ops.take(logits, index, axis=-1)
    if keras.backend.standardize_dtype(values.dtype) in ("float16", "bfloat16"):
        return ops.cast(values, "float32")
    return values


def fold_classes(
    step: Callable[[State, Tensor, Any], State],
    state: State,
    logits: Tensor,
    num_classes: int,
    unrolled: int = _UNROLLED,
) -> State:
    """Applies `step(state, logits of a class, class id)` to one class after the other.

    The class axis is unrolled: the compiler fuses the slices into one loop over the pixels, which
    reads each logit once, where reductions over that axis read all of them once each. Beyond
    `unrolled` classes it goes by blocks, which costs some passes more.
    """
    blocks = num_classes // _UNROLLED if num_classes > unrolled else 0

    def fold_block(number: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        start = number * _UNROLLED
        shape = (*ops.shape(logits)[:-1], _UNROLLED)
        block = ops.slice(logits, (0, 0, 0, start), shape)
        for index in range(_UNROLLED):
            state = step(state, channel(block, index), start + index)
        return (number + 1, *state)

    if blocks:
        _, *rest = ops.while_loop(
            lambda number, *_: number < blocks,
            fold_block,
            (ops.convert_to_tensor(0, "int32"), *state),
        )
        state = tuple(rest)
    for index in range(blocks * _UNROLLED, num_classes):
        state = step(state, channel(logits, index), index)
    return state
