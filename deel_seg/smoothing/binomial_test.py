r"""Tests of how often a class comes up, from one table of all counts.

Under noise of standard deviation $\sigma$ a class that comes up with probability above
$\tau = \Phi(\epsilon / \sigma)$ stays the most probable one under any change of l2 norm $\epsilon$.
Of n samples a count is one of 0, ..., n, so that there are n + 1 p-values, however many pixels.

References:
    Cohen et al., Certified Adversarial Robustness via Randomized Smoothing, ICML 2019.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from deel_seg._checks import check_integer, check_real


def _stats() -> Any:
    # It takes longer to import than all of this library, and only smoothing needs it.
    from scipy import stats

    return stats


def probability_for(eps: Any, sigma: float) -> float:
    r"""The probability $\tau$ that a class has to exceed for a radius `eps`.

    Args:
        eps: Radius in l2, at least 0.
        sigma: Standard deviation of the noise.
    """
    eps = check_real("eps", eps, minimum=0)
    return float(
        _stats().norm.cdf(eps / check_real("sigma", sigma, minimum=0, exclusive_minimum=True))
    )


def radius_for(probability: Any, sigma: float) -> float:
    r"""The radius $\sigma \Phi^{-1}(\tau)$ of a class that comes up with a probability above it."""
    probability = check_real("probability", probability, minimum=0.5, maximum=1)
    return float(sigma * _stats().norm.ppf(probability))


def radii_of(probabilities: np.ndarray, sigma: float) -> np.ndarray:
    r"""The radius of each class that comes up with more than such a probability.

    $\sigma \Phi^{-1}(p)$, and 0 below one half, where the class may not be the most frequent one.

    Args:
        probabilities: Lower bounds in `[0, 1]`, of any shape.
        sigma: Standard deviation of the noise.

    Returns:
        Float64, of the same shape.
    """
    sigma = check_real("sigma", sigma, minimum=0, exclusive_minimum=True)
    # Bounds and quantiles are right to some 1e-14; what is told is below them.
    below = np.maximum(np.asarray(probabilities, "float64") * (1.0 - 1e-12), 0.5)
    return sigma * np.maximum(_stats().norm.ppf(below) - 1e-12, 0.0)


def p_values(samples: int, probability: float) -> np.ndarray:
    """Probability of each count or more, if the class came up with `probability`.

    Args:
        samples: n.
        probability: In `[0, 1]`.

    Returns:
        `(n + 1,)` float64, decreasing from 1.
    """
    check_integer("samples", samples, minimum=1)
    check_real("probability", probability, minimum=0, maximum=1)
    return _stats().binom.sf(np.arange(samples + 1) - 1, samples, probability)


def lower_bounds(samples: int, level: float) -> np.ndarray:
    """Clopper-Pearson: what the probability of a class exceeds, given its count.

    Args:
        samples: n.
        level: Probability that a bound is wrong, in `(0, 1)`.

    Returns:
        `(n + 1,)` float64, increasing from 0.
    """
    check_integer("samples", samples, minimum=1)
    check_real("level", level, minimum=0, maximum=1, exclusive_minimum=True, exclusive_maximum=True)
    counts = np.arange(1, samples + 1)
    return np.append(0.0, _stats().beta.ppf(level, counts, samples - counts + 1))


def fewest_samples(eps: float, sigma: float, *, pixels: int, alpha: float = 0.001) -> int:
    r"""Samples below which no pixel can be certified: least n with $\tau^n \le \alpha / N$.

    Args:
        eps: Radius.
        sigma: Standard deviation of the noise.
        pixels: N, the pixels of an image.
        alpha: Probability that any certificate of an image is wrong.

    Example:
    >>> from deel_seg.smoothing import fewest_samples
    >>> fewest_samples(0.1, 0.25, pixels=1024 * 1024)
    50
    """
    check_integer("pixels", pixels, minimum=1)
    check_real("alpha", alpha, minimum=0, maximum=1, exclusive_minimum=True, exclusive_maximum=True)
    probability = probability_for(eps, sigma)
    if probability >= 1.0:
        raise ValueError(
            "`eps` is so large that no number of samples is enough. "
            f"Received: eps={eps!r}, sigma={sigma!r}"
        )
    number = max(1, math.floor(math.log(alpha / pixels) / math.log(probability)) - 1)
    while _stats().binom.sf(number - 1, number, probability) > alpha / pixels:
        number += 1
    return number
