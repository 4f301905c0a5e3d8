"""Running sums and a whole quotient, in float32 and int32 alone."""

from __future__ import annotations

from typing import Any

from keras import ops

from deel_seg.certificates.inputs import MAX_PIXELS

Tensor = Any

_ROW = 64
_LEVELS = 4

# Roundings that a term goes through at most, whatever the order in which a runtime adds: fewer than
# _ROW in the sum of its row at each level, as many in a running sum of rows, one for what stands
# before them at each level, and fewer than the last number in the running sum at the top.
SUM_ROUNDINGS = _LEVELS * _ROW + MAX_PIXELS // _ROW**_LEVELS


def running_sums(terms: Tensor) -> Tensor:
    """Running sums along the last axis of `(batch, n)` non-negative float32, `n <= MAX_PIXELS`.

    Each is within `(1 +- u)^SUM_ROUNDINGS` of the exact one, `u` = 2^-24, as long as all terms and
    sums are 0 or normal. Added one after the other, a million terms would be off by a million `u`.
    """
    return _running_sums(terms, _LEVELS)


def _running_sums(terms: Tensor, levels: int) -> Tensor:
    if levels == 0:
        return ops.cumsum(terms, axis=-1)
    size = ops.shape(terms)[-1]
    num_rows = (size + _ROW - 1) // _ROW
    rows = ops.pad(terms, ((0, 0), (0, num_rows * _ROW - size)))
    rows = ops.reshape(rows, (-1, num_rows, _ROW))
    row_ends = _running_sums(ops.sum(rows, axis=-1), levels - 1)
    before = ops.pad(row_ends, ((0, 0), (1, 0)))[:, :-1]
    sums = ops.expand_dims(before, axis=-1) + ops.cumsum(rows, axis=-1)
    return ops.reshape(sums, (-1, num_rows * _ROW))[:, :size]


def floor_product(count: Any, numerator: int, denominator: int) -> Any:
    """Computes `floor(count * numerator / denominator)` exactly, for an integer or an int32 tensor.

    Long division: the digits of `count` come in one by one, from the highest, and of those that
    have come `count * numerator = quotient * denominator + remainder` holds. `numerator` and
    `denominator` are at most 10^6, so that no step leaves int32.
    """
    quotient, remainder = 0, 0
    for place in (2**18, 2**9, 1):
        digit = count // place % 2**9
        remainder = remainder * 2**9 + digit * numerator
        quotient = quotient * 2**9 + remainder // denominator
        remainder = remainder % denominator
    return quotient
