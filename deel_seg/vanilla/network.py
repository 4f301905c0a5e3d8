"""The plain network while it is being built: which layers it gets, and under which names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from keras import layers

from deel_seg.vanilla.pending import Pending, PlainConvolution

Tensor = Any


class PlainNetwork:
    """Adds layers of Keras' own, each under a name that no other has.

    What was pending of a value is done once, however many layers ask for it.
    """

    def __init__(self) -> None:
        self._names: set[str] = set()
        # With the value itself: its id names it only as long as it lives.
        self._found: dict[tuple[str, int], tuple[Pending, Any]] = {}

    def name(self, wanted: str) -> str:
        """`wanted`, or where that is taken already, with a number."""
        name, number = wanted, 1
        while name in self._names:
            number += 1
            name = f"{wanted}_{number}"
        self._names.add(name)
        return name

    def options(self, origin: Any, part: str = "") -> dict[str, Any]:
        """Name and dtype of a layer that stands for `origin`, or for a part of it."""
        return {"name": self.name(f"{origin.name}{part}"), "dtype": origin.dtype_policy}

    def tensor(self, value: Pending) -> Tensor:
        """The tensor itself, with all done to it that was pending."""
        return self._once("tensor", value, lambda: self._tensor(value))

    def without_offset(self, value: Pending) -> Pending:
        """The same with its offset added, by what yields it if that is still open."""
        offset = value.physical_offset()
        if offset is None:
            return value
        return self._once("offset", value, lambda: self._shifted(value, offset))

    def in_order(self, value: Pending) -> Pending:
        """The same with its channels where they belong."""
        order = value.order
        if order is None:
            return value
        return self._once("order", value, lambda: self._ordered(value, order))

    def closed(self, value: Pending) -> Pending:
        """The same as a tensor: for what several layers use, or a network returns."""
        if not value.is_open:
            return value
        tensor = value.tensor(value.scale, value.physical_offset())
        return Pending(tensor, value.origin, order=value.order)

    def placed(self, value: Pending) -> Pending:
        """As `closed`, for a layer that hands an offset on: it stays one where it has a price."""
        tensor = value.tensor.without_offset() if value.is_open else None
        return self.closed(value) if tensor is None else replace(value, tensor=tensor)

    def fixed_convolution(
        self, inputs: Tensor, kernel: np.ndarray, origin: Any, part: str = "", **options: Any
    ) -> Tensor:
        """A convolution with a kernel of zeros and ones, which is not trained."""
        kind = options.pop("kind", layers.Conv2D)
        options = {**self.options(origin, part), "trainable": False, **options}
        return PlainConvolution(inputs, kind, kernel, None, options)(1.0, None)

    def _once(self, what: str, value: Pending, find: Callable[[], Any]) -> Any:
        key = (what, id(value))
        if key not in self._found:
            self._found[key] = (value, find())
        return self._found[key][1]

    def _tensor(self, value: Pending) -> Tensor:
        value = self.in_order(self.without_offset(value))
        if value.is_open:
            return value.tensor(value.scale, None)
        if value.is_done:
            return value.tensor
        rescaling = layers.Rescaling(value.scale, **self.options(value.origin))
        return rescaling(value.tensor)

    def _shifted(self, value: Pending, offset: np.ndarray) -> Pending:
        if value.is_open:
            return self.closed(value)
        rescaling = layers.Rescaling(value.scale, offset.tolist(), **self.options(value.origin))
        return Pending(rescaling(value.tensor), value.origin, order=value.order)

    def _ordered(self, value: Pending, order: np.ndarray) -> Pending:
        reordered = value.tensor.reordered(order) if value.is_open else None
        if reordered is not None:
            return replace(value, tensor=reordered, order=None)
        value = self.closed(value)
        # A product with 1 and sums with 0 are exact: this moves channels, and no more.
        permutation = np.eye(value.channels)[:, order][None, None]
        moved = self.fixed_convolution(value.tensor, permutation, value.origin, "_order")
        return replace(value, tensor=moved, order=None)
