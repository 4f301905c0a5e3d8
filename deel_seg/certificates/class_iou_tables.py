"""What the bounds of a class's IoU need of an image: a table of lines for each kind of pixel.

Of the pixels labelled k, which an attack takes away, and of all others, which it adds, a table
holds by cell of the level an upper bound of the sum of all that the costs lie below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from keras import ops

from deel_seg._backend import accumulation_dtype
from deel_seg.certificates.class_items import ClassItems
from deel_seg.certificates.leading_sums import LeadingSums, leading_sums
from deel_seg.certificates.margin_table import bin_edges, tabulate
from deel_seg.certificates.rounding import lowered, raised

Tensor = Any


class Lines(NamedTuple):
    r"""Upper bounds of $\sum (\lambda - a)_+$ by cell of the level: `slope * level - offset`."""

    slope: Tensor  # (batch, cells)
    offset: Tensor


class IouTables(NamedTuple):
    """What the bounds need of an image and a class."""

    lost: Lines  # pixels labelled k
    added: Lines  # all others
    num_positives: Tensor  # (batch,), accumulation dtype
    p: float
    merged: int = 1  # Bins that a line stands for
    plan: Tensor | None = None  # (batch, 2, NUM_BINS): cells in place of bins, see MarginCells


def iou_tables(items: ClassItems, p: float, merged: int = 1) -> IouTables:
    """Tabulates the items of a class; p = 1 or 2.

    With `merged` bins taken together the tables are that much shorter, and the bounds looser by
    about `merged^2` in 2^20 of the pixels.
    """
    return tables_of(bin_sums(items, p, merged), items, p)._replace(merged=merged)


def bin_sums(items: ClassItems, p: float, merged: int = 1) -> list[LeadingSums]:
    """Counts the lost and the added pixels by bin."""
    table = tabulate(items.margins, p, items.is_negative, num_kinds=2)
    return [
        leading_sums(
            _merged_bins(table.counts[:, kind], merged),
            lowered(_merged_bins(table.powers[:, kind], merged), 2 * merged),
            *bin_edges(merged),
            p,
        )
        for kind in (0, 1)
    ]


def tables_of(
    sums: Sequence[LeadingSums], items: ClassItems, p: float, plan: Tensor | None = None
) -> IouTables:
    """The tables, given what lost and added pixels of every bin, or cell of a plan, add up to."""
    positives = ops.cast(items.num_positives, accumulation_dtype())
    return IouTables(_lines(sums[0]), _lines(sums[1]), positives, p, plan=plan)


def _merged_bins(values: Tensor, merged: int) -> Tensor:
    if merged == 1:
        return values
    groups = ops.reshape(values, (ops.shape(values)[0], -1, merged))
    return ops.sum(groups, axis=-1)


def _lines(sums: LeadingSums) -> Lines:
    """One line a cell: exact at its ends, the chord of what is convex between them.

    Of the pixels in the cell only the number n and the sum s are known. All at its two ends bounds
    the sum from above: `(n e1 - s) / (e1 - e0)` of them at the lower end.
    """
    wide = accumulation_dtype()
    counts = ops.cast(sums.counts, wide)
    at_lower = (raised(counts * sums.upper, 6) - sums.powers) / sums.widths
    at_lower = raised(at_lower, 12)
    slope = raised(ops.cast(sums.ends - sums.counts, wide), 2) + at_lower
    return Lines(raised(slope, 8), lowered(sums.before + lowered(at_lower * sums.lower, 4), 4))
