"""Recognises the mean over the image, at every pixel, in a network of Keras' own layers.

`Add([Rescaling(0)(x), GlobalAveragePooling2D(keepdims=True)(x)])` broadcasts the means of x to its
size: the orthogonal projection on constant images, of norm 1. Apart, the pooling would have the
norm `1 / sqrt(H W)` and the broadcast `sqrt(H W)`, which is not known where the size is not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import layers

from deel_seg.lipschitz.graph import producer_of

Tensor = Any


def image_means_source(node: Any) -> Tensor | None:
    """The tensor whose means a node spreads over the image, if that is what it does.

    Args:
        node: Keras' node of a call in a functional graph.
    """
    if type(node.operation) is not layers.Add or len(node.input_tensors) != 2:
        return None
    producers = {
        type(producer.operation): producer for producer in map(producer_of, node.input_tensors)
    }
    if set(producers) != {layers.Rescaling, layers.GlobalAveragePooling2D}:
        return None
    zeros, means = producers[layers.Rescaling], producers[layers.GlobalAveragePooling2D]
    source = means.input_tensors[0]
    pooling = means.operation
    spread = pooling.keepdims and pooling.data_format == "channels_last"
    # What is added has to have the size of the source, and nothing else of it.
    vanishes = not np.any(zeros.operation.scale) and not np.any(zeros.operation.offset)
    of_one = zeros.input_tensors[0] is source
    scalar = np.ndim(zeros.operation.scale) == np.ndim(zeros.operation.offset) == 0
    return source if spread and vanishes and of_one and scalar else None
