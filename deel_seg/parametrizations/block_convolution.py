r"""Orthogonal convolution kernels from matrices with orthonormal columns (AOC).

Rows are features: a kernel `K` of shape `(..., height, width, c_in, c_out)` maps a pixel `x` to
`x @ K[p]` at each tap `p`. The leading axis runs over the groups.

Why the kernels are orthogonal: for a projector `A`, `A + (I - A) e^{it}` is unitary, so the two-tap
convolution `[A, I - A]` preserves norms, in height as in width; `I - 2 S` is a reflection. Products
of those are the block convolution (BCOP). A matrix applied to disjoint `s x s` patches is as
orthogonal as the matrix (RKO). AOC composes the two. For any `S` with `0 <= S <= I` the same
products have norm at most 1, so factors short of orthonormal cost tightness, never the bound.

References:
    Li et al., Preventing Gradient Attenuation in Lipschitz Constrained Convolutional Networks,
    NeurIPS 2019 (BCOP).
    Boissin et al., An Adaptive Orthogonal Convolution Scheme for Efficient and Flexible CNN
    Architectures, ICML 2025 (AOC).
"""

from __future__ import annotations

from typing import Any

from keras import ops

from deel_seg._backend import exact_matmul

Tensor = Any

REFLECTIONS = 2
"""Projectors spent on the `1 x 1` factor, before those of the taps."""


def factor_counts(kernel_size: tuple[int, int]) -> int:
    """Number of projectors behind a block convolution of that size.

    Example:

    >>> from deel_seg.parametrizations import factor_counts
    >>> factor_counts((3, 3)), factor_counts((1, 1))
    (6, 2)
    """
    return REFLECTIONS + (kernel_size[0] - 1) + (kernel_size[1] - 1)


def block_convolution(
    projectors: Tensor, kernel_size: tuple[int, int], in_channels: int, out_channels: int
) -> Tensor:
    """Kernel of an orthogonal stride-1 convolution (BCOP).

    Args:
        projectors: `(groups, n, c, r)`, `n = factor_counts(kernel_size)` bases `P` of orthonormal
            columns; `c = max(in_channels, out_channels)`. `P P^T` are the projectors.
        kernel_size: Height and width.
        in_channels: Per group.
        out_channels: Per group.

    Returns:
        `(groups, height, width, in_channels, out_channels)`.
    """
    groups, _, width, _ = projectors.shape
    rows = min(in_channels, out_channels)
    identity = ops.eye(rows, width, dtype=projectors.dtype)
    first = projectors[:, 0]
    kernel = identity - 2.0 * exact_matmul(first[:, :rows], ops.swapaxes(first, -1, -2))
    kernel = ops.reshape(kernel, (groups, 1, 1, rows, width))
    for index in range(1, REFLECTIONS):
        kernel = kernel - 2.0 * _project(kernel, projectors[:, index])
    vertical, horizontal = kernel_size[0] - 1, kernel_size[1] - 1
    index = REFLECTIONS
    # Alternating the directions mixes them; all of one first would give a separable kernel.
    for step in range(max(vertical, horizontal)):
        for axis, count in ((1, vertical), (2, horizontal)):
            if step < count:
                kernel = _two_taps(kernel, projectors[:, index], axis)
                index += 1
    if in_channels > out_channels:
        kernel = ops.swapaxes(kernel, -1, -2)
    return kernel


def _project(kernel: Tensor, basis: Tensor) -> Tensor:
    """`K[p] P P^T` for all taps, through the thin basis: the projector itself is never formed."""
    shape = kernel.shape
    flat = ops.reshape(kernel, (shape[0], -1, shape[-1]))
    flat = exact_matmul(exact_matmul(flat, basis), ops.swapaxes(basis, -1, -2))
    return ops.reshape(flat, shape)


def _two_taps(kernel: Tensor, basis: Tensor, axis: int) -> Tensor:
    """Composes with `[A, I - A]` along one spatial axis, `A = P P^T`."""
    kept = _project(kernel, basis)
    rest = kernel - kept
    before = [(0, 0)] * 5
    after = [(0, 0)] * 5
    before[axis], after[axis] = (1, 0), (0, 1)
    return ops.pad(kept, after) + ops.pad(rest, before)


def strided_composition(inner: Tensor, outer: Tensor) -> Tensor:
    """Composes a stride-1 kernel with a matrix on disjoint patches: "inner, then outer".

    Args:
        inner: `(groups, h, w, a, m)`, stride 1.
        outer: `(groups, sh, sw, m, b)`, used with stride `(sh, sw)`.

    Returns:
        `(groups, h + sh - 1, w + sw - 1, a, b)`, to be used with stride `(sh, sw)`.
    """
    groups, height, width, channels, middle = inner.shape
    _, rows, columns, _, filters = outer.shape
    flat = ops.reshape(inner, (groups, height * width * channels, middle))
    matrix = ops.reshape(ops.transpose(outer, (0, 3, 1, 2, 4)), (groups, middle, -1))
    products = ops.reshape(
        exact_matmul(flat, matrix), (groups, height, width, channels, rows, columns, filters)
    )
    total = 0.0
    for row in range(rows):
        for column in range(columns):
            shifts = [(0, 0), (row, rows - 1 - row), (column, columns - 1 - column)]
            total = total + ops.pad(products[..., row, column, :], [*shifts, (0, 0), (0, 0)])
    return total
