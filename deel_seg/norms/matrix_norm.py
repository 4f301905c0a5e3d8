r"""Upper bounds of the largest singular value of matrices, by Gram iteration.

$\|A\|^2 = \|A^* A\|$, so that squaring again and again and taking the Frobenius norm at the end
gives $\|A\| \le \|A_i\|_F^{1 / 2^i}$, which exceeds the norm by a factor of $r^{1 / 2^{i+1}}$ at
most, $r$ being the smaller side. Each computed square differs from the true one by no more than
$\gamma \|A\|_F^2$ in the Frobenius norm, which is added to its bound. Power iteration would give a
lower estimate, and is no bound.

References:
    Delattre et al., Efficient Bound of Lipschitz Constant for Convolutional Layers by Gram
    Iteration, ICML 2023.
    Higham, Accuracy and Stability of Numerical Algorithms, 2002: section 3.5 for products of
    matrices, 3.6 for complex ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

UNIT = 2.0**-53  # Unit roundoff of float64.
TIGHTNESS = 1e-4  # Relative excess at which the iteration stops,
MAX_SQUARES = 17  # reached by that many squares for any side below 2^26.


def product_error(terms: int) -> float:
    """Relative error of sums of that many complex products, whatever their order; or real ones."""
    return 4.0 * (terms + 4) * UNIT


def frobenius_above(matrices: Array) -> Array:
    """Upper bounds of the Frobenius norms of `(..., rows, columns)`."""
    squares = np.sum(np.square(matrices.real) + np.square(matrices.imag), axis=(-2, -1))
    return np.sqrt(squares) * (1.0 + product_error(matrices.shape[-1] * matrices.shape[-2]))


def matrix_norms_above(
    matrices: Any, *, tightness: float = TIGHTNESS, squares: int = MAX_SQUARES
) -> Array:
    """Upper bounds of the spectral norms of a stack of matrices.

    Args:
        matrices: `(..., rows, columns)`, finite, real or complex; lower precisions are widened.
        tightness: Relative excess over the norm at which the iteration may stop.
        squares: Squares at most.

    Returns:
        `(...)` float64, never below the norms, whose excess is at most `tightness` but for
            rounding, if that many squares are enough.

    Raises:
        ValueError: For values that are not finite.

    Example:
    >>> import numpy as np
    >>> from deel_seg.norms import matrix_norms_above
    >>> bound = float(matrix_norms_above(np.array([[3.0, 0.0], [0.0, 1.0]])))
    >>> 3.0 <= bound < 3.001
    True
    """
    stack = _stack(matrices)
    return _iterated(stack, tightness, squares, largest_only=False).reshape(np.shape(matrices)[:-2])


def largest_norm_above(
    matrices: Any, *, tightness: float = TIGHTNESS, squares: int = MAX_SQUARES
) -> float:
    """Upper bound of the largest of the spectral norms of a stack of matrices.

    Matrices that cannot have it are not looked at again. Arguments as of `matrix_norms_above`.
    """
    return float(np.max(_iterated(_stack(matrices), tightness, squares, largest_only=True)))


def _stack(matrices: Any) -> Array:
    matrices = np.asarray(matrices)
    matrices = matrices.astype("complex128" if np.iscomplexobj(matrices) else "float64")
    if not np.isfinite(matrices).all():
        raise ValueError("`matrices` must be finite. Received: NaN or infinity")
    if matrices.shape[-2] < matrices.shape[-1]:
        matrices = np.swapaxes(matrices, -1, -2)  # The transpose has the same norm.
    return matrices.reshape((-1, *matrices.shape[-2:]))


def _scaled(matrices: Array) -> tuple[Array, Array]:
    """Matrices times powers of two that bring their largest entries near 1, and these powers."""
    largest = np.maximum(np.abs(matrices.real), np.abs(matrices.imag))
    largest = np.max(largest, axis=(-2, -1), initial=0.0)
    exponents = np.where(largest > 0, np.frexp(largest)[1], 0)
    # In two steps: the power that lifts a subnormal number is none itself.
    half = -exponents // 2
    factors = np.ldexp(1.0, half)[:, None, None], np.ldexp(1.0, -exponents - half)[:, None, None]
    return matrices * factors[0] * factors[1], exponents


def _iterated(matrices: Array, tightness: float, squares: int, *, largest_only: bool) -> Array:
    """Bounds of the norms of `(stack, rows, columns)`, loose ones of what is not the largest.

    Each matrix is known by its own power of two, and each of its squares by what it is off.
    """
    side = matrices.shape[-1]
    bounds = np.zeros(len(matrices))
    active = np.arange(len(matrices))
    scaled, exponents = _scaled(matrices)
    steps: list[tuple[Array, Array]] = []  # Errors and powers of the squares, of those active.
    power = exponents.astype("float64")  # Of the square itself: doubled with each.
    for number in range(squares + 1):
        frobenius = frobenius_above(scaled)
        bounds[active] = _rooted(frobenius, steps, exponents)
        # The norm is at least the Frobenius norm over the root of the side: where to stop.
        with np.errstate(divide="ignore", invalid="ignore"):
            least = (np.log2(frobenius) + power - 0.5 * np.log2(side)) / 2.0**number
            excess = np.log2(bounds[active]) - (np.max(least) if largest_only else least)
        going_on = (excess > np.log2(1.0 + tightness)) & (frobenius > 0)
        if number == squares or not going_on.any():
            break
        active, scaled, frobenius = active[going_on], scaled[going_on], frobenius[going_on]
        exponents, power = exponents[going_on], power[going_on]
        steps = [(error[going_on], shift[going_on]) for error, shift in steps]
        error = product_error(scaled.shape[-2]) * np.square(frobenius)
        scaled, shift = _scaled(np.conj(np.swapaxes(scaled, -1, -2)) @ scaled)
        steps.append((error, shift))
        power = 2 * power + shift
    return bounds


def _rooted(frobenius: Array, steps: Sequence[tuple[Array, Array]], exponents: Array) -> Array:
    """From the Frobenius norms of the last squares to bounds of the norms at the start."""
    bound = frobenius
    for error, shift in reversed(steps):
        squared = (np.ldexp(bound, shift) + error) * (1.0 + 4 * UNIT)
        bound = np.sqrt(squared) * (1.0 + 4 * UNIT)
    # What underflowed, next to values of about 1, is covered; so is what does now.
    with np.errstate(over="ignore", under="ignore"):
        bound = np.nextafter(np.ldexp(bound + 2.0**-500, exponents), np.inf)
    return np.where(frobenius > 0, bound, 0.0)
