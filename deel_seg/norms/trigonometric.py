r"""From the values of a trigonometric polynomial on a grid to a bound of it everywhere.

M. Riesz: where a real trigonometric polynomial of degree $m$ reaches its largest absolute value
$\|t\|$, it stays above $\|t\| \cos(m x)$ at a distance of $x \le \pi / m$. The nearest of $N$
equally spaced points is no further away than $\pi / N$, so that for $N > 2 m$

$$\|t\| \le \max_{\text{grid}} |t| / \cos(\pi m / N).$$

With complex coefficients this holds of the real part after a rotation, in two variables of one
after the other, and for matrices of $u^* T(x) v$ with the vectors that belong to the largest
singular value. $\sum_{j=0}^{k-1} c_j e^{ijx}$ has $m = (k - 1) / 2$: up to a rotation it is a
polynomial of degree $k - 1$ in $x / 2$, on a grid of twice the points.

References:
    M. Riesz, Eine trigonometrische Interpolationsformel und einige Ungleichungen für Polynome,
    Jahresbericht der DMV 1914.
    Ehlich and Zeller, Schwankung von Polynomen zwischen Gitterpunkten, Math. Z. 1964.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deel_seg.norms.matrix_norm import UNIT


def inflation(degrees: Sequence[float], points: Sequence[int]) -> float:
    """What a grid's largest value is multiplied with to bound a polynomial everywhere.

    Args:
        degrees: Degree in each variable; multiples of 1/2.
        points: Points of the grid in each variable, more than twice the degree.

    Raises:
        ValueError: If the grid has too few points.
    """
    factor = 1.0
    for degree, count in zip(degrees, points, strict=True):
        if count <= 2 * degree:
            raise ValueError(
                "`points` must be more than twice the degree. "
                f"Received: points={count}, degree={degree}"
            )
        factor /= math.cos(math.pi * degree / count)
    # The cosine of a rounded angle is off by less than the angle's rounding, of 2 units, over it.
    return factor * (1.0 + 2.0**-40)


def values_on_grid(
    coefficients: NDArray[Any], points: Sequence[int], lines: NDArray[Any], columns: NDArray[Any]
) -> tuple[NDArray[Any], float]:
    r"""Values of $\sum_p C_p e^{i p \cdot x}$ on a part of a grid, and how far each is off at most.

    Args:
        coefficients: `(height, width, rows, columns)` float64.
        points: Points of the grid in height and width.
        lines: The points wanted, by number, in height,
        columns: and in width.

    Returns:
        `(lines, columns, rows, columns)` complex128; and the error of any of them in the Frobenius
            norm.
    """
    height, width = coefficients.shape[:2]
    vertical, horizontal = _waves(points[0], lines, height), _waves(points[1], columns, width)
    values = np.tensordot(horizontal, coefficients, (1, 1))
    values = np.tensordot(vertical, values, (1, 1))
    # A wave is off by 20 units at most, as an angle of up to 2 pi is by three roundings of it, and
    # the sums by one a term and product: eight times less than what is stated.
    sizes = np.sqrt(np.sum(np.square(coefficients), axis=(-2, -1)))
    return values, float(np.sum(sizes)) * (height + width + 40) * 8 * UNIT


def _waves(points: int, numbers: NDArray[Any], taps: int) -> NDArray[Any]:
    """`exp(2 pi i n p / points)` for some numbers n and all p below `taps`."""
    turns = np.outer(numbers, np.arange(taps)) % points
    return np.exp(2j * np.pi * (turns / points))
