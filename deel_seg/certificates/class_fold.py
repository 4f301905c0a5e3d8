"""One pass over the logits of every pixel, class by class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

Tensor = Any
State = tuple[Tensor, ...]

_UNROLLED = 256  # Classes up to which all are written out: XLA compiles as many in seconds.
_BLOCK = 32


def channel(logits: Tensor, index: Any) -> Tensor:
    """Logits of one class, `(batch, H, W)`; half precision is widened exactly."""
    return widened(
        logits[..., index] if isinstance(index, int) else ops.take(logits, index, axis=-1)
    )


def widened(values: Tensor) -> Tensor:
    """The same values, as float32 where they are of half precision."""
    if keras.backend.standardize_dtype(values.dtype) in ("float16", "bfloat16"):
        return ops.cast(values, "float32")
    return values


def fold_classes(
    step: Callable[[State, Tensor, Any], State],
    state: State,
    logits: Tensor,
    num_classes: int,
) -> State:
    """Applies `step(state, logits of a class, class id)` to one class after the other.

    The class axis is unrolled: the compiler fuses the slices into one loop over the pixels, which
    reads each logit once, where reductions over that axis read all of them once each. Hundreds of
    classes go by blocks, which costs some passes more.
    """
    blocks = num_classes // _BLOCK if num_classes > _UNROLLED else 0
    shape = (*ops.shape(logits)[:-1], 1)

    def fold_block(number: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        for index in range(_BLOCK):
            class_id = number * _BLOCK + index
            # Each class is read where it stands; a block of them would be copied first.
            value = channel(ops.slice(logits, (0, 0, 0, class_id), shape), 0)
            state = step(state, value, class_id)
        return (number + 1, *state)

    if blocks:
        _, *rest = ops.while_loop(
            lambda number, *_: number < blocks,
            fold_block,
            (ops.convert_to_tensor(0, "int32"), *state),
        )
        state = tuple(rest)
    for index in range(blocks * _BLOCK, num_classes):
        state = step(state, channel(logits, index), index)
    return state
