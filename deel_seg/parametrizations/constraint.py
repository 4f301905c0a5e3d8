"""The constraint that puts variables back on the manifold, one by one or side by side."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
from keras import ops

from deel_seg._backend import branch
from deel_seg.parametrizations.orthonormal import retract

Tensor = Any


@keras.saving.register_keras_serializable("deel_seg")
class Orthonormal(keras.constraints.Constraint):
    """Puts a variable back on the manifold after each update; see `retract`."""

    def __init__(self, iterations: int = 4) -> None:
        self.iterations = iterations

    def __call__(self, w: Tensor) -> Tensor:
        together = _together.get()
        if together is not None and (retracted := together.take(w)) is not None:
            return retracted
        return retract(ops.convert_to_tensor(w), self.iterations)

    def get_config(self) -> dict[str, Any]:
        return {"iterations": self.iterations}


class _Together:
    """Retracts variables of one size in the products of one, when the first of them is asked for.

    By then an optimiser has updated all of them: Keras' optimisers run constraints last.
    """

    def __init__(
        self, variables: Iterable[Any], updated: Callable[[], Tensor] | None = None
    ) -> None:
        self._updated = updated
        self._alike: dict[Any, list[Any]] = {}
        self._size: dict[int, Any] = {}
        for variable in variables:
            if not isinstance(variable.constraint, Orthonormal):
                continue
            size = (*variable.shape[-2:], variable.constraint.iterations)
            self._alike.setdefault(size, []).append(variable)
            self._size[id(variable)] = size
        self._retracted: dict[int, Tensor] = {}

    def take(self, variable: Any) -> Tensor | None:
        """The retracted value, or None for a variable that is none of ours."""
        if id(variable) not in self._size:
            return None
        if id(variable) not in self._retracted:
            self._retract(self._size[id(variable)])
        return self._retracted.pop(id(variable))

    def _retract(self, size: Any) -> None:
        rows, columns, iterations = size
        variables = self._alike[size]
        flat = [ops.reshape(variable, (-1, rows, columns)) for variable in variables]
        stacked = ops.concatenate(flat, axis=0)
        if self._updated is None:
            retracted = retract(stacked, iterations)
        else:
            retracted = branch(
                self._updated(), lambda: retract(stacked, iterations), lambda: stacked
            )
        end = 0
        for variable, part in zip(variables, flat, strict=True):
            start, end = end, end + part.shape[0]
            self._retracted[id(variable)] = ops.reshape(retracted[start:end], variable.shape)


_together: contextvars.ContextVar[_Together | None] = contextvars.ContextVar(
    "together", default=None
)


@contextlib.contextmanager
def retracted_together(
    variables: Iterable[Any], updated: Callable[[], Tensor] | None = None
) -> Iterator[None]:
    """Lets the `Orthonormal` constraints of variables run side by side in one optimiser step.

    Args:
        variables: Keras variables with that constraint.
        updated: Whether the step has updated them, a bool tensor; it has if None. An optimiser
            that adds up the gradients of several batches updates them after the last one only, and
            runs constraints after each.
    """
    before = _together.set(_Together(variables, updated))
    try:
        yield
    finally:
        _together.reset(before)
