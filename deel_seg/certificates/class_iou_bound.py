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

from deel_seg._backend import accumulation_dtype, bits_float, taken, truncated
from deel_seg.certificates.class_iou_tables import IouTables, Lines
from deel_seg.certificates.margin_cells import cell_of
from deel_seg.certificates.margin_table import bin_of
from deel_seg.certificates.rounding import LARGEST, SMALLEST, lowered, raised

Tensor = Any

_LOWEST_BITS, _HIGHEST_BITS = 79 << 23, 175 << 23  # of SMALLEST and LARGEST
_STEPS = 30  # Halvings between the two.
_FINER_STEPS = 14  # Halvings between two float32 numbers, where float64 has some.


class Multiplier(NamedTuple):
    """The lines at a multiplier, and where they are taken, each `(batch, queries)`."""

    lost: Lines
    added: Lines
    level: Tensor  # lambda
    added_level: Tensor  # r lambda, rounded up
    margin: Tensor  # whose p-th power lambda is
    lost_cell: Tensor  # int32
    added_cell: Tensor


def least_surplus(tables: IouTables, ratios: Tensor, capacities: Tensor) -> Tensor:
    r"""Lower-bounds $P - i - r (P + j)$ over all that the capacities pay for.

    Args:
        tables: Of `batch` images.
        ratios: `(batch, queries)`, accumulation dtype, in `[0, 1]`.
        capacities: `(batch, queries)`, upper bounds of the sum of $m^p$.

    Returns:
        `(batch, queries)`, in pixels. Where it is `>= 0` the IoU is at least the ratio.
    """
    at = multiplier_for_surplus(tables, ratios, capacities)
    return surplus_at(at, tables, ratios, capacities)


def multiplier_for_surplus(
    tables: IouTables, ratios: Tensor, capacities: Tensor, *, finer: bool = False
) -> Multiplier:
    """The best multiplier for `least_surplus`."""

    def affordable(at: Multiplier) -> Tensor:
        return at.lost.offset + at.added.offset <= capacities

    return _search(tables, ratios, affordable, finer)


def surplus_at(at: Multiplier, tables: IouTables, ratios: Tensor, capacities: Tensor) -> Tensor:
    """`least_surplus` by a multiplier."""
    share = at.added_level / at.level
    paid = (at.lost.offset + at.added.offset) / at.level
    gained = at.lost.slope + share * at.added.slope + capacities / at.level
    kept = tables.num_positives[:, None] * (1.0 - ratios)
    return lowered(kept + paid, 16) - raised(gained, 20)


def least_cost(tables: IouTables, ratios: Tensor) -> Tensor:
    r"""Lower-bounds $A(i) + B(j)$ over all $i, j$ that bring the IoU to the ratio or below.

    Args:
        tables: Of `batch` images.
        ratios: `(batch, queries)`, accumulation dtype, in `[0, 1]`, within two units.

    Returns:
        `(batch, queries)`, sums of $m^p$, `>= 0`.
    """
    return cost_at(multiplier_for_cost(tables, ratios), tables, ratios)


def multiplier_for_cost(tables: IouTables, ratios: Tensor, *, finer: bool = False) -> Multiplier:
    """The best multiplier for `least_cost`."""
    ratios, target = _target(tables, ratios)

    def short(at: Multiplier) -> Tensor:
        return at.lost.slope + ratios * at.added.slope <= target

    return _search(tables, ratios, short, finer)


def cost_at(at: Multiplier, tables: IouTables, ratios: Tensor) -> Tensor:
    """`least_cost` by a multiplier of `multiplier_for_cost`."""
    _, target = _target(tables, ratios)
    needed = target * at.level + at.lost.offset + at.added.offset
    free = at.lost.slope * at.level + at.added.slope * at.added_level
    return ops.maximum(lowered(needed, 16) - raised(free, 20), 0.0)


def _target(tables: IouTables, ratios: Tensor) -> tuple[Tensor, Tensor]:
    # A ratio rounded up asks for less, and a ratio rounded up also lets an added pixel do more.
    ratios = raised(ratios, 4)
    return ratios, lowered(tables.num_positives[:, None] * ops.maximum(1.0 - ratios, 0.0), 4)


def multiplier_at(tables: IouTables, margin: Tensor, ratios: Tensor) -> Multiplier:
    """Lines where the level is the p-th power of a margin, `(batch, queries)`."""
    factor = ops.sqrt(ratios) if tables.p == 2 else ratios
    # Rounded up: a higher level bounds from above as well.
    added = ops.clip(raised(margin * factor, 8), SMALLEST, LARGEST)
    level, added_level = (x if tables.p == 1 else x * x for x in (margin, added))
    lost_cell, added_cell = (_cell_of(tables, kind, x) for kind, x in ((0, margin), (1, added)))
    return Multiplier(
        _of_cell(tables.lost, lost_cell),
        _of_cell(tables.added, added_cell),
        level,
        raised(added_level, 1),
        margin,
        lost_cell,
        added_cell,
    )


def _search(
    tables: IouTables, ratios: Tensor, may_rise: Callable[[Multiplier], Tensor], finer: bool
) -> Multiplier:
    """Halves the bit patterns of the margin behind the level, to the last that may rise.

    Where many pixels cost the same, the best level is the cost of theirs to more bits than a
    float32 has once it is multiplied by the ratio: a `finer` search goes on between two of them.
    """
    wide = ratios.dtype

    def body(step: Any, low: Tensor, high: Tensor) -> tuple[Any, Tensor, Tensor]:
        middle = low + ops.right_shift(high - low, 1)  # The sum of both may not fit.
        rises = may_rise(multiplier_at(tables, ops.cast(bits_float(middle), wide), ratios))
        return step + 1, ops.where(rises, middle, low), ops.where(rises, high, middle)

    def finer_body(step: Any, low: Tensor, high: Tensor) -> tuple[Any, Tensor, Tensor]:
        middle = (low + high) * 0.5
        rises = may_rise(multiplier_at(tables, middle, ratios))
        return step + 1, ops.where(rises, middle, low), ops.where(rises, high, middle)

    def halve(body: Callable[..., Any], steps: int, low: Tensor, high: Tensor) -> Any:
        first = ops.convert_to_tensor(0)
        return ops.while_loop(lambda step, *_: step < steps, body, (first, low, high))[1:]

    start = ops.zeros_like(ratios + tables.num_positives[:, None], dtype="int32")
    bits = halve(body, _STEPS, start + _LOWEST_BITS, start + _HIGHEST_BITS)
    low, high = (ops.cast(bits_float(end), wide) for end in bits)
    if finer and accumulation_dtype() == "float64":
        low, _ = halve(finer_body, _FINER_STEPS, low, high)
    return multiplier_at(tables, low, ratios)


def _cell_of(tables: IouTables, kind: int, margin: Tensor) -> Tensor:
    """Index of the line for a margin, `(batch, queries)` int32.

    The level, which is rounded, is not above the cell; below it by ten units at most, which what
    is added to the slopes in the end covers.
    """
    narrow = truncated(raised(margin, 4))
    if tables.plan is None:
        return bin_of(narrow) // tables.merged
    return cell_of(tables.plan[:, kind], narrow)


def _of_cell(lines: Lines, cells: Tensor) -> Lines:
    return Lines(
        taken(lines.slope, cells),
        taken(lines.offset, cells),
    )
