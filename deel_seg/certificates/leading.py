"""The last of a row of numbers to hold, found by halving."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

Tensor = Any


def leading(holds: Callable[[Tensor], Tensor], longest: Tensor, most: int) -> Tensor:
    """Finds how many of the numbers 1, 2, ..., `longest` hold before the first that does not.

    Should `holds` waver, as rounding may make it, the answer is some number m that holds with
    m + 1 not holding, and never less than the first such.

    Args:
        holds: From int32 numbers, shaped like `longest` and at most that, to bool.
        longest: int32.
        most: Upper bound of `longest`.
    """
    bits = most.bit_length()

    def step(index: Tensor, reached: Tensor) -> Tensor:
        further = reached + ops.left_shift(1, bits - 1 - ops.cast(index, "int32"))
        inside = further <= longest
        held = holds(ops.where(inside, further, longest))
        return ops.where(ops.logical_and(inside, held), further, reached)

    return ops.fori_loop(0, bits, step, ops.zeros_like(longest))
