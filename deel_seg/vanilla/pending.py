"""A tensor of the plain network, and what is still to be done to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from keras import layers

Tensor = Any


class Origin(NamedTuple):
    """What names a layer of the plain network and gives it its dtype: a layer, or a part of one."""

    name: str
    dtype_policy: Any


class Unplaced(ABC):
    """Layers that are not part of the network yet, so that what follows can go into them."""

    @property
    @abstractmethod
    def channels(self) -> int: ...

    @property
    def adds_offsets(self) -> bool:
        """Whether they add an offset without one more pass over their output."""
        return False

    @abstractmethod
    def __call__(self, scale: float, offset: np.ndarray | None) -> Tensor:
        """Adds them to the network; their output is `scale` times what it was, plus `offset`."""

    def reordered(self, order: np.ndarray) -> Unplaced | None:
        """With channel `order[i]` in place i, if they can have that."""
        return None

    def halved(self, name: Callable[[str], str]) -> tuple[Unplaced, Unplaced] | None:
        """Each half of the channels apart, under names that `name` makes, if they can have that."""
        return None

    def without_offset(self) -> Tensor | None:
        """Adds them to the network as they are, if an offset takes a layer more there."""
        return None


@dataclass(frozen=True)
class PlainConvolution(Unplaced):
    """A convolution with factor and offset in its kernel and bias.

    Args:
        source: The tensor that it is applied to.
        kind: `layers.Conv2D` or `layers.Conv2DTranspose`.
        kernel: Float64, as that layer stores it.
        bias: `(filters,)`, float64.
        options: The layer's other arguments.
    """

    source: Tensor
    kind: type
    kernel: np.ndarray
    bias: np.ndarray | None
    options: dict[str, Any]

    @property
    def channels(self) -> int:
        return int(self.kernel.shape[self._filter_axis])

    @property
    def adds_offsets(self) -> bool:
        # TensorFlow has no kernel that adds the bias of a transposed one.
        return self.kind is layers.Conv2D or self.bias is not None

    @property
    def _filter_axis(self) -> int:
        return 2 if self.kind is layers.Conv2DTranspose else 3

    def reordered(self, order: np.ndarray) -> PlainConvolution | None:
        if self.options.get("groups", 1) > 1:
            return None
        bias = None if self.bias is None else self.bias[order]
        return replace(self, kernel=np.take(self.kernel, order, self._filter_axis), bias=bias)

    def halved(
        self, name: Callable[[str], str]
    ) -> tuple[PlainConvolution, PlainConvolution] | None:
        if self.options.get("groups", 1) > 1:
            return None
        first, second = (
            replace(self, kernel=kernel, bias=bias, options={**self.options, "name": name(part)})
            for part, kernel, bias in zip(
                (f"{self.options['name']}_first", f"{self.options['name']}_second"),
                np.split(self.kernel, 2, self._filter_axis),
                (None, None) if self.bias is None else np.split(self.bias, 2),
                strict=True,
            )
        )
        return first, second

    def __call__(self, scale: float, offset: np.ndarray | None) -> Tensor:
        bias = None if self.bias is None else scale * self.bias
        if offset is not None:
            bias = offset if bias is None else bias + offset
        layer = self.kind(
            self.channels, self.kernel.shape[:2], use_bias=bias is not None, **self.options
        )
        outputs = layer(self.source)
        weights = [scale * self.kernel] if bias is None else [scale * self.kernel, bias]
        layer.set_weights([weight.astype("float32") for weight in weights])
        return outputs


@dataclass(frozen=True)
class Pending:
    """A tensor of the Lipschitz network, as what has to be done to one of the plain network.

    Its channel i is `scale * tensor[..., order[i]] + offset[i]`. What layers do to the values of a
    channel is so handed on to the next convolution, or back to the last, instead of being done by
    layers of their own.

    Args:
        tensor: Tensor of the plain network, or what yields it once it is placed there.
        origin: The layer of the Lipschitz network it comes from, or an `Origin`.
        scale: Above 0.
        offset: `(channels,)`, float64, or `None` for zeros.
        order: `(channels,)`, integers, or `None` for 0, 1, 2, ...
    """

    tensor: Tensor | Unplaced
    origin: Any
    scale: float = 1.0
    offset: np.ndarray | None = None
    order: np.ndarray | None = None

    @property
    def is_open(self) -> bool:
        """Whether it can still take something in."""
        return isinstance(self.tensor, Unplaced)

    @property
    def is_done(self) -> bool:
        """Whether it is a tensor, and nothing else."""
        return not self.is_open and self.scale == 1.0 and self.offset is self.order is None

    @property
    def channels(self) -> int:
        tensor = self.tensor
        return tensor.channels if isinstance(tensor, Unplaced) else int(tensor.shape[-1])

    def coming_from(self, layer: Any) -> Pending:
        """The same, with another layer behind it."""
        return replace(self, origin=layer)

    def scaled(self, factor: float) -> Pending:
        """Times a factor above 0."""
        offset = None if self.offset is None else factor * self.offset
        return replace(self, scale=factor * self.scale, offset=offset)

    def shifted(self, shift: np.ndarray) -> Pending:
        """Plus a value for each channel."""
        return replace(self, offset=shift if self.offset is None else self.offset + shift)

    def physical_offset(self) -> np.ndarray | None:
        """The offset in the order of the tensor's channels."""
        if self.offset is None or self.order is None:
            return self.offset
        placed = np.empty_like(self.offset)
        placed[self.order] = self.offset
        return placed
