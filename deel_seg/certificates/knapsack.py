"""The unit-profit knapsack: most pixels lost within a budget, least budget to lose n pixels."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from deel_seg._backend import accumulation_dtype
from deel_seg.certificates.rounding import count_dtype, lowered

Tensor = Any

_BLOCK = 32  # Terms a float32 running sum may chain before its blocks are summed in turn.


def cheapest_totals(costs: Tensor, kept: Tensor, p: float) -> Tensor:
    """Lower-bounds, for every n, the cost of the n cheapest of the kept pixels.

    Args:
        costs: `(batch, H, W)`, accumulation dtype, finite and `>= 0`.
        kept: `(batch, H, W)`, bool.
        p: Norm order; for `inf` a set costs as much as its dearest pixel.

    Returns:
        `(batch, H * W)`; entry `n - 1` belongs to n pixels, `inf` past the kept ones.
    """
    costs = ops.where(kept, costs, ops.full_like(costs, math.inf))
    ordered = ops.sort(ops.reshape(costs, (ops.shape(costs)[0], -1)), axis=-1)
    return ordered if p == math.inf else _running_sums(ordered)


def most_pixels_lost(totals: Tensor, capacities: Tensor) -> Tensor:
    """Largest n whose total fits each of the capacities, `(batch, capacities)`.

    Counting entries instead of searching for the first that is too large needs no monotony,
    which rounding may break: all totals up to the true n fit, so the count reaches it. Where
    a capacity is infinite the count covers pixels that are not kept as well.
    """

    def fitting(limit: Tensor) -> Tensor:
        return ops.sum(ops.cast(totals <= limit, count_dtype()), axis=-1)

    return ops.transpose(ops.map(fitting, capacities))


def least_total(totals: Tensor, pixels: Tensor) -> Tensor:
    """Total cost of losing `pixels`, `(batch,)`, in each image; 0 for no pixel."""
    index = ops.maximum(pixels - 1, 0)[:, None]
    total = ops.take_along_axis(totals, index, axis=-1)[:, 0]
    return ops.where(pixels > 0, total, ops.zeros_like(total))


def _running_sums(values: Tensor) -> Tensor:
    """Running sums along the last axis, at most the exact ones.

    A sum of n non-negative terms, added in any association, is within a factor
    `1 +- (n-1)u / (1 - (n-1)u)` of the exact one; `(2n + 4)u` covers that and the shrinking
    itself for all `n < 2^-4 / u`. In float64 that is 4e-9 for 2^24 pixels. In float32 nested
    blocks chain fewer terms: one block and one addition a level, 132 for 2^20 pixels, 2e-5.
    """
    if accumulation_dtype() == "float64":
        chained = ops.cast(ops.shape(values)[-1], "float64")
        return lowered(ops.cumsum(values, axis=-1), 2 * chained + 4)
    sums, chained = _blocked_sums(values)
    return lowered(sums, 2 * chained + 4)


def _blocked_sums(values: Tensor) -> tuple[Tensor, int]:
    """Running sums by nested blocks, and the number of additions the longest one chains."""
    batch, terms = values.shape
    if terms <= _BLOCK:
        return ops.cumsum(values, axis=-1), terms
    blocks = -(-terms // _BLOCK)
    padded = ops.pad(values, ((0, 0), (0, blocks * _BLOCK - terms)))
    inner = ops.cumsum(ops.reshape(padded, (batch, blocks, _BLOCK)), axis=-1)
    through, chained = _blocked_sums(inner[..., -1])
    before = ops.pad(through[:, :-1], ((0, 0), (1, 0)))
    sums = ops.reshape(inner + before[..., None], (batch, blocks * _BLOCK))
    return sums[:, :terms], chained + _BLOCK + 1
