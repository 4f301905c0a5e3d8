r"""Upper bounds of the spectral norm of convolutions, for images of every size or of one.

A convolution of stride $s$ is one of stride 1 on patches of $s \times s$ pixels, with taps $K_p$
from the $c$ features of a patch to those out. On the whole plane its norm is the largest one of
the symbol $\hat K(\theta) = \sum_p K_p e^{i p \cdot \theta}$ over all frequencies. Dilation moves
frequencies, and no values. Zero padding cuts the image off before and after, and a transposed
convolution is the adjoint: neither has a larger norm. With circular padding the frequencies are
those of the image's size, and the wrapped image is as good as the plane.

Two bounds, of which the smaller one holds:

- of any kernel: the largest norm on a grid of frequencies, inflated for the gaps between them;
- of a nearly orthogonal one: $\hat K^* \hat K = c I + E$ has $\|\hat K\|^2 \le c + \|E\|$, where
  $E$ is so small that a coarse grid and a coarse norm will do.

References:
    Sedghi et al., The Singular Values of Convolutional Layers, ICLR 2019, for the symbol.
    Delattre et al., Efficient Bound of Lipschitz Constant for Convolutional Layers by Gram
    Iteration, ICML 2023.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deel_seg.norms.matrix_norm import UNIT, frobenius_above, largest_norm_above, product_error
from deel_seg.norms.taps import on_patches, with_holes
from deel_seg.norms.trigonometric import inflation, values_on_grid

Array = NDArray[Any]

NEARLY = 1e-3
"""Excess of the bound of a nearly orthogonal kernel that no other one is asked to improve on."""

_GAP = 1e-2  # Excess that the gaps of a grid may cost,
_MOST = 2e11  # Operations on a grid for a tighter bound of a nearly orthogonal kernel.
_WORK = 3e10  # if squaring its values takes no more operations than these.
_TIGHTNESS = 2e-3  # Excess of the norms on a grid.
_BLOCK = 2**24  # Numbers of a grid's values held at once.


def convolution_norm_above(
    kernel: Any,
    strides: tuple[int, int] = (1, 1),
    *,
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    circular: tuple[int, int] | None = None,
    tightness: float = 1e-5,
) -> float:
    """Upper bound of the l2 norm of a convolution, whatever the size of the image.

    It holds for zero padding of any kind, for circular padding where the strides divide the
    image, and for the transposed convolution of the same kernel.

    Args:
        kernel: `(height, width, channels in / groups, channels out)`, finite.
        strides: In height and width.
        dilation: In height and width.
        groups: Channel groups.
        circular: Height and width of the image, if the bound is wanted for circular padding at
            that size only, which may be less.
        tightness: Excess over the norm, relatively, that a nearly orthogonal kernel may keep.

    Returns:
        The bound, float64. It exceeds the largest norm over all sizes by about `tightness` for a
        nearly orthogonal kernel, and by 1 % for others of up to a hundred channels.

    Raises:
        ValueError: For a kernel that is not finite or not of four axes, or whose channels the
            groups do not divide.

    Example:
    The mean of two neighbours has norm 1, reached by a constant image.

    >>> import numpy as np
    >>> from deel_seg.norms import convolution_norm_above
    >>> 1.0 <= convolution_norm_above(np.full((1, 2, 1, 1), 0.5)) < 1.01
    True
    """
    kernel = np.asarray(kernel).astype("float64")
    if kernel.ndim != 4 or kernel.shape[-1] % groups:
        raise ValueError(
            "`kernel` must be of shape (height, width, channels in / groups, channels out), and "
            f"`groups` divide the last. Received: shape={kernel.shape}, groups={groups}"
        )
    if not np.isfinite(kernel).all():
        raise ValueError("`kernel` must be finite. Received: NaN or infinity")
    if circular is not None and any(n % s for n, s in zip(circular, strides, strict=True)):
        raise ValueError(
            "`circular` must be a size that the strides divide. "
            f"Received: circular={circular}, strides={strides}"
        )
    largest = float(np.max(np.abs(kernel), initial=0.0))
    if largest == 0.0:
        return 0.0
    # Scaled by a power of two, for no square to overflow or to vanish.
    exponent = math.frexp(largest)[1]
    kernel = np.ldexp(kernel, -exponent)
    if max(strides) > 1 and max(dilation) > 1:
        # A tap's place in its patch depends on the holes.
        kernel, dilation = with_holes(kernel, dilation), (1, 1)
    bounds = []
    for part in np.split(kernel, groups, axis=-1):
        taps = on_patches(part, strides)
        if taps.shape[-1] > taps.shape[-2]:
            taps = np.swapaxes(taps, -1, -2)  # All taps transposed: the same singular values.
        bound, excess = _nearly_orthogonal(taps, tightness)
        if excess > NEARLY:
            bound = min(bound, _on_grid(taps, *_grid(taps)))
            if circular is not None:
                bound = min(bound, _at_size(taps, circular, strides, dilation))
        bounds.append(bound)
    return math.nextafter(math.ldexp(max(bounds), exponent), math.inf)


def convolution_norm_below(
    kernel: Any,
    strides: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    *,
    iterations: int = 30,
) -> float:
    """Lower estimate of the largest norm over all image sizes, to tell how tight a bound is.

    By power iteration at some frequencies, and so no bound, and right up to rounding only. For one
    group; arguments as of `convolution_norm_above`.
    """
    kernel = np.asarray(kernel).astype("float64")
    if max(strides) > 1 and max(dilation) > 1:
        kernel = with_holes(kernel, dilation)
    taps = on_patches(kernel, strides)
    points = tuple(1 if size == 1 else 4 for size in taps.shape[:2])
    lines, columns = np.arange(points[0]), np.arange(points[1] // 2 + 1)
    values, _ = values_on_grid(taps, points, lines, columns)
    vectors = np.random.default_rng(0).normal(size=(*values.shape[:2], values.shape[-1], 1))
    for _ in range(iterations):
        vectors = np.conj(np.swapaxes(values, -1, -2)) @ (values @ vectors)
        norms = np.linalg.norm(vectors, axis=(-2, -1), keepdims=True)
        vectors = vectors / np.where(norms > 0, norms, 1.0)
    return float(np.max(np.linalg.norm(values @ vectors, axis=(-2, -1))))


def _nearly_orthogonal(taps: Array, tightness: float) -> tuple[float, float]:
    """Bound by the distance of the Gram symbol from a multiple of 1, and its excess.

    The norm is at least the root of the mean of the Gram symbol's eigenvalues, over all of them
    and all frequencies; the relative excess is that over this root.
    """
    height, width, _, side = taps.shape
    gram = _self_correlation(taps)
    center = gram[height - 1, width - 1]
    mean = float(np.trace(center)) / side
    center -= mean * np.eye(side)
    degrees = height - 1, width - 1
    points = max(1, 4 * degrees[0]), max(1, 4 * degrees[1])
    values, error = values_on_grid(gram, points, *_half(points))
    # What the products and sums behind the coefficients are off by, all offsets together.
    sizes = float(np.sum(frobenius_above(taps)))
    error += (product_error(taps.shape[-2] * height * width) + 4 * UNIT) * sizes**2
    gaps = inflation(degrees, points)
    bound = excess = math.inf
    work = points[0] * (points[1] // 2 + 1) * 8 * side**3
    for squares in (0, 1, 3):
        if squares * work > _MOST:
            break
        distance = (largest_norm_above(values, squares=squares) + error) * gaps
        squared = (mean + distance) * (1.0 + 8 * UNIT)
        bound = math.nextafter(math.sqrt(squared), math.inf)
        excess = bound / math.sqrt(mean) - 1.0
        # Far from orthogonal another bound is better.
        if excess <= tightness or excess > 0.1:
            break
    return bound, excess


def _self_correlation(taps: Array) -> Array:
    """Coefficients of the symbol of `K^* K`, `(2 height - 1, 2 width - 1, side, side)`."""
    height, width, _, side = taps.shape
    gram = np.zeros((2 * height - 1, 2 * width - 1, side, side))
    for down in range(height):
        for right in range(1 - width if down else 0, width):
            first = taps[: height - down, max(0, -right) : width - max(0, right)]
            second = taps[down:, max(0, right) : width - max(0, -right)]
            product = first.reshape(-1, side).T @ second.reshape(-1, side)
            gram[height - 1 + down, width - 1 + right] = product
            gram[height - 1 - down, width - 1 - right] = product.T
    return gram


def _half(points: tuple[int, int]) -> tuple[Array, Array]:
    """Lines and columns of a grid without opposite points, at which values are conjugate."""
    return np.arange(points[0]), np.arange(points[1] // 2 + 1)


def _grid(taps: Array) -> tuple[tuple[int, int], float]:
    """Points of a grid, and the inflation for its gaps; fewer points where each is much work."""
    height, width, rows, side = taps.shape
    degrees = (height - 1) / 2, (width - 1) / 2
    gap = _GAP
    while True:
        points = tuple(max(1, math.ceil(degree * math.pi / math.sqrt(gap))) for degree in degrees)
        work = points[0] * (points[1] // 2 + 1) * 8 * rows * side**2
        if work <= _WORK or gap > 0.3:
            return (points[0], points[1]), inflation(degrees, points)
        gap *= 1.5


def _on_grid(taps: Array, points: tuple[int, int], gaps: float) -> float:
    """Largest norm of the symbol on a grid, times the inflation for its gaps."""
    lines, columns = _half(points)
    return _largest(taps, points, lines, columns) * gaps * (1.0 + 4 * UNIT)


def _at_size(
    taps: Array, size: tuple[int, int], strides: tuple[int, int], dilation: tuple[int, int]
) -> float:
    """Largest norm at the frequencies of a circular image, if these are not too many."""
    points = size[0] // strides[0], size[1] // strides[1]
    if points[0] * points[1] * 4 * math.prod(taps.shape[-2:]) * taps.shape[-1] > _WORK:
        return math.inf
    lines, columns = (
        np.unique(numbers * d % n)
        for numbers, d, n in zip(_half(points), dilation, points, strict=True)
    )
    return _largest(taps, points, lines, columns)


def _largest(taps: Array, points: tuple[int, int], lines: Array, columns: Array) -> float:
    # Some lines at a time: the values of all of them may not fit in memory.
    together = max(1, _BLOCK // (len(columns) * math.prod(taps.shape[-2:])))
    bound = 0.0
    for start in range(0, len(lines), together):
        values, error = values_on_grid(taps, points, lines[start : start + together], columns)
        bound = max(bound, largest_norm_above(values, tightness=_TIGHTNESS) + error)
    return bound * (1.0 + 4 * UNIT)
