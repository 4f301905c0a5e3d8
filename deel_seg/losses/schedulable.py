"""A scalar of a loss that may change between steps without compiling the step anew."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from deel_seg._backend import IS_TENSORFLOW, is_concrete

if not IS_TENSORFLOW:
    import jax
    from jax.experimental import io_callback

Tensor = Any


class Schedulable(keras.Variable):
    """Scalar float32 variable whose current value a compiled training step sees.

    TensorFlow reads variables when a step runs. JAX would compile the value in, for the state of
    a step holds the variables of model, optimizer and metrics but not those of a loss; there a
    compiled step asks the host instead.

    Args:
        value: Initial value.
        name: Name of the variable.
    """

    def __init__(self, value: float, *, name: str) -> None:
        super().__init__(float(value), dtype="float32", trainable=False, autocast=False, name=name)
        self._on_host = np.float32(value)

    def assign(self, value: Any) -> Tensor:
        if not IS_TENSORFLOW:
            self._on_host = np.float32(value)
        return super().assign(value)

    def read(self, beside: Tensor) -> Tensor:
        """Current value, in the graph or trace that `beside` belongs to."""
        if IS_TENSORFLOW or is_concrete(beside):
            return ops.convert_to_tensor(self)
        scalar = jax.ShapeDtypeStruct((), "float32")
        return io_callback(lambda: self._on_host, scalar)
