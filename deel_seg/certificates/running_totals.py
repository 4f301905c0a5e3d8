"""Running totals of long tables, of which only one place is looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from deel_seg._backend import accumulation_dtype, taken
from deel_seg.certificates.rounding import lowered

Tensor = Any

_LOG_ROW = 8
ROW = 2**_LOG_ROW  # Entries of a table whose sum is taken before the place is known.


def running_sums(values: Tensor) -> Tensor:
    """Running sums along the last axis, at most the exact ones; exact for integers.

    A sum of non-negative terms in which no term goes through more than n additions is within a
    factor `1 +- nu / (1 - nu)` of the exact one; `(2n + 4)u` covers that and the shrinking itself
    for all `n < 2^-4 / u`. In float32 they are added as a tree, for float64 one after the other
    is fine enough.
    """
    if _is_integer(values):
        return ops.cumsum(values, axis=-1)
    terms = values.shape[-1]
    if accumulation_dtype() == "float64":
        return lowered(ops.cumsum(values, axis=-1), 2 * terms + 4)
    # Pairs are added up, the sums of pairs scanned, and every other sum follows from one of them.
    sums = ops.associative_scan(ops.add, values, axis=-1)
    return lowered(sums, 4 * (terms - 1).bit_length() + 4)


def locate(terms: Tensor, fits: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Finds where the running totals of a table stop to fit.

    A lower bound of a total fits wherever the total does, so counting those that fit never
    stops short, whether or not rounding keeps them in order.

    Args:
        terms: `(batch, tables, entries)`, non-negative, entries a multiple of `ROW`; tables are
            one for each query, or a single one for all.
        fits: From totals, `(batch, queries or 1, n)`, to `(batch, queries, n)` bool.

    Returns:
        Index of the first entry whose total does not fit, `(batch, queries)` int32 (the number of
        entries where all do), and the total of those before it, which for floats is a lower bound.
    """
    rows = _rows(terms)
    ends = running_sums(_sums(rows))
    row = _count(fits(ends))
    last_row = rows.shape[2] - 1
    beyond = ops.equal(row, last_row + 1)
    row = ops.minimum(row, last_row)
    before = _at(ends, row - 1)
    totals = _plus(before[..., None], running_sums(_row_at(rows, row)))
    inside = ops.where(beyond, ROW, _count(fits(totals)))
    previous = taken(totals, ops.maximum(inside - 1, 0)[..., None])[..., 0]
    return row * ROW + inside, ops.where(inside > 0, previous, before)


def total_before(terms: Tensor, index: Tensor) -> Tensor:
    """Total of the entries before each index, `(batch, queries)`; for floats a lower bound.

    Args:
        terms: As in `locate`.
        index: `(batch, queries)` int32, at most the number of entries.
    """
    rows = _rows(terms)
    row = ops.minimum(index // ROW, rows.shape[2] - 1)
    before = _at(running_sums(_sums(rows)), row - 1)
    values = _row_at(rows, row)
    inside = ops.arange(ROW, dtype="int32") < (index - row * ROW)[..., None]
    return _plus(before, _sums(ops.where(inside, values, ops.zeros_like(values))))


def _is_integer(values: Tensor) -> bool:
    return "int" in keras.backend.standardize_dtype(values.dtype)


def _rows(terms: Tensor) -> Tensor:
    batch, tables = ops.shape(terms)[:2]
    return ops.reshape(terms, (batch, tables, terms.shape[2] // ROW, ROW))


def _sums(rows: Tensor) -> Tensor:
    if _is_integer(rows):
        return ops.sum(rows, axis=-1)
    if accumulation_dtype() == "float64":
        return lowered(ops.sum(rows, axis=-1), 2 * ROW + 4)
    for _ in range(_LOG_ROW):
        half = rows.shape[-1] // 2
        rows = rows[..., :half] + rows[..., half:]
    return lowered(rows[..., 0], 2 * _LOG_ROW + 4)


def _plus(a: Tensor, b: Tensor) -> Tensor:
    return a + b if _is_integer(a) else lowered(a + b, 4)


def _count(flags: Tensor) -> Tensor:
    return ops.sum(ops.cast(flags, "int32"), axis=-1)


def _at(totals: Tensor, index: Tensor) -> Tensor:
    """Totals `(batch, tables, n)` at `(batch, queries)` indices; 0 at -1."""
    place = ops.maximum(index, 0)
    if totals.shape[1] == 1:
        found = taken(totals[:, 0], place)
    else:
        found = taken(totals, place[..., None])[..., 0]
    return ops.where(index < 0, ops.zeros_like(found), found)


def _row_at(rows: Tensor, row: Tensor) -> Tensor:
    """Rows `(batch, tables, n, ROW)` at `(batch, queries)` indices."""
    if rows.shape[1] == 1:
        return taken(rows[:, 0], row)
    return taken(rows, row[..., None])[:, :, 0]
