r"""The worst IoU of a class, and the least cost of an IoU, over whole pixels.

The optimum over fractions of pixels comes with a multiplier $\lambda$ (`class_iou_bound`). The one
over whole pixels lies near the pixels whose costs are next to $\lambda$, or $r \lambda$ for added
ones: of one kind some hundred numbers around there are tried one by one, each with the best number
of the other kind. What lies outside of them is no better, by the same dual: its sum
$\sum (\lambda - a)_+$ is the largest $\lambda i - A(i)$, and with i below e, where all pixels
up to e cost $\lambda$ at most, or above e, where all beyond cost at least that, none is larger
than $\lambda e - A(e)$. So a line of slope e and offset A(e) takes the place of that of the kind.

Both kinds are tried in turn, as one has pixels of the same cost at its level more often than both.
Every result is a lower bound. It is the optimum where the bound of the outside is not below what
was found inside, and otherwise that bound, or the one over fractions if that is better.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from keras import ops

from deel_seg._backend import accumulation_dtype
from deel_seg.certificates.class_iou_bound import (
    Multiplier,
    cost_at,
    multiplier_at,
    multiplier_for_cost,
    multiplier_for_surplus,
    surplus_at,
)
from deel_seg.certificates.class_iou_sections import worst_iou
from deel_seg.certificates.class_iou_tables import bin_sums, tables_of
from deel_seg.certificates.class_iou_window import (
    ADDED,
    KINDS,
    LOST,
    WholeTables,
    level_of,
    numbers_tried,
    whole_tables,
    width_of,
    with_edges,
)
from deel_seg.certificates.class_items import ClassItems
from deel_seg.certificates.confusion_counts import Counts
from deel_seg.certificates.confusion_metrics import iou
from deel_seg.certificates.rounding import exact_floor, lowered, raised, to_float32_below

Tensor = Any

_COARSE_ROUNDS, _FINE_ROUNDS = (1, 2, 3), (3, 4, 5)


def worst_whole_iou(items: ClassItems, capacities: Tensor, p: float) -> Tensor:
    """Lower-bounds the IoU over all that each capacity pays for, as float32 rounded down.

    Args:
        items: Of `batch` images.
        capacities: `(queries,)`, upper bounds of the sum of $m^p$.
        p: Norm order, 1 or 2.

    Returns:
        `(batch, queries)`.
    """
    sums = bin_sums(items, p)
    tables = tables_of(sums, items, p)
    held = worst_iou(tables, capacities, rounds=_COARSE_ROUNDS)
    every = ops.broadcast_to(capacities[None], ops.shape(held))
    whole = whole_tables(items, sums, multiplier_for_surplus(tables, held, every), p)
    held = worst_iou(whole.tables, capacities, held, rounds=_FINE_ROUNDS)
    at = multiplier_for_surplus(whole.tables, held, every, finer=True)
    values = [_worst_of_kind(whole, kind, at, every) for kind in KINDS]
    return ops.maximum(to_float32_below(held), ops.maximum(*values))


def least_whole_cost(items: ClassItems, threshold: tuple[Tensor, Tensor], p: float) -> Tensor:
    """Lower-bounds $A(i) + B(j)$ over all that bring the IoU to the threshold or below.

    Args:
        items: Of `batch` images.
        threshold: Its numerator and denominator, scalar int32, at most 10^6.
        p: Norm order, 1 or 2.

    Returns:
        `(batch,)`, accumulation dtype, a sum of $m^p$.
    """
    wide = accumulation_dtype()
    ratio = ops.cast(threshold[0], wide) / ops.cast(threshold[1], wide)
    ratios = ops.broadcast_to(ratio, (ops.shape(items.margins)[0], 1))
    sums = bin_sums(items, p)
    tables = tables_of(sums, items, p)
    whole = whole_tables(items, sums, multiplier_for_cost(tables, ratios), p)
    at = multiplier_for_cost(whole.tables, ratios, finer=True)
    least = [_least_of_kind(whole, kind, at, ratios, threshold) for kind in KINDS]
    return ops.maximum(cost_at(at, whole.tables, ratios), ops.maximum(*least))[:, 0]


def _worst_of_kind(whole: WholeTables, kind: int, at: Multiplier, capacities: Tensor) -> Tensor:
    """Bounds the IoU by trying numbers of a kind, `(batch, queries)` float32."""
    own, other = whole.sums[kind], whole.sums[1 - kind]
    first, numbers = numbers_tried(own, level_of(at, kind)[1], width_of(at))
    paid, limits = _each(own.of, numbers), capacities[..., None]
    partners = _each(other.most, raised(ops.maximum(limits - paid, 0.0), 2))
    partners = ops.where(paid <= limits, partners, 0)
    numbers = ops.where(paid <= limits, numbers, 0)
    found = iou.worst(_counts(whole, kind, numbers, partners))

    ratios = ops.cast(found, capacities.dtype)
    of_found = multiplier_at(whole.tables, at.margin, ratios)

    def outside(edge: Multiplier, least: Tensor) -> Tensor:
        # Of P - i - r (P + j) the IoU falls short of r by at most a P-th.
        surplus = surplus_at(edge, whole.tables, ratios, capacities)
        short = raised(ops.maximum(-surplus, 0.0) / whole.tables.num_positives[:, None], 8)
        below = to_float32_below(lowered(ops.maximum(ratios - raised(short, 2), 0.0), 2))
        return ops.where(ops.logical_or(surplus >= 0, least > capacities), found, below)

    return with_edges(own, kind, of_found, first, width_of(at), found, outside)


def _least_of_kind(
    whole: WholeTables, kind: int, at: Multiplier, ratios: Tensor, threshold: tuple[Tensor, Tensor]
) -> Tensor:
    """Bounds the cost by trying numbers of a kind, `(batch, queries)`."""
    own, other = whole.sums[kind], whole.sums[1 - kind]
    first, numbers = numbers_tried(own, level_of(at, kind)[1], width_of(at))
    need = _lost_beside if kind == ADDED else _added_beside
    partners = need(whole.positives[..., None], numbers, threshold)
    most = other.total[..., None]
    paid = _each(own.of, numbers) + _each(other.of, ops.minimum(partners, most))
    found = ops.min(ops.where(partners <= most, lowered(paid, 2), math.inf), axis=-1)

    def outside(edge: Multiplier, least: Tensor) -> Tensor:
        return ops.maximum(cost_at(edge, whole.tables, ratios), least)

    return with_edges(own, kind, at, first, width_of(at), found, outside)


def _lost_beside(positives: Tensor, added: Tensor, threshold: tuple[Tensor, Tensor]) -> Tensor:
    """Least i with `(P - i) / (P + j)` at most the threshold."""
    return ops.maximum(positives - _whole(exact_floor(positives + added, *threshold)), 0)


def _added_beside(positives: Tensor, lost: Tensor, threshold: tuple[Tensor, Tensor]) -> Tensor:
    """Least j with `(P - i) / (P + j)` at most the threshold; in float32 perhaps less than that.

    In float64 the product is exact, and a quotient below 2^28 is further from the next integer
    below it, of which it is none itself, than it is lowered by.
    """
    wide = accumulation_dtype()
    numerator, denominator = (ops.cast(number, wide) for number in threshold)
    left = ops.cast(positives - lost, wide) * denominator
    quotient = ops.where(left > 0, lowered(left, 8) / ops.maximum(numerator, 2.0**-30), 0.0)
    return ops.maximum(_whole(ops.ceil(ops.minimum(quotient, 2.0**28))) - positives, 0)


def _counts(whole: WholeTables, kind: int, numbers: Tensor, partners: Tensor) -> Counts:
    lost, added = (numbers, partners) if kind == LOST else (partners, numbers)
    positives, negatives = whole.positives[..., None], whole.negatives[..., None]
    return Counts(positives - lost, added, lost, negatives - added)


def _each(function: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    """Applies a function of `(batch, n)` to `(batch, queries, width)`."""
    flat = ops.reshape(values, (ops.shape(values)[0], -1))
    return ops.reshape(function(flat), ops.shape(values))


def _whole(values: Tensor) -> Tensor:
    return ops.cast(values, "int32")
