"""A function of every class and of its logits, a class at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from keras import ops

from deel_seg._backend import mapped
from deel_seg.certificates.class_fold import channel

Tensor = Any

_TOGETHER = 10  # Classes of which a copy is made at once.


def map_classes(
    function: Callable[[Tensor, Tensor], tuple[Tensor, ...]], logits: Tensor, class_ids: Tensor
) -> tuple[Tensor, ...]:
    """Stacks `function(class id, logits of the class)` over the classes.

    Picked out of the pixels, the logits of one class take a pass over those of all. So they are
    copied class by class first, and where all classes are wanted some of them at a time, for the
    copy to stay a part of the logits.

    Args:
        function: From a scalar and `(batch, H, W)` logits to tensors of fixed shapes.
        logits: `(batch, H, W, num_classes)`.
        class_ids: `(classes,)` int32, of known size; if that is `num_classes`, all of them.

    Returns:
        What `function` returns, each `(classes, ...)`.
    """

    def of_class(class_and_logits: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        class_id, values = class_and_logits
        return function(class_id, channel(values[..., None], 0))

    num_classes = logits.shape[-1]
    if class_ids.shape[0] != num_classes:
        planes = ops.take(_by_class(logits), class_ids, axis=0)
        return mapped(of_class, (class_ids, planes))
    blocks = math.ceil(num_classes / _TOGETHER)
    size = math.ceil(num_classes / blocks)

    def of_block(start: Tensor) -> tuple[Tensor, ...]:
        block = ops.slice(logits, (0, 0, 0, start), (*ops.shape(logits)[:-1], size))
        return mapped(of_class, (start + ops.arange(size, dtype="int32"), _by_class(block)))

    # The last block may begin within the one before: a class comes twice, from the same logits.
    starts = [min(block * size, num_classes - size) for block in range(blocks)]
    places = [start + offset for start in starts for offset in range(size)]
    first = [places.index(class_id) for class_id in range(num_classes)]
    order = ops.take(ops.convert_to_tensor(first, "int32"), class_ids)
    results = mapped(of_block, ops.convert_to_tensor(starts, "int32"))
    return tuple(
        ops.take(ops.reshape(part, (blocks * size, *ops.shape(part)[2:])), order, axis=0)
        for part in results
    )


def _by_class(logits: Tensor) -> Tensor:
    return ops.transpose(logits, (3, 0, 1, 2))
