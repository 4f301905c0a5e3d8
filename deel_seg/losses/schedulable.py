"""A scalar of a loss that may change between steps without compiling the step anew."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from deel_seg._backend import is_concrete, read_at_run_time

Tensor = Any


class Schedulable(keras.Variable):
    """Scalar float32 variable whose current value a compiled training step sees.

    Args:
        value: Initial value.
        name: Name of the variable.
    """

    def __init__(self, value: float, *, name: str) -> None:
        super().__init__(float(value), dtype="float32", trainable=False, autocast=False, name=name)
        self._on_host = np.float32(value)

    def assign(self, value: Any) -> Tensor:
        self._on_host = np.float32(value)
        return super().assign(value)

    @property
    def on_host(self) -> float:
        """Current value, without asking the devices: under replication there are several."""
        return float(self._on_host)

    def read(self, beside: Tensor) -> Tensor:
        """Current value, in the graph or trace that `beside` belongs to."""
        if is_concrete(beside):
            return ops.convert_to_tensor(self)
        return read_at_run_time(self, lambda: self._on_host)
