"""Sorted pairs of channels, out of Keras' own layers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from keras import layers

from deel_seg._checks import received
from deel_seg.layers import MaxMin
from deel_seg.layers.activations import PairSorting
from deel_seg.vanilla.network import PlainNetwork
from deel_seg.vanilla.pending import Pending


def sorting(network: PlainNetwork, layer: PairSorting, value: Pending) -> Pending:
    """Maximum and minimum of the two halves of the channels, side by side.

    `MaxMin` pairs the halves as they are. For `GroupSort2` the even channels come first and then
    the odd ones, which a convolution before it does by the order of its filters; afterwards they
    lie in that order, which the next convolution takes into account.
    """
    halves = isinstance(layer, MaxMin)
    by_parity = np.arange(value.channels).reshape(-1, 2).T.ravel()  # 0, 2, 4, ..., 1, 3, 5, ...
    value = network.without_offset(value)
    if not halves:
        order = by_parity if value.order is None else value.order[by_parity]
        value = replace(value, order=order)
    value = network.in_order(value)
    inputs = network.tensor(Pending(value.tensor, value.origin))
    if len(inputs.shape) != 4:
        raise ValueError(
            f"Layer {layer.name!r} has a form among Keras' own layers for images only. "
            + received(shape=tuple(inputs.shape))
        )
    pair = [_half(network, layer, inputs, which) for which in (0, 1)]
    larger = layers.Maximum(**network.options(layer, "_larger"))(pair)
    smaller = layers.Minimum(**network.options(layer, "_smaller"))(pair)
    together = layers.Concatenate(**network.options(layer))
    sorted_pairs = together([larger, smaller] if halves else [smaller, larger])
    # What sorts pairs commutes with a factor above zero.
    factor = value.scale * layer.output_factor(layer.compute_dtype)
    return Pending(sorted_pairs, layer, factor, order=None if halves else np.argsort(by_parity))


def _half(network: PlainNetwork, layer: PairSorting, inputs: Any, which: int) -> Any:
    """One half of the channels."""
    half = inputs.shape[-1] // 2
    # What this layer takes for height and width of channels first are our width and channels.
    cropping = layers.Cropping2D(
        ((0, 0), (half, 0) if which else (0, half)),
        data_format="channels_first",
        **network.options(layer, ("_first", "_second")[which]),
    )
    return cropping(inputs)
