"""Recognises sorted pairs of channels in a network of Keras' own layers.

`Concatenate([Maximum([a, b]), Minimum([a, b])])`, where a and b are the two halves of the channels
of one tensor, or two convolutions of one tensor, puts every pair of values in order: at each point
a permutation of the values of a and b, and a map that is a permutation at each point, and
continuous, does not increase distances. Nor does adding constants to one half or both. Taken one by
one the layers would be bounded by the root of two, or more.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from keras import layers

from deel_seg.lipschitz.graph import producer_of
from deel_seg.lipschitz.joined_convolution import joined_convolution

Tensor = Any


class SortedPairs(NamedTuple):
    """What a node puts in order.

    Attributes:
        source: The tensor whose channels are put in order, or what `convolution` is applied to.
        shifts: For each half, the layer that adds constants to it, or None.
        convolution: A layer that stands for those that give the two halves, or None.
    """

    source: Tensor
    shifts: tuple[Any, ...]
    convolution: Any | None = None


def sorted_pairs(node: Any) -> SortedPairs | None:
    """What a node puts in order, if that is what it does.

    Args:
        node: Keras' node of a call in a functional graph.
    """
    layer, inputs = node.operation, node.input_tensors
    if type(layer) is not layers.Concatenate or not _is_last(layer.axis, inputs[0]):
        return None
    producers = [producer_of(tensor) for tensor in inputs]
    shifts = tuple(producer.operation if _is_shift(producer) else None for producer in producers)
    producers = [
        producer if shift is None else producer_of(producer.input_tensors[0])
        for producer, shift in zip(producers, shifts, strict=True)
    ]
    kinds = {type(producer.operation) for producer in producers}
    if len(inputs) != 2 or kinds != {layers.Maximum, layers.Minimum}:
        return None
    halves = [[id(tensor) for tensor in producer.input_tensors] for producer in producers]
    if len(halves[0]) != 2 or sorted(halves[0]) != sorted(halves[1]):
        return None
    parts = [producer_of(part) for part in producers[0].input_tensors]
    source = _whole(parts)
    if source is not None:
        return SortedPairs(source, shifts)
    convolution = joined_convolution(parts)
    if convolution is None:
        return None
    return SortedPairs(parts[0].input_tensors[0], shifts, convolution)


def _is_shift(node: Any) -> bool:
    """Whether it adds constants and does nothing else."""
    layer = node.operation
    if type(layer) is not layers.Rescaling or np.shape(layer.scale) or layer.scale != 1.0:
        return False
    (shape,), (added_to,) = (
        [tuple(t.shape) for t in ts] for ts in (node.outputs, node.input_tensors)
    )
    return shape == added_to and bool(np.all(np.isfinite(layer.offset)))


def _is_last(axis: int, tensor: Tensor) -> bool:
    return axis in (-1, len(tensor.shape) - 1)


def _whole(nodes: Any) -> Tensor | None:
    """The tensor that two croppings divide between them, along the last axis."""
    if any(type(node.operation) is not layers.Cropping2D for node in nodes):
        return None
    whole = nodes[0].input_tensors[0]
    channels = whole.shape[-1]
    if nodes[1].input_tensors[0] is not whole or channels is None:
        return None
    kept = []
    for node in nodes:
        other_axis, (before, after) = node.operation.cropping
        if node.operation.data_format != "channels_first" or tuple(other_axis) != (0, 0):
            return None
        kept.append((before, channels - after))
    (_, middle), (start, end) = sorted(kept)
    # No channel may be in both halves: it would count twice.
    return whole if middle <= start and end <= channels else None
