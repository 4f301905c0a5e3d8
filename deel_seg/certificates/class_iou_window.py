"""The numbers of pixels of one kind that are tried one by one, and a bound for all others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from deel_seg._backend import taken
from deel_seg.certificates.class_iou_bound import Multiplier
from deel_seg.certificates.class_iou_tables import IouTables, Lines, tables_of
from deel_seg.certificates.class_items import ClassItems
from deel_seg.certificates.leading_sums import LeadingSums, leading_sums
from deel_seg.certificates.margin_cells import count_cells, plan_cells
from deel_seg.certificates.margin_table import NUM_BINS

Tensor = Any

KINDS = (LOST, ADDED) = (0, 1)
_NARROWEST, _WIDEST, _TRIED = 256, 1024, 2**14  # Numbers tried for a query, and for all.
_NUM_CELLS = NUM_BINS + 2**12  # of a kind: mostly for division, as few bins hold any pixel


class WholeTables(NamedTuple):
    """Tables by cells that are fine around the levels of all queries."""

    tables: IouTables
    sums: tuple[LeadingSums, LeadingSums]  # lost, added

    @property
    def positives(self) -> Tensor:
        """Pixels of the class, `(batch, 1)` int32."""
        return self.sums[LOST].total

    @property
    def negatives(self) -> Tensor:
        """All others that count."""
        return self.sums[ADDED].total


def whole_tables(
    items: ClassItems, sums: list[LeadingSums], at: Multiplier, p: float
) -> WholeTables:
    """Counts the pixels again, by finer cells around the bins of a multiplier."""
    half = width_of(at) // 2
    bins = ops.arange(NUM_BINS, dtype="int32")
    wanted = []
    for of_kind, level in zip(sums, (at.lost_cell, at.added_cell), strict=True):
        # The optimum may lie in the next bin, and the numbers tried reach as far again.
        before, after = ops.maximum(level - 1, 0), ops.minimum(level + 1, NUM_BINS - 1)
        lowest = _at(of_kind.ends - of_kind.counts, before) - half
        first = ops.minimum(of_kind.cell_of(lowest), before)[..., None]
        last = ops.maximum(of_kind.cell_of(_at(of_kind.ends, after) + half), after)[..., None]
        wanted.append(ops.any(ops.logical_and(bins >= first, bins <= last), axis=1))
    counts = ops.stack([of_kind.counts for of_kind in sums], axis=1)
    plan = plan_cells(counts, ops.stack(wanted, axis=1), _NUM_CELLS)
    cells = count_cells(items.margins, items.is_negative, plan, _NUM_CELLS, p)
    lost, added = (
        leading_sums(
            cells.counts[:, kind],
            cells.powers[:, kind],
            cells.lower[:, kind],
            cells.upper[:, kind],
            p,
        )
        for kind in KINDS
    )
    return WholeTables(tables_of((lost, added), items, p, plan), (lost, added))


def numbers_tried(own: LeadingSums, cells: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """First of the numbers tried around the level, `(batch, queries)`, and all, `(..., width)`."""
    ends = _at(own.ends, cells)
    middle = ends - _at(own.counts, cells) // 2
    first = ops.clip(middle - width // 2, 0, ops.maximum(own.total - (width - 1), 0))
    numbers = first[..., None] + ops.arange(width, dtype="int32")
    return first, ops.minimum(numbers, own.total[..., None])


def with_edges(
    own: LeadingSums,
    kind: int,
    at: Multiplier,
    first: Tensor,
    width: int,
    found: Tensor,
    outside: Callable[[Multiplier, Tensor], Tensor],
) -> Tensor:
    """The least of what was found and the bounds of all numbers below and above those tried.

    The bounds follow from the lines at such an edge, and from what all beyond it cost at least.
    """
    lines, cells = level_of(at, kind)
    ends = _at(own.ends, cells)
    below, above = first - 1, first + width
    dearer, cheaper = above >= ends, below <= ends - _at(own.counts, cells)
    for edge, exists, convex in (
        (below, below >= 0, cheaper),
        (above, above <= own.total, dearer),
    ):
        number = ops.clip(edge, 0, own.total)
        paid = own.of(number)
        line = Lines(
            ops.where(convex, ops.cast(number, lines.slope.dtype), lines.slope),
            ops.where(convex, paid, lines.offset),
        )
        edge_at = at._replace(**{"added" if kind == ADDED else "lost": line})
        bound = outside(edge_at, ops.where(edge >= above, paid, 0.0))
        found = ops.where(exists, ops.minimum(found, bound), found)
    return found


def level_of(at: Multiplier, kind: int) -> tuple[Lines, Tensor]:
    """Line and cell of the level of a kind."""
    return (at.added, at.added_cell) if kind == ADDED else (at.lost, at.lost_cell)


def width_of(at: Multiplier) -> int:
    """How many numbers to try for a query."""
    queries = at.level.shape[1]
    return _NARROWEST if queries is None else max(_NARROWEST, min(_WIDEST, _TRIED // queries))


def _at(values: Tensor, cells: Tensor) -> Tensor:
    return taken(values, cells)
