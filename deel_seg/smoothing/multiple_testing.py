"""Which counts are certified when all pixels of an image are tested at once.

The p-value of a pixel depends on its count alone, so that a correction is one least count, found
from how many pixels have each count.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from deel_seg._checks import check_choice, check_integer, check_real

Correction = Callable[[np.ndarray, np.ndarray, float, int], int]


def bonferroni(table: np.ndarray, histogram: np.ndarray, alpha: float, tolerated: int) -> int:
    """Each test at `alpha / N`: no false certificate, with probability `1 - alpha`."""
    return _least(table <= alpha / histogram.sum())


def holm(table: np.ndarray, histogram: np.ndarray, alpha: float, tolerated: int) -> int:
    """The m-th smallest p-value at `alpha / (N - m + 1)`, down to the first that fails.

    The same guarantee as `bonferroni`, for any dependence between pixels, and never fewer of them.
    Of pixels with the same p-value the first is decided on first, and all others more easily.
    """
    above = histogram.sum() - np.cumsum(histogram)
    left = histogram.sum() - above
    holds = np.logical_or(table <= alpha / np.maximum(left, 1), histogram == 0)
    # From the largest count down to the first that does not hold; nothing is told of no pixels.
    failing = np.nonzero(~holds)[0]
    least = int(failing[-1]) + 1 if len(failing) else 0
    kept = np.nonzero(histogram[least:])[0]
    return least + int(kept[0]) if len(kept) else len(table)


def k_familywise(table: np.ndarray, histogram: np.ndarray, alpha: float, tolerated: int) -> int:
    """Each test at `(k + 1) alpha / N`: at most k false certificates, with probability `1 - alpha`.

    By Markov's inequality, for any dependence. The published implementation of SegCertify takes a
    step-down form with larger levels than have been proved.
    """
    return _least(table <= (tolerated + 1) * alpha / histogram.sum())


CORRECTIONS: dict[str, Correction] = {
    "bonferroni": bonferroni,
    "holm": holm,
    "k_familywise": k_familywise,
}


def least_count(
    table: np.ndarray,
    histogram: np.ndarray,
    *,
    alpha: float,
    correction: str = "holm",
    tolerated: int = 0,
) -> int:
    """Least count that is certified; one more than there are samples where none is.

    Args:
        table: `(n + 1,)` float64, of `p_values`.
        histogram: `(n + 1,)`, how many of the pixels that are tested have each count.
        alpha: Probability that what is promised fails, in `(0, 1)`.
        correction: `"holm"`, `"bonferroni"` or `"k_familywise"`.
        tolerated: Number of false certificates that `"k_familywise"` puts up with.

    References:
        Lehmann, Romano, Generalizations of the familywise error rate, 2005.
    """
    check_real("alpha", alpha, minimum=0, maximum=1, exclusive_minimum=True, exclusive_maximum=True)
    check_integer("tolerated", tolerated, minimum=0)
    chosen = CORRECTIONS[check_choice("correction", correction, CORRECTIONS)]
    return chosen(table, histogram, alpha, tolerated) if histogram.sum() else len(table)


def _least(holds: np.ndarray) -> int:
    found = np.nonzero(holds)[0]
    return int(found[0]) if len(found) else len(holds)
