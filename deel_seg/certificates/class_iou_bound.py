r"""Bounds of a class's IoU over all attacks of a budget, from two tables of margins.

Take $i$ of the $P$ pixels labelled k away, at cost $A(i)$, and add $j$ others, at cost $B(j)$: the
IoU is $(P - i) / (P + j)$ (paper Eq. 28). It is at most $r$ where $i + r j \ge P (1 - r)$, so that
for a fixed ratio the problem is a knapsack with profits 1 and $r$. Its Lagrangian dual gives, for
every multiplier $\lambda$ whatsoever, with $a$ and $b$ the costs of single pixels,

$$P - i - r (P + j) \ge P (1 - r) - \sum (1 - a/\lambda)_+ - \sum (r - b/\lambda)_+ - c/\lambda$$

for all $i, j$ that a budget $c$ pays for, and

$$A(i) + B(j) \ge \lambda P (1 - r) - \sum (\lambda - a)_+ - \sum (r \lambda - b)_+$$

for all $i, j$ that reach the ratio. The best $\lambda$ makes both equal to the optimum over
fractions of pixels, at most one pixel below the optimum over whole ones. Nothing rests on finding
it: the search may stop anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from deel_seg._backend import accumulation_dtype, bits_float
from deel_seg.certificates.class_items import ClassItems
from deel_seg.certificates.margin_table import bin_edges, bin_of, tabulate
from deel_seg.certificates.rounding import LARGEST, SMALLEST, lowered, raised
from deel_seg.certificates.running_totals import running_sums

Tensor = Any

_LOWEST_BITS, _HIGHEST_BITS = 79 << 23, 175 << 23  # of SMALLEST and LARGEST
_STEPS = 30  # Halvings between the two.


class Lines(NamedTuple):
    r"""Upper bounds of $\sum (\lambda - a)_+$ by bin of the level: `slope * level - offset`."""

    slope: Tensor  # (batch, NUM_BINS)
    offset: Tensor


class IouTables(NamedTuple):
    """What the bounds need of an image and a class."""

    lost: Lines  # pixels labelled k
    added: Lines  # all others
    num_positives: Tensor  # (batch,), accumulation dtype
    p: float
    merged: int = 1  # Bins that a line stands for


class _Multiplier(NamedTuple):
    """The lines at a multiplier, each `(batch, queries)`, and the levels they are taken at."""

    lost: Lines
    added: Lines
    level: Tensor  # lambda
    added_level: Tensor  # r lambda, rounded up


def iou_tables(items: ClassItems, p: float, merged: int = 1) -> IouTables:
    """Tabulates the items of a class; p = 1 or 2.

    With `merged` bins taken together the tables are that much shorter, and the bounds looser by
    about `merged^2` in 2^20 of the pixels.
    """
    wide = accumulation_dtype()
    table = tabulate(items.margins, p, items.is_negative, num_kinds=2)
    lost, added = (
        _lines(
            ops.cast(_merged_bins(table.counts[:, kind], merged), wide),
            lowered(_merged_bins(table.powers[:, kind], merged), 2 * merged),
            p,
            merged,
        )
        for kind in (0, 1)
    )
    return IouTables(lost, added, ops.cast(items.num_positives, wide), p, merged)


def _merged_bins(values: Tensor, merged: int) -> Tensor:
    if merged == 1:
        return values
    groups = ops.reshape(values, (ops.shape(values)[0], -1, merged))
    return ops.sum(groups, axis=-1)


def least_surplus(tables: IouTables, ratios: Tensor, capacities: Tensor) -> Tensor:
    r"""Lower-bounds $P - i - r (P + j)$ over all that the capacities pay for.

    Args:
        tables: Of `batch` images.
        ratios: `(batch, queries)`, accumulation dtype, in `[0, 1]`.
        capacities: `(batch, queries)`, upper bounds of the sum of $m^p$.

    Returns:
        `(batch, queries)`, in pixels. Where it is `>= 0` the IoU is at least the ratio.
    """

    def affordable(at: _Multiplier) -> Tensor:
        return at.lost.offset + at.added.offset <= capacities

    at = _search(tables, ratios, affordable)
    share = at.added_level / at.level
    paid = (at.lost.offset + at.added.offset) / at.level
    gained = at.lost.slope + share * at.added.slope + capacities / at.level
    kept = tables.num_positives[:, None] * (1.0 - ratios)
    return lowered(kept + paid, 16) - raised(gained, 16)


def least_cost(tables: IouTables, ratios: Tensor) -> Tensor:
    r"""Lower-bounds $A(i) + B(j)$ over all $i, j$ that bring the IoU to the ratio or below.

    Args:
        tables: Of `batch` images.
        ratios: `(batch, queries)`, accumulation dtype, in `[0, 1]`, within two units.

    Returns:
        `(batch, queries)`, sums of $m^p$, `>= 0`.
    """
    # A ratio rounded up asks for less, and a ratio rounded up also lets an added pixel do more.
    ratios = raised(ratios, 4)
    target = lowered(tables.num_positives[:, None] * ops.maximum(1.0 - ratios, 0.0), 4)

    def short(at: _Multiplier) -> Tensor:
        return at.lost.slope + ratios * at.added.slope <= target

    at = _search(tables, ratios, short)
    needed = target * at.level + at.lost.offset + at.added.offset
    free = at.lost.slope * at.level + at.added.slope * at.added_level
    return ops.maximum(lowered(needed, 16) - raised(free, 16), 0.0)


def _lines(counts: Tensor, powers: Tensor, p: float, merged: int) -> Lines:
    """One line a bin: exact at its ends, the chord of what is convex between them.

    Of the pixels in the bin only the number n and the sum s are known. All at its two ends bounds
    the sum from above: `(n e1 - s) / (e1 - e0)` of them at the lower end.
    """
    lower, upper = (edge if p == 1 else edge * edge for edge in bin_edges(merged))
    at_lower = (raised(counts * upper, 4) - powers) / (upper - lower)
    at_lower = raised(at_lower, 8)
    zeros = ops.zeros_like(counts[:, :1])
    before = ops.concatenate([zeros, running_sums(powers)[:, :-1]], axis=1)
    slope = raised(ops.cumsum(counts, axis=1), 4) - counts + at_lower
    return Lines(raised(slope, 8), lowered(before + lowered(at_lower * lower, 2), 4))


def _search(
    tables: IouTables, ratios: Tensor, may_rise: Callable[[_Multiplier], Tensor]
) -> _Multiplier:
    """Halves the bit patterns of the margin behind the level, to the last that may rise."""

    def body(step: Any, low: Tensor, high: Tensor) -> tuple[Any, Tensor, Tensor]:
        middle = low + ops.right_shift(high - low, 1)  # The sum of both may not fit.
        rises = may_rise(_at(tables, bits_float(middle), ratios))
        return step + 1, ops.where(rises, middle, low), ops.where(rises, high, middle)

    start = ops.zeros_like(ratios + tables.num_positives[:, None], dtype="int32")
    _, low, _ = ops.while_loop(
        lambda step, *_: step < _STEPS,
        body,
        (ops.convert_to_tensor(0), start + _LOWEST_BITS, start + _HIGHEST_BITS),
    )
    return _at(tables, bits_float(low), ratios)


def _at(tables: IouTables, margin: Tensor, ratios: Tensor) -> _Multiplier:
    """Lines where the level is the p-th power of a margin, `(batch, queries)` float32."""
    factor = ops.sqrt(ratios) if tables.p == 2 else ratios
    wide = ops.cast(margin, ratios.dtype)
    # Rounded up to a float32, which names its bin: a higher level bounds from above as well.
    added = ops.cast(raised(wide * factor, 8), "float32") * (1.0 + 2.0**-22)
    added = ops.clip(added, SMALLEST, LARGEST)
    level, added_level = (
        value if tables.p == 1 else value * value for value in (wide, ops.cast(added, ratios.dtype))
    )
    return _Multiplier(
        _of_bin(tables.lost, bin_of(margin) // tables.merged),
        _of_bin(tables.added, bin_of(added) // tables.merged),
        level,
        raised(added_level, 1),
    )


def _of_bin(lines: Lines, bins: Tensor) -> Lines:
    return Lines(
        ops.take_along_axis(lines.slope, bins, axis=1),
        ops.take_along_axis(lines.offset, bins, axis=1),
    )
