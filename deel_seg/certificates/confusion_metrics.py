"""Ready metrics of a class's confusion, for `worst_case_confusion_metric` and its radius.

Each is an `ExactMetric`: a function of the counts `(tp, fp, fn, tn)` with values in `[0, 1]`, of
which thresholds are exact. An image is undefined, and gets NaN, where the metric is 0/0 for even
a perfect prediction: where no pixel that counts has the class, for specificity where every one
has it, and for balanced accuracy in both cases. Otherwise 0/0 counts as 0, which only precision
comes to.
"""

from __future__ import annotations

import functools
from fractions import Fraction
from typing import Any

from deel_seg._checks import received
from deel_seg.certificates.exact_metric import ExactMetric

_MAX_TERM = 10**4


@ExactMetric
def iou(tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
    """Intersection over union of the class, `tp / (tp + fp + fn)`."""
    return tp, tp + fp + fn


@ExactMetric
def dice(tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
    """Dice coefficient, or F1 score, `2 tp / (2 tp + fp + fn)`."""
    return 2 * tp, 2 * tp + fp + fn


@ExactMetric
def precision(tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
    """Share of the pixels predicted as the class that are of it, `tp / (tp + fp)`.

    Where none is predicted it counts as 0, the value that it falls to as true positives are lost
    beside any false one. An attack that hides the class thus brings it to 0.
    """
    return tp, tp + fp


@ExactMetric
def recall(tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
    """Share of the pixels of the class that are found, `tp / (tp + fn)`.

    `worst_case_recall` is the same at the cost of a single pass.
    """
    return tp, tp + fn


@ExactMetric
def specificity(tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
    """Share of the other pixels that are not taken for the class, `tn / (tn + fp)`."""
    return tn, tn + fp


@ExactMetric
def balanced_accuracy(tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
    """Mean of recall and specificity."""
    positives, negatives = tp + fn, tn + fp
    return tp * negatives + tn * positives, 2 * positives * negatives


def f_beta(beta: Any) -> ExactMetric:
    r"""Returns the F score in which recall weighs `beta` times as much as precision.

    With $b = \beta^2$ it is $(1 + b)\, tp / ((1 + b)\, tp + b\, fn + fp)$; `dice` for `beta = 1`.

    Args:
        beta: Number `> 0`, read in its decimal form; as a fraction both terms at most 10^4.

    Returns:
        The metric, the same object for the same `beta`, so that it compiles once.

    Raises:
        ValueError: When `beta` is not such a number.

    Example:
    >>> from deel_seg.certificates import confusion_metrics
    >>> round(float(confusion_metrics.f_beta(2)(8, 4, 2, 6)), 4)
    0.7692
    """
    try:
        ratio = Fraction(str(beta))
    except ValueError:
        ratio = Fraction(0)
    if isinstance(beta, bool) or ratio <= 0 or max(ratio.as_integer_ratio()) > _MAX_TERM:
        raise ValueError(
            f"`beta` must be a number > 0, a fraction of terms at most {_MAX_TERM}. "
            f"{received(beta=beta)}"
        )
    return _f_beta(ratio.numerator**2, ratio.denominator**2)


@functools.lru_cache(maxsize=64)
def _f_beta(for_recall: int, for_precision: int) -> ExactMetric:
    def f_beta(tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
        found = (for_recall + for_precision) * tp
        return found, found + for_recall * fn + for_precision * fp

    return ExactMetric(f_beta)
