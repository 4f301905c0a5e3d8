"""The statistics of SegCertify as its published implementation computes them, pixel by pixel.

Only to be timed: one vote and one binomial test of scipy for each pixel, in Python, and then Holm's
correction of all p-values by statsmodels.
"""

from __future__ import annotations

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests


def certify_pixel_by_pixel(
    predictions: np.ndarray, first_samples: int, probability: float, alpha: float
) -> np.ndarray:
    """Certified class of each pixel, `(H, W)`; -1 where it abstains.

    Args:
        predictions: `(samples, H, W)`, integer classes of all noisy copies.
        first_samples: Of these the ones that vote.
        probability: What a class has to exceed.
        alpha: Probability that any certificate is wrong.
    """
    columns = predictions.reshape(len(predictions), -1).T
    classes, p_values = np.empty(len(columns), "int64"), np.empty(len(columns))
    for pixel, column in enumerate(columns):
        classes[pixel] = np.bincount(column[:first_samples]).argmax()
        others = column[first_samples:]
        count = int(np.sum(others == classes[pixel]))
        test = stats.binomtest(count, len(others), probability, alternative="greater")
        p_values[pixel] = test.pvalue
    rejected = multipletests(p_values, alpha, method="holm")[0]
    return np.where(rejected, classes, -1).reshape(predictions.shape[1:])
