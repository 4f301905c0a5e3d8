"""Certificates of the prediction in plain float32 operations, which other runtimes have too.

The certificates of the library count in float64 and look at bit patterns. Those below bound the
same quantities from the same logits, a little less tightly, with what ONNX and LiteRT offer.

What is assumed of a runtime, with `u` = 2^-24: sums, differences and products of normal float32
numbers are within a factor `1 +- u` of the exact value, fused or not, quotients and square roots
within `1 +- 4u`, sums are added in any order, and subnormal numbers may be flushed to zero. One
that computes in half precision breaks this, and nothing it says is certified.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import keras
from keras import ops

from deel_seg._checks import check_real, received
from deel_seg.certificates.budgets import check_budgets
from deel_seg.certificates.inputs import MAX_PIXELS
from deel_seg.certificates.objectives import exact_fraction
from deel_seg.certificates.rounding import LARGEST, SMALLEST, TINY
from deel_seg.export.float32_constants import (
    float32_above,
    float32_below,
    grown,
    root_below,
    shrunk,
)
from deel_seg.export.portable_sums import SUM_ROUNDINGS, floor_product, running_sums

Tensor = Any

# Of a running sum of squared margins: its additions and the square.
_TOTAL_ROUNDINGS = SUM_ROUNDINGS + 1

_LARGEST_FLOAT32 = (2 - 2.0**-23) * 2.0**127


def portable_certificate(
    logits: Tensor,
    *,
    lipschitz_constant: float,
    logit_tolerance: float,
    eps: Sequence[float],
    fraction: Any = 0.5,
) -> dict[str, Tensor]:
    r"""Lower-bounds the l2 certificates of the prediction in float32, for exported networks.

    The numbers are written into the graph as constants. Without tolerance radii are less than 2e-5
    of their value below the exact ones, and `crs` is hardly below that of a budget 2e-5 larger;
    but margins below 2^-48 count as 0 and above 2^48 as 2^48, as everywhere in the library.

    Args:
        logits: `(batch, H, W, classes)`, float32 or narrower; the first three sizes may be unknown.
        lipschitz_constant: Proved upper bound `L > 0` of the map from image to `logits`, l2 norm.
        logit_tolerance: How far each logit may be from its exact value; margins shrink by it.
        eps: Budgets of `crs`, `>= 0`, in the units of the model input.
        fraction: Share of the pixels of `stability_radius`, see the certificate of that name.

    Returns:
        `labels`: `(batch, H, W)` int32, the predicted class.
        `radius`: `(batch, H, W)` float32, at most `pixel_radius(logits)`.
        `stability_radius`: `(batch,)` float32, at most `stability_radius(logits)`.
        `crs`: `(batch, len(eps))` float32, at most `worst_case_stability(logits, eps=eps)`.
        The last three are NaN for an image with a NaN or infinite logit.

    Raises:
        ValueError: When an argument has the wrong shape, dtype or value.

    Example:
    Four pixels with margins 1, 2, 3, 4, hence radii 0.71, 1.41, 2.12, 2.83.

    >>> import numpy as np
    >>> from keras import ops
    >>> from deel_seg.export.portable import portable_certificate
    >>> margins = np.array([[[1.0, 2.0], [3.0, 4.0]]], dtype="float32")
    >>> logits = np.stack([margins, np.zeros_like(margins)], axis=-1)
    >>> bounds = portable_certificate(
    ...     logits, lipschitz_constant=1.0, logit_tolerance=0.0, eps=[0.0, 1.0, 2.0]
    ... )
    >>> [f"{radius:.3f}" for radius in ops.convert_to_numpy(bounds["radius"]).flat]
    ['0.707', '1.414', '2.121', '2.828']
    >>> print(f"{float(bounds['stability_radius'][0]):.3f}")
    1.581
    >>> [f"{share:.3f}" for share in ops.convert_to_numpy(bounds["crs"]).flat]
    ['1.000', '0.750', '0.500']
    """
    constant = Fraction(
        check_real("lipschitz_constant", lipschitz_constant, minimum=0, exclusive_minimum=True)
    )
    tolerance = Fraction(check_real("logit_tolerance", logit_tolerance, minimum=0))
    budgets = [Fraction(budget) for budget in check_budgets(eps)]
    share = exact_fraction("fraction", fraction, allow_zero=False)
    logits = _check_logits(logits)
    num_classes = logits.shape[-1]
    logits_moved = 1 if num_classes == 1 else 2
    # A change of the logits of norm 1 is worth so large a sum of squared margins.
    scale = logits_moved * constant**2

    gaps, labels = _gaps_and_labels(logits)
    margins = _margins(gaps, float32_above(logits_moved * tolerance))
    finite = ops.all(ops.abs(logits) <= _LARGEST_FLOAT32, axis=(1, 2, 3))
    height, width = ops.shape(margins)[1:]
    pixels = height * width
    ascending = ops.sort(ops.reshape(margins, (-1, pixels)), axis=-1)
    totals = running_sums(ascending * ascending)

    return {
        "labels": labels,
        "radius": _where_finite(finite, _pixel_radius(margins, scale)),
        "stability_radius": _where_finite(finite, _stability_radius(totals, pixels, share, scale)),
        "crs": _where_finite(finite, _crs(totals, pixels, budgets, scale)),
    }


def _gaps_and_labels(logits: Tensor) -> tuple[Tensor, Tensor]:
    """How far the predicted class stands above all others, and which one it is.

    Of equal logits the class of lowest index is predicted; the gap is 0 then, as is the radius.
    """
    if logits.shape[-1] == 1:
        logit = logits[..., 0]
        return ops.abs(logit), ops.cast(logit > 0, "int32")
    largest, classes = ops.top_k(logits, k=2)
    return largest[..., 0] - largest[..., 1], ops.cast(classes[..., 0], "int32")


def _margins(gaps: Tensor, tolerance: float) -> Tensor:
    """Lower bounds of gaps less a tolerance, 0 or from `SMALLEST` to `LARGEST`.

    `8u` cover two roundings, here of the gap and the product, and a subnormal logit that was
    flushed, which is far below a place of anything above `SMALLEST`. Gaps that are not numbers
    give 0.
    """
    lower = float32_below(shrunk(Fraction(1), 8))
    below = (gaps * lower - tolerance) * lower
    return ops.where(below >= SMALLEST, ops.minimum(below, LARGEST), 0.0)


def _pixel_radius(margins: Tensor, scale: Fraction) -> Tensor:
    """Budget that closes each margin, rounded down by more than the product is off."""
    return _normal(margins * float32_below(shrunk(root_below(1 / scale), 4)))


def _stability_radius(totals: Tensor, pixels: Any, share: Fraction, scale: Fraction) -> Tensor:
    """Budget behind the total of as many pixels as have to change.

    The root halves the relative error of the total; it is `4u` off itself, and the product `u`.
    """
    kept = 1 - share
    needed = pixels - floor_product(pixels, kept.numerator, kept.denominator)
    total = ops.take(totals, needed - 1, axis=1)
    per_root = root_below(shrunk(1 / scale, _TOTAL_ROUNDINGS))
    return _normal(ops.sqrt(total) * float32_below(shrunk(per_root, 8)))


def _crs(totals: Tensor, pixels: Any, budgets: Sequence[Fraction], scale: Fraction) -> Tensor:
    """Share of the pixels that no budget pays for, rounded down.

    The total of pixels that a budget pays for, wherever it is rounded to, is at most the capacity
    grown by its roundings. `16u` cover the casts of both counts, their quotient and a product.
    """
    lower = float32_below(shrunk(Fraction(1), 16))
    shares = []
    for budget in budgets:
        capacity = float32_above(grown(scale * budget**2, _TOTAL_ROUNDINGS))
        lost = ops.sum(ops.cast(totals <= capacity, "int32"), axis=-1)
        kept = ops.cast(pixels - lost, "float32") / ops.cast(pixels, "float32")
        shares.append(ops.where(ops.equal(lost, 0), 1.0, kept * lower))
    return ops.stack(shares, axis=-1)


def _normal(radii: Tensor) -> Tensor:
    """Radii that did not overflow, and 0 for those that a subnormal number may have rounded up."""
    return ops.where(radii >= TINY, ops.minimum(radii, 2.0**127), 0.0)


def _where_finite(finite: Tensor, bounds: Tensor) -> Tensor:
    """NaN in the images of which nothing can be certified."""
    rank = len(bounds.shape)
    return ops.where(ops.reshape(finite, (-1, *[1] * (rank - 1))), bounds, math.nan)


def _check_logits(logits: Tensor) -> Tensor:
    """Returns the logits as float32, which holds those of narrower types exactly."""
    logits = ops.convert_to_tensor(logits)
    dtype = keras.backend.standardize_dtype(logits.dtype)
    if dtype not in ("float16", "bfloat16", "float32"):
        raise ValueError(f"`logits` must be float32 or narrower. {received(dtype=dtype)}")
    shape = tuple(logits.shape)
    if len(shape) != 4 or shape[-1] is None or 0 in shape:
        raise ValueError(
            "`logits` must have shape (batch, height, width, classes), none of them 0 and the "
            f"last one known. {received(shape=shape)}"
        )
    if (shape[1] or 0) * (shape[2] or 0) >= MAX_PIXELS:
        raise ValueError(
            f"`logits` must have fewer than {MAX_PIXELS} pixels an image, for pixels are counted "
            f"exactly. {received(shape=shape)}"
        )
    return ops.cast(logits, "float32")
