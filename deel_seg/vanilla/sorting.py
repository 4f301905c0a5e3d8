"""Sorted pairs of channels, out of Keras' own layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from keras import layers

from deel_seg._checks import received
from deel_seg.layers import MaxMin
from deel_seg.layers.activations import PairSorting
from deel_seg.vanilla.network import PlainNetwork
from deel_seg.vanilla.pending import Pending, Unplaced

Tensor = Any


def sorting(network: PlainNetwork, layer: PairSorting, value: Pending) -> Pending:
    """Maximum and minimum of the two halves of the channels, side by side.

    `MaxMin` pairs the halves as they are. For `GroupSort2` the even channels come first and then
    the odd ones, which a convolution before it does by the order of its filters; afterwards they
    lie in that order, which the next convolution takes into account.
    """
    halves = isinstance(layer, MaxMin)
    by_parity = np.arange(value.channels).reshape(-1, 2).T.ravel()  # 0, 2, 4, ..., 1, 3, 5, ...
    if not halves:
        order = by_parity if value.order is None else value.order[by_parity]
        offset = None if value.offset is None else value.offset[by_parity]
        value = replace(value, order=order, offset=offset)
    value = network.in_order(value)
    if value.is_open:
        pairs: Any = SortedPairs(network, layer, value)
        factor = layer.output_factor(layer.compute_dtype)
    else:
        value = network.without_offset(value)
        pairs = sorted_pairs(network, layer, _cut(network, layer, value.tensor))
        # What sorts pairs commutes with a factor above zero.
        factor = value.scale * layer.output_factor(layer.compute_dtype)
    return Pending(pairs, layer, factor, order=None if halves else np.argsort(by_parity))


@dataclass(frozen=True)
class SortedPairs(Unplaced):
    """Sorted pairs of what a convolution yields that is not part of the network yet either.

    A convolution that has a bias, or gets one for nothing, shifts both values of a pair by the
    offset of the one that comes first. So only the other one is left to shift.
    """

    network: PlainNetwork
    layer: PairSorting
    source: Pending  # open, with its channels where they belong

    @property
    def channels(self) -> int:
        return self.source.channels

    def __call__(self, scale: float, offset: np.ndarray | None) -> Tensor:
        source = self.source.scaled(scale)
        if offset is None:
            return self._sorted(source)
        tensor = source.tensor
        has_bias = source.offset is not None or (
            isinstance(tensor, Unplaced) and tensor.adds_offsets
        )
        if has_bias:
            first, second = np.split(offset, 2)
            return self._sorted(source.shifted(np.tile(first, 2)), second - first)
        options = self.network.options(self.layer, "_shift")
        return layers.Rescaling(1.0, offset.tolist(), **options)(self._sorted(source))

    def without_offset(self) -> Tensor:
        return self(1.0, None)

    def _sorted(self, source: Pending, shift: np.ndarray | None = None) -> Tensor:
        return sorted_pairs(self.network, self.layer, self._pair(source), shift)

    def _pair(self, source: Pending) -> Sequence[Tensor]:
        """The halves, made apart by two convolutions if they can be: that spares a copy of each."""
        whole = source.tensor
        halves = whole.halved(self.network.name) if isinstance(whole, Unplaced) else None
        if halves is None:
            return _cut(self.network, self.layer, self.network.tensor(source))
        offsets = (None, None) if source.offset is None else np.split(source.offset, 2)
        return [half(source.scale, offset) for half, offset in zip(halves, offsets, strict=True)]


def sorted_pairs(
    network: PlainNetwork,
    layer: PairSorting,
    halves: Sequence[Tensor],
    shift: np.ndarray | None = None,
) -> Tensor:
    """The pairs of the two halves of the channels, the second value of each plus `shift`."""
    larger = layers.Maximum(**network.options(layer, "_larger"))(halves)
    smaller = layers.Minimum(**network.options(layer, "_smaller"))(halves)
    first, second = (larger, smaller) if isinstance(layer, MaxMin) else (smaller, larger)
    if shift is not None:
        second = layers.Rescaling(1.0, shift.tolist(), **network.options(layer, "_shift"))(second)
    return layers.Concatenate(**network.options(layer))([first, second])


def _cut(network: PlainNetwork, layer: PairSorting, inputs: Tensor) -> Sequence[Tensor]:
    """The two halves of the channels of a tensor."""
    if len(inputs.shape) != 4:
        raise ValueError(
            f"Layer {layer.name!r} has a form among Keras' own layers for images only. "
            + received(shape=tuple(inputs.shape))
        )
    half = inputs.shape[-1] // 2
    # What this layer takes for height and width of channels first are our width and channels.
    return [
        layers.Cropping2D(
            ((0, 0), kept), data_format="channels_first", **network.options(layer, part)
        )(inputs)
        for part, kept in (("_first", (0, half)), ("_second", (half, 0)))
    ]
