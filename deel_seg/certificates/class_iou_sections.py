"""The worst IoU of a class over fractions of pixels, by trying ratios."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from deel_seg._backend import accumulation_dtype
from deel_seg.certificates.class_iou_bound import least_surplus
from deel_seg.certificates.class_iou_tables import IouTables

Tensor = Any

_SECTIONS = 32  # Ratios tried at once.
_ROUNDS = (1, 2, 3, 4, 5)  # Powers of a section that they are apart: down to 2^-25.


def worst_iou(
    tables: IouTables,
    capacities: Tensor,
    held: Tensor | None = None,
    *,
    rounds: Sequence[int] = _ROUNDS,
) -> Tensor:
    """Lower-bounds the IoU over all that each capacity pays for, `(batch, queries)`.

    Every ratio tried either holds or does not; of those that hold the largest is returned.

    Args:
        tables: Of `batch` images.
        capacities: `(queries,)`, upper bounds of the sum of $m^p$.
        held: Ratios known to hold, from which to go on.
        rounds: How finely to try in turn.
    """
    batch, queries = ops.shape(tables.num_positives)[0], ops.shape(capacities)[0]
    wide = accumulation_dtype()
    sections = ops.arange(1, _SECTIONS + 1, dtype=wide)
    held = ops.zeros((batch, queries), dtype=wide) if held is None else held
    every = ops.reshape(
        ops.broadcast_to(capacities[None, :, None], (batch, queries, _SECTIONS)), (batch, -1)
    )
    for number in rounds:
        tried = held[..., None] + sections * float(_SECTIONS) ** -number
        tried = ops.minimum(tried, 1.0)
        surplus = least_surplus(tables, ops.reshape(tried, (batch, -1)), every)
        holds = ops.reshape(surplus >= 0, (batch, queries, _SECTIONS))
        held = ops.maximum(held, ops.max(ops.where(holds, tried, 0.0), axis=-1))
    return held
