"""Scaled sums and concatenations, out of Keras' own layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import layers, ops

from deel_seg.layers import ScaledAdd, ScaledConcatenate
from deel_seg.vanilla.network import PlainNetwork
from deel_seg.vanilla.pending import Origin, Pending


def scaled_add(network: PlainNetwork, layer: ScaledAdd, values: Sequence[Pending]) -> Pending:
    """`Add` of the branches, each times its weight; equal weights wait for what follows."""
    dtype = layer.compute_dtype
    if layer.learned:
        weights = ops.convert_to_numpy(ops.cast(layer.branch_weights(), "float32")).tolist()
        factor = layer.output_factor(dtype)
    else:
        weights = [1.0] * len(values)
        factor = layer.output_factor(dtype, 1.0 / len(values))
    tensors = [
        network.tensor(_for_branch(value.scaled(weight), layer, number))
        for number, (value, weight) in enumerate(zip(values, weights, strict=True), start=1)
    ]
    return Pending(layers.Add(**network.options(layer))(tensors), layer, factor)


def scaled_concatenate(
    network: PlainNetwork, layer: ScaledConcatenate, values: Sequence[Pending]
) -> Pending:
    """`Concatenate` of the branches; what is pending of all of them alike stays so."""
    values = [network.placed(value) for value in values]
    if len({value.scale for value in values}) > 1:
        values = [Pending(network.tensor(value), value.origin) for value in values]
    together = layers.Concatenate(**network.options(layer))([value.tensor for value in values])
    factor = layer.output_factor(layer.compute_dtype, 1.0 / math.sqrt(len(values)))
    merged = Pending(together, layer, values[0].scale, _offsets(values), _orders(values))
    return merged.scaled(factor)


def _offsets(values: Sequence[Pending]) -> np.ndarray | None:
    if all(value.offset is None for value in values):
        return None
    return np.concatenate(
        [np.zeros(value.channels) if value.offset is None else value.offset for value in values]
    )


def _orders(values: Sequence[Pending]) -> np.ndarray | None:
    if all(value.order is None for value in values):
        return None
    starts = np.cumsum([0, *(value.channels for value in values[:-1])])
    return np.concatenate(
        [
            start + (np.arange(value.channels) if value.order is None else value.order)
            for start, value in zip(starts, values, strict=True)
        ]
    )


def _for_branch(value: Pending, layer: Any, number: int) -> Pending:
    """What has to be done to a branch on behalf of the sum."""
    if value.is_open or value.is_done:
        return value
    return value.coming_from(Origin(f"{layer.name}_branch{number}", layer.dtype_policy))
