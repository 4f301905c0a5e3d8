"""One convolution in the place of two that take the same input."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

_KINDS = {layers.Conv2D: 3, layers.Conv2DTranspose: 2}  # With the axis of filters in their kernels.
# What the filters may differ in: how they came to their values does not count, only these do.
_OF_FILTERS = (
    "name", "filters", "trainable", "kernel_initializer", "bias_initializer", "kernel_regularizer",
    "bias_regularizer", "activity_regularizer", "kernel_constraint", "bias_constraint",
)  # fmt: skip


def joined_convolution(nodes: Any) -> Any | None:
    """A layer with the filters of two convolutions of the same tensor, the first one's first.

    Its output is theirs side by side, so its bound is one of both together: for halves of an
    orthogonal kernel that of the whole, where one by one they would seem the root of two larger.

    Args:
        nodes: Keras' nodes of two calls in a functional graph.

    Returns:
        The layer, or None where the nodes are no such convolutions, or do anything else besides.
    """
    (first, second), kind = (node.operation for node in nodes), type(nodes[0].operation)
    if kind not in _KINDS or type(second) is not kind:
        return None
    if nodes[0].input_tensors[0] is not nodes[1].input_tensors[0]:
        return None
    settings = _settings(first)
    if settings != _settings(second) or not all(map(_is_plain, (first, second))):
        return None
    joined = kind.from_config(
        {
            **settings,
            "filters": first.filters + second.filters,
            "kernel_initializer": "zeros",
            "bias_initializer": "zeros",
        }
    )
    joined.build(nodes[0].input_tensors[0].shape)
    kernels, *biases = zip(first.get_weights(), second.get_weights(), strict=True)
    weights = [np.concatenate(kernels, axis=_KINDS[kind]), *map(np.concatenate, biases)]
    joined.set_weights(weights)
    return joined


def _settings(layer: Any) -> dict[str, Any]:
    return {key: value for key, value in layer.get_config().items() if key not in _OF_FILTERS}


def _is_plain(layer: Any) -> bool:
    """Whether every channel is a sum over all channels of the input, and nothing else."""
    return (
        getattr(layer, "groups", 1) == 1
        and layer.data_format == "channels_last"
        # By identity: a function of the user's own may bear that name.
        and layer.activation is keras.activations.linear
        and not getattr(layer, "lora_enabled", False)
        and not getattr(layer, "quantization_mode", None)
    )
