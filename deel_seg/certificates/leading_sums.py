"""What the cheapest pixels cost together, and how many of them a budget pays for."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from deel_seg._backend import accumulation_dtype, taken
from deel_seg.certificates.leading import leading
from deel_seg.certificates.rounding import lowered, raised
from deel_seg.certificates.running_totals import running_sums

Tensor = Any


class LeadingSums(NamedTuple):
    """Running totals over the cells of a table, each `(batch, cells)`, in the order of the costs.

    Sums are known at the ends of the cells. Of the k cheapest pixels within a cell of n, of sum s
    and between the edges l and u, the sum is at least `k l` and at least `s - (n - k) u`: exact
    where the cell holds one pixel or pixels of the same cost.
    """

    ends: Tensor  # int32: pixels up to the end of each cell
    counts: Tensor  # int32: pixels in it
    before: Tensor  # accumulation dtype: lower bound of the costs of the pixels before it
    powers: Tensor  # lower bound of the costs in it
    lower: Tensor  # lower edge, as a cost
    upper: Tensor
    widths: Tensor  # `upper - lower`, off by four units at most

    @property
    def total(self) -> Tensor:
        """Number of pixels, `(batch, 1)` int32."""
        return self.ends[:, -1:]

    def of(self, number: Tensor) -> Tensor:
        """Lower bound of the cost of the `number` cheapest pixels, at most `total`.

        Args:
            number: `(batch, n)` int32.
        """
        cells = self.cell_of(number)
        count = _at(self.counts, cells)
        inside = number - (_at(self.ends, cells) - count)
        others = raised(_as_float(count - inside) * _at(self.upper, cells), 4)
        cheapest = lowered(_as_float(inside) * _at(self.lower, cells), 4)
        part = ops.maximum(cheapest, lowered(_at(self.powers, cells) - others, 2))
        return lowered(_at(self.before, cells) + ops.maximum(part, 0.0), 2)

    def most(self, left: Tensor) -> Tensor:
        """Upper bound of the number of pixels that cost no more than `left` together.

        Args:
            left: `(batch, n)`, upper bounds of what there is to pay.
        """
        # Where the end of a cell does not fit by a lower bound, it does not fit.
        cells = leading(
            lambda number: _at(self.before, number) <= left,
            ops.full_like(left, self.ends.shape[1] - 1, dtype="int32"),
            self.ends.shape[1],
        )
        left = raised(ops.maximum(left - _at(self.before, cells), 0.0), 4)
        count = _at(self.counts, cells)
        lower, upper = _at(self.lower, cells), _at(self.upper, cells)
        by_cheapest = raised(left / ops.maximum(lower, 2.0**-120), 12)
        over = lowered(lowered(ops.maximum(_at(self.powers, cells) - left, 0.0), 2) / upper, 12)
        by_others = raised(_as_float(count) - over, 2)
        some = ops.floor(ops.minimum(ops.minimum(by_cheapest, by_others), 2.0**27))
        some = ops.minimum(ops.cast(some, "int32"), count)
        return _at(self.ends, cells) - count + ops.maximum(some, 0)

    def cell_of(self, number: Tensor) -> Tensor:
        """Cell of the last of the `number` cheapest pixels, `(batch, n)` int32."""
        return leading(
            lambda cells: _at(self.ends, cells - 1) < number,
            ops.full_like(number, self.ends.shape[1] - 1),
            self.ends.shape[1],
        )


def leading_sums(
    counts: Tensor, powers: Tensor, lower: Tensor, upper: Tensor, p: float
) -> LeadingSums:
    """Adds up the cells of a kind.

    Args:
        counts: `(batch, cells)` int32.
        powers: The same, accumulation dtype: lower bounds of the sums of $m^p$.
        lower: Lower edges of the cells as margins, or `(cells,)`.
        upper: Upper edges.
        p: Norm order, 1 or 2.
    """
    before = ops.pad(running_sums(powers)[:, :-1], ((0, 0), (1, 0)))
    widths = (upper - lower) * (upper + lower if p == 2 else 1.0)
    lower, upper, widths = (
        ops.broadcast_to(values, ops.shape(powers))
        for values in ((lower, upper, widths) if p == 1 else (lower * lower, upper * upper, widths))
    )
    return LeadingSums(ops.cumsum(counts, axis=1), counts, before, powers, lower, upper, widths)


def _at(values: Tensor, cells: Tensor) -> Tensor:
    return taken(values, cells)


def _as_float(counts: Tensor) -> Tensor:
    return ops.cast(counts, accumulation_dtype())
