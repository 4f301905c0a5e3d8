"""Weighted mean over images, never above the exact one."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from deel_seg._backend import accumulation_dtype
from deel_seg._replicas import check_replicated
from deel_seg.certificates.rounding import lowered, to_float32_below

Tensor = Any


class ImageMean(keras.metrics.Metric):
    """Mean of one value an image; images where no pixel counts are skipped and counted.

    A NaN value makes the mean NaN: an image that could not be evaluated is not one to leave out.

    Args:
        **kwargs: Passed on; sums are kept in the widest float the backend has, whatever `dtype`.
    """

    # Keras' own metrics carry it too; `monitor=` with `mode="auto"` looks for it.
    _direction = "up"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        wide = accumulation_dtype()
        self.total = self.add_variable((), "zeros", dtype=wide, name="total")
        self.weight = self.add_variable((), "zeros", dtype=wide, name="weight")
        # Longest chain of additions behind `total`, which bounds its rounding error. Replicas have
        # sums of their own, which are added up when they are read: so are these, to no less.
        self.chained = self.add_variable((), "zeros", dtype=wide, name="chained")
        self.skipped = self.add_variable((), "zeros", dtype=wide, name="skipped")

    def accumulate(self, values: Tensor, weights: Tensor, skipped: Tensor) -> None:
        """Adds `(batch,)` values; those of weight 0 do not count, even where they are NaN."""
        check_replicated(self.total, f"Metric `{self.name}`")
        values, weights = ops.cast(values, self.total.dtype), ops.cast(weights, self.total.dtype)
        weights = ops.where(weights >= 0, weights, math.nan)
        terms = ops.where(ops.equal(weights, 0), ops.zeros_like(values), values * weights)
        batch = ops.cast(ops.shape(values)[0], self.total.dtype)
        self.total.assign(self.total + ops.sum(terms))
        self.weight.assign(self.weight + ops.sum(weights))
        self.chained.assign(ops.maximum(self.chained, batch) + 1)
        self.skipped.assign(self.skipped + ops.sum(ops.cast(skipped, self.total.dtype)))

    def result(self) -> Tensor:
        # A chain of n additions and the product before it are within (1 + u)^(n + 1), for the
        # numerator as for the denominator, and the quotient within 4u.
        mean = lowered(self.total / self.weight, 4 * self.chained + 16)
        return to_float32_below(mean)
