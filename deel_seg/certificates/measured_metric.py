"""Metrics of a class's confusion that are any function of the counts, evaluated in floats."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from deel_seg._backend import accumulation_dtype
from deel_seg._checks import check_real
from deel_seg.certificates.confusion_counts import Counts
from deel_seg.certificates.rounding import TINY, unit_roundoff

Tensor = Any

ROUNDINGS = 64  # Units of the accumulation dtype that a metric's own arithmetic may be off.


@dataclasses.dataclass(frozen=True)
class MeasuredMetric:
    """A user's function of the counts with the error that its values may have.

    A value is taken to be within `ROUNDINGS` units, relatively, and `rounding`, absolutely, of the
    exact one.
    """

    function: Callable[[Any, Any, Any, Any], Any]
    rounding: float

    def __call__(self, tp: Any, fp: Any, fn: Any, tn: Any) -> Tensor:
        counts = (ops.cast(count, accumulation_dtype()) for count in (tp, fp, fn, tn))
        return ops.cast(self.function(*counts), accumulation_dtype())

    def error(self, values: Tensor) -> Tensor:
        """How far values may be from the exact ones, and the rounding of taking that off."""
        return ops.abs(values) * ((ROUNDINGS + 4) * unit_roundoff()) + self.rounding * (
            1 + 2.0**-20
        )

    def worst(self, counts: Counts) -> Tensor:
        """Lower bound of the least value along the last axis, float32; NaN where one is NaN."""
        values = self(*counts)
        least = ops.min(values - self.error(values), axis=-1)
        undefined = ops.any(ops.isnan(values), axis=-1)
        return ops.where(undefined, math.nan, _float32_below(least))

    def read_threshold(self, threshold: Any, *, relative: bool) -> tuple[Tensor, ...]:
        """The threshold, or share of the clean value, as a tensor that is not below it."""
        low, high = (0.0, 1.0) if relative else (-math.inf, math.inf)
        number = np.float64(check_real("threshold", threshold, minimum=low, maximum=high))
        wide = np.dtype(accumulation_dtype()).type(number)
        if wide < number:
            wide = np.nextafter(wide, np.inf)
        return (ops.convert_to_tensor(wide),)

    def at_most(
        self, counts: Counts, threshold: tuple[Tensor, ...], clean: Counts | None
    ) -> Tensor:
        """Whether each value may be at most the threshold, or that share of the clean value."""
        bound = threshold[0]
        if clean is not None:
            value = self(*clean)
            bound = bound * (value + self.error(value))
            bound = bound + ops.abs(bound) * (4 * unit_roundoff())
        values = self(*counts)
        # A value of NaN counts as fallen.
        return ops.logical_not(values - self.error(values) > bound)


def _float32_below(values: Tensor) -> Tensor:
    """Casts without ever rounding up."""
    lower = ops.minimum(values - ops.abs(values) * 2.0**-22, 2.0**127)
    single = ops.cast(lower, "float32")
    # Between -2^-126 and 0 the cast may flush to 0.
    return ops.where(values < 0, ops.minimum(single, -TINY), single)
