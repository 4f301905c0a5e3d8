"""Check that a metric of a class's confusion is one that the frontier bounds."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from keras import ops

from deel_seg._backend import accumulation_dtype
from deel_seg._checks import check_real, received
from deel_seg.certificates.exact_metric import ExactMetric
from deel_seg.certificates.measured_metric import MeasuredMetric

# Sizes of a class and of its rest, and pixels lost or gained: the corners, where metrics divide
# by zero, and some of the inside.
_SIZES = (0, 1, 2, 3, 7, 1000)
_STEPS = (0, 1, 2, 3, 6, 500, 998, 999)

_NAMES = ("tp", "fp", "fn", "tn")


def check_confusion_metric(metric: Callable, *, rounding: float = 0.0) -> None:
    """Raises where a metric is seen to get better as a pixel turns from right to wrong.

    The frontier bounds a metric that never rises when a true positive becomes a false negative,
    or a true negative a false positive. That is evaluated on a grid of counts, so a metric may
    break it elsewhere and pass: it is a guard against mistakes, not a proof. The certificates
    call this outside of graphs, once for each metric.

    Args:
        metric: From `(tp, fp, fn, tn)`, floating-point tensors of one shape, to a tensor of that
            shape, or an `ExactMetric`.
        rounding: As in `worst_case_confusion_metric`.

    Raises:
        ValueError: When the metric rises, when it is not finite where it is defined, or when it
            does not give one value for each entry; the counts are told.

    Example:
    >>> from deel_seg.certificates import check_confusion_metric
    >>> check_confusion_metric(lambda tp, fp, fn, tn: tp + fp)  # the pixels predicted as the class
    Traceback (most recent call last):
        ...
    ValueError: `metric` must not rise as pixels turn wrong. Received: ...
    """
    _check(certified(metric, rounding))


def certified(metric: Any, rounding: Any) -> ExactMetric | MeasuredMetric:
    """The metric with what is known of its rounding, to be compiled with."""
    error = check_real("rounding", rounding, minimum=0.0)
    if isinstance(metric, ExactMetric):
        return metric
    if not callable(metric) or not _hashable(metric):
        raise ValueError(
            f"`metric` must be a hashable function of (tp, fp, fn, tn). {received(metric=metric)}"
        )
    return MeasuredMetric(metric, error)


def check_once(metric: ExactMetric | MeasuredMetric) -> None:
    """`check_confusion_metric`, remembered for the metrics that passed."""
    _check(metric)


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


@functools.lru_cache(maxsize=256)
def _check(metric: ExactMetric | MeasuredMetric) -> None:
    grid = _grid()
    before, defined = _values(metric, grid), _values(metric, _perfect(grid))
    defined = ~np.isnan(defined)
    if (bad := defined & ~np.isfinite(before)).any():
        _fail("be finite where a perfect prediction has a value", metric, grid, bad, before)
    if isinstance(metric, ExactMetric):
        _check_fraction(metric, grid)
    for lost, gained in ((1, 0), (0, 1)):
        possible = defined & (grid[0] >= lost) & (grid[3] >= gained)
        changed = grid + np.array([[-lost], [gained], [lost], [-gained]])
        after = _values(metric, np.where(possible, changed, grid))
        if (bad := possible & ~np.isfinite(after)).any():
            _fail("be finite where a perfect prediction has a value", metric, changed, bad, after)
        allowed = _error(metric, before) + _error(metric, after)
        with np.errstate(invalid="ignore"):
            bad = possible & (after - before > allowed)
        if bad.any():
            _fail("not rise as pixels turn wrong", metric, changed, bad, after)


def _grid() -> np.ndarray:
    """Counts `(4, points)`."""
    points = {
        (positives - lost, gained, lost, negatives - gained)
        for positives, negatives in itertools.product(_SIZES, _SIZES)
        for lost, gained in itertools.product(_STEPS, _STEPS)
        if lost <= positives and gained <= negatives and positives + negatives > 0
    }
    return np.array(sorted(points), dtype=np.int64).T


def _perfect(counts: np.ndarray) -> np.ndarray:
    tp, fp, fn, tn = counts
    return np.stack([tp + fn, 0 * fp, 0 * fn, tn + fp])


def _values(metric: ExactMetric | MeasuredMetric, counts: np.ndarray) -> np.ndarray:
    tensors = [ops.convert_to_tensor(count.astype(accumulation_dtype())) for count in counts]
    values = np.asarray(ops.convert_to_numpy(metric(*tensors)), dtype=np.float64)
    if values.shape != counts[0].shape:
        raise ValueError(
            "`metric` must give one value for each entry of the counts. "
            f"{received(shape=values.shape, counts_shape=counts[0].shape)}"
        )
    return values


def _error(metric: ExactMetric | MeasuredMetric, values: np.ndarray) -> Any:
    measured = metric if isinstance(metric, MeasuredMetric) else MeasuredMetric(metric, 0.0)
    return np.asarray(ops.convert_to_numpy(measured.error(ops.convert_to_tensor(values))))


def _check_fraction(metric: ExactMetric, counts: np.ndarray) -> None:
    numerators, denominators = np.empty(counts.shape[1], object), np.empty(counts.shape[1], object)
    for point, entry in enumerate(counts.T.tolist()):
        numerators[point], denominators[point] = metric.fraction(*entry)
    bad = (numerators < 0) | (numerators > denominators)
    if bad.any():
        _fail("have 0 <= numerator <= denominator", metric, counts, bad, numerators)


def _fail(
    expected: str, metric: Any, counts: np.ndarray, bad: np.ndarray, values: np.ndarray
) -> NoReturn:
    point = int(np.flatnonzero(bad)[0])
    named = dict(zip(_NAMES, counts[:, point].tolist(), strict=True))
    value = values[point]
    function = metric.fraction if isinstance(metric, ExactMetric) else metric.function
    raise ValueError(
        f"`metric` must {expected}. "
        f"{received(metric=getattr(function, '__name__', function), value=value, **named)}"
    )
