"""Metrics of a class's confusion that are quotients of whole numbers, compared exactly."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from keras import ops

from deel_seg._backend import accumulation_dtype
from deel_seg.certificates.confusion_counts import Counts
from deel_seg.certificates.objectives import exact_fraction
from deel_seg.certificates.whole_numbers import Whole

Tensor = Any

_COUNT_BITS = 27  # Images have fewer than 2^27 pixels.
_ONE = 2**24


@dataclasses.dataclass(frozen=True)
class ExactMetric:
    """A metric of a class's confusion, given as a numerator and a denominator.

    Use it as a decorator. Values and thresholds of such a metric are exact whatever the number
    of pixels, where those of other functions are off by the rounding of floats. The ready metrics
    are of this kind.

    Args:
        fraction: From `(tp, fp, fn, tn)` to `(numerator, denominator)`, by `+`, `*` and whole
            numbers alone; `0 <= numerator <= denominator`. A denominator of 0 stands for the
            value 0, but where even a perfect prediction has one the metric is undefined.

    Example:
    The share of pixels, of the class or not, that are told right:

    >>> from deel_seg.certificates import ExactMetric
    >>> @ExactMetric
    ... def accuracy(tp, fp, fn, tn):
    ...     return tp + tn, tp + fp + fn + tn
    >>> float(accuracy(3, 1, 0, 4))
    0.875
    """

    fraction: Callable[[Any, Any, Any, Any], tuple[Any, Any]]

    def __call__(self, tp: Any, fp: Any, fn: Any, tn: Any) -> Tensor:
        tp, fp, fn, tn = (ops.cast(count, accumulation_dtype()) for count in (tp, fp, fn, tn))
        numerator, denominator = self.fraction(tp, fp, fn, tn)
        _, of_perfect = self.fraction(tp + fn, 0.0 * fp, 0.0 * fn, fp + tn)
        value = ops.where(denominator > 0, numerator / ops.maximum(denominator, 1.0), 0.0)
        return ops.where(of_perfect > 0, value, float("nan"))

    def worst(self, counts: Counts) -> Tensor:
        """Least value along the last axis as float32, rounded down to a multiple of 2^-24.

        A float estimate is corrected by exact comparisons; were it further off than they look,
        the result would be 0.
        """
        wide = accumulation_dtype()
        numerator, denominator = self._parts(counts)
        estimate = numerator.to_float(wide) / denominator.to_float(wide)
        scaled = numerator * _ONE

        def reached(steps: Tensor) -> Tensor:
            return ops.all((Whole.of(steps[..., None]) * denominator).at_most(scaled), axis=-1)

        strides = (2, 1) if wide == "float64" else (64, 32, 16, 8, 4, 2, 1)
        steps = ops.cast(ops.min(estimate, axis=-1) * _ONE, "int32") - strides[0] + 1
        steps = ops.clip(steps, 0, _ONE)
        for stride in strides:
            further = ops.minimum(steps + stride, _ONE)
            steps = ops.where(reached(further), further, steps)
        steps = ops.where(reached(steps), steps, 0)
        return ops.cast(steps, "float32") * (1.0 / _ONE)

    def read_threshold(self, threshold: Any, *, relative: bool) -> tuple[Tensor, ...]:
        """The threshold, or share of the clean value, as integers; raises where it is no share."""
        del relative
        share = exact_fraction("threshold", threshold, allow_zero=True)
        return tuple(ops.convert_to_tensor(n, "int32") for n in share.as_integer_ratio())

    def at_most(
        self, counts: Counts, threshold: tuple[Tensor, ...], clean: Counts | None
    ) -> Tensor:
        """Whether each value is at most the threshold, or that share of the clean value, bool."""
        above, below = (Whole.of(number, 20) for number in threshold)
        numerator, denominator = self._parts(counts)
        if clean is not None:
            clean_numerator, clean_denominator = self._parts(clean)
            above, below = above * clean_numerator, below * clean_denominator
        return (numerator * below).at_most(denominator * above)

    def _parts(self, counts: Counts) -> tuple[Whole, Whole]:
        """Numerator and denominator, 0/0 as 0/1."""
        parts = self.fraction(*(Whole.of(count, _COUNT_BITS) for count in counts))
        numerator, denominator = (Whole.of(part) for part in parts)
        return numerator, denominator + Whole.of(ops.cast(denominator.is_zero(), "int32"), 1)
