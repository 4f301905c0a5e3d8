r"""Matrices with orthonormal columns, kept so while an optimiser moves them.

A variable `W` of shape `(..., rows, columns)`, `rows >= columns`, lives on the Stiefel manifold
`W^T W = I`. Three maps keep it there and keep it safe:

- `tangent`: identity forward; backward, the gradient is projected on the tangent space, so that
  the optimiser does not spend its step on leaving the manifold;
- `retract`, run by the `Orthonormal` constraint after each optimiser step: Björck iterations
  bring `W` back;
- `bounded`, in every forward pass: divides `W` by a bound of its largest singular value. On the
  manifold that bound is 1 up to rounding. Off it (loaded, edited, a missed constraint) it is what
  keeps the layer's Lipschitz bound true whatever the values.

References:
    Björck and Bowie, An iterative algorithm for computing the best estimate of an orthogonal
    matrix, SIAM J. Numer. Anal. 1971.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from deel_seg._backend import compiled_as_one, exact_matmul, normal_on_host

Tensor = Any


def _gram(matrix: Tensor) -> Tensor:
    return exact_matmul(ops.swapaxes(matrix, -1, -2), matrix)


def _deviation(matrix: Tensor) -> Tensor:
    """Bound of `|W^T W - I|`, spectral, as its largest absolute row sum; shape `(..., 1, 1)`.

    A symmetric matrix has no eigenvalue above its largest absolute row sum.
    """
    columns = matrix.shape[-1]
    residual = _gram(matrix) - ops.eye(columns, dtype=matrix.dtype)
    rows = ops.sum(ops.absolute(residual), axis=-1, keepdims=True)
    return ops.max(rows, axis=-2, keepdims=True)


def bounded(matrix: Tensor) -> Tensor:
    """Divides `(..., rows, columns)` by a proved bound of its spectral norm, at least 1.

    `|W|^2 <= 1 + |W^T W - I|`, so the result has no singular value above 1, be the argument
    orthonormal or not; an orthonormal one is left as it is up to rounding. The divisor is taken as
    a constant by differentiation.

    Example:

    >>> import numpy as np
    >>> from deel_seg.parametrizations import bounded
    >>> round(float(bounded(np.array([[3.0], [4.0]], dtype="float32"))[1, 0]), 5)
    0.8
    """
    norm = ops.sqrt(1.0 + _deviation(ops.stop_gradient(matrix)))
    return matrix / norm


@compiled_as_one("iterations")
def retract(matrix: Tensor, iterations: int = 4) -> Tensor:
    """Brings `(..., rows, columns)` near orthonormal columns back onto the manifold.

    Each Björck step maps a singular value `s` to `(3 s - s^3) / 2`: an error `e` becomes `1.5 e^2`,
    and no `s` in `[0, 2]` ends above 1. Matrices that may have a singular value above `sqrt(3)`
    are scaled into that range first, so the result is bounded by 1 from any start.

    Args:
        matrix: Float32 tensor.
        iterations: Björck steps. Four suffice after an optimiser step of Adam's at a rate of
            5e-3, which moves singular values by up to 0.2.

    Returns:
        Tensor of the same shape.
    """
    scale = ops.sqrt(3.0 / ops.maximum(1.0 + _deviation(matrix), 3.0))
    matrix = matrix * scale
    for _ in range(iterations):
        matrix = 1.5 * matrix - 0.5 * exact_matmul(matrix, _gram(matrix))
    return matrix


@ops.custom_gradient
def tangent(matrix: Tensor) -> tuple[Tensor, Any]:
    """Identity whose gradient `G` becomes `G - W sym(W^T G)`, tangent to the manifold at `W`."""

    def gradient(*upstream: Tensor) -> Tensor:
        (direction,) = upstream
        product = exact_matmul(ops.swapaxes(matrix, -1, -2), direction)
        symmetric = 0.5 * (product + ops.swapaxes(product, -1, -2))
        return direction - exact_matmul(matrix, symmetric)

    return matrix, gradient


def orthonormality_error(matrix: Tensor) -> np.ndarray:
    """Largest entry of `|W^T W - I|` of each matrix, in float64; NaN where a value is no number.

    Example:

    >>> import numpy as np
    >>> from deel_seg.parametrizations import orthonormality_error
    >>> float(orthonormality_error(2.0 * np.eye(3, 2)))
    3.0
    """
    array = ops.convert_to_numpy(matrix).astype("float64")
    with np.errstate(invalid="ignore", over="ignore"):
        gram = np.swapaxes(array, -1, -2) @ array
        return np.max(np.abs(gram - np.eye(array.shape[-1])), axis=(-1, -2))


@keras.saving.register_keras_serializable("deel_seg")
class OrthonormalInitializer(keras.initializers.Initializer):
    """Draws every matrix of a `(..., rows, columns)` tensor with orthonormal columns (Haar).

    The factorisation runs in float64, so that training starts on the manifold to the last bit.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed

    def __call__(self, shape: Any, dtype: Any = None) -> Tensor:
        factor, triangle = np.linalg.qr(normal_on_host(shape, self.seed))
        # The signs of the diagonal make the distribution uniform instead of LAPACK's choice.
        diagonal = np.diagonal(triangle, axis1=-2, axis2=-1)
        signs = np.where(diagonal < 0, -1.0, 1.0)
        return ops.convert_to_tensor(factor * signs[..., None, :], dtype=dtype or "float32")

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}
