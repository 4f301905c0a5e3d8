"""How step lengths fall on the way."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

Tensor = Any


def cosine(step: Tensor, steps: int, first: float, last: float) -> Tensor:
    """From `first` to `last` along half a cosine."""
    share = ops.cast(step, "float32") / max(steps - 1, 1)
    return last + 0.5 * (first - last) * (1.0 + ops.cos(math.pi * share))


def linear(step: Tensor, steps: int, first: float, last: float) -> Tensor:
    """From `first` to `last` along a line."""
    return first + (last - first) * ops.cast(step, "float32") / max(steps - 1, 1)


def geometric(step: Tensor, steps: int, first: float, ratio: float) -> Tensor:
    """From `first` to `ratio` times that, by equal factors."""
    return first * ops.power(ratio, ops.cast(step, "float32") / steps)
