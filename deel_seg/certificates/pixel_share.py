"""Q1 and Q2 for the share of pixels that keep their reference class.

Pixel accuracy takes the labels as reference and stability the clean prediction; beyond that the
two are one computation.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NamedTuple

from keras import ops

from deel_seg._backend import compiled
from deel_seg.certificates.costs import capacity, flip_costs, radius_below
from deel_seg.certificates.inputs import CertificateInputs, check_eps
from deel_seg.certificates.knapsack import cheapest_totals, least_total, most_pixels_lost
from deel_seg.certificates.margins import class_margins
from deel_seg.certificates.pixels import certifiable_images, kept_pixels, predicted_class
from deel_seg.certificates.rounding import (
    count_dtype,
    exact_floor,
    ratio_below,
    to_float32_below,
)

Tensor = Any

_STATIC = ("p", "ignore_class", "num_classes", "by_label")


class PixelCosts(NamedTuple):
    """Cost of flipping each pixel, which pixels count, and how many; see `pixel_costs`."""

    costs: Tensor  # (batch, H, W), accumulation dtype
    kept: Tensor  # (batch, H, W), bool
    num_kept: Tensor  # (batch,), integer
    defined: Tensor  # (batch,), bool: some pixel counts, and no logit, label or scalar is bad


def pixel_costs(
    logits: Tensor,
    labels: Tensor | None,
    mask: Tensor | None,
    lipschitz_constant: Tensor,
    logit_tolerance: Tensor,
    *,
    p: float,
    ignore_class: int | None,
    num_classes: int,
    by_label: bool,
) -> PixelCosts:
    """Lower-bounds the cost at which each pixel leaves its reference class.

    The reference is the label if `by_label`, and otherwise the predicted class; then labels, if
    any, only say which pixels `ignore_class` removes.
    """
    predicted = None if by_label else predicted_class(logits, num_classes)
    reference = labels if by_label else predicted
    kept = kept_pixels(predicted if labels is None else labels, mask, ignore_class)
    margins = class_margins(logits, reference, logit_tolerance, num_classes)
    num_kept = ops.sum(ops.cast(kept, count_dtype()), axis=(1, 2))
    # Comparisons with NaN are false, so a NaN scalar is caught here as well.
    scalars_valid = ops.logical_and(lipschitz_constant > 0, logit_tolerance >= 0)
    images_valid = certifiable_images(logits, labels if by_label else None, kept, num_classes)
    defined = ops.logical_and(ops.logical_and(images_valid, scalars_valid), num_kept > 0)
    return PixelCosts(flip_costs(margins, p, num_classes), kept, num_kept, defined)


def _worst_case_share(
    logits: Tensor,
    labels: Tensor | None,
    mask: Tensor | None,
    lipschitz_constant: Tensor,
    logit_tolerance: Tensor,
    eps: Tensor,
    *,
    p: float,
    **static: Any,
) -> Tensor:
    pixels = pixel_costs(logits, labels, mask, lipschitz_constant, logit_tolerance, p=p, **static)
    totals = cheapest_totals(pixels.costs, pixels.kept, p)
    lost = most_pixels_lost(totals, capacity(eps, lipschitz_constant, p))
    num_kept = pixels.num_kept[:, None]
    share = ratio_below(num_kept - ops.minimum(lost, num_kept), num_kept)
    return ops.where(ops.logical_and(pixels.defined[:, None], eps >= 0), share, math.nan)


def _share_radius(
    logits: Tensor,
    labels: Tensor | None,
    mask: Tensor | None,
    lipschitz_constant: Tensor,
    logit_tolerance: Tensor,
    numerator: Tensor,
    denominator: Tensor,
    *,
    p: float,
    **static: Any,
) -> Tensor:
    pixels = pixel_costs(logits, labels, mask, lipschitz_constant, logit_tolerance, p=p, **static)
    totals = cheapest_totals(pixels.costs, pixels.kept, p)
    # ceil((1 - share) * num_kept), since num_kept is whole.
    needed = pixels.num_kept - exact_floor(pixels.num_kept, numerator, denominator)
    radius = radius_below(least_total(totals, needed), lipschitz_constant, p)
    return ops.where(pixels.defined, to_float32_below(radius), math.nan)


def _single_radius(
    logits: Tensor,
    labels: Tensor | None,
    mask: Tensor | None,
    lipschitz_constant: Tensor,
    logit_tolerance: Tensor,
    *,
    p: float,
    **static: Any,
) -> Tensor:
    pixels = pixel_costs(logits, labels, mask, lipschitz_constant, logit_tolerance, p=p, **static)
    radius = to_float32_below(radius_below(pixels.costs, lipschitz_constant, p))
    shown = ops.logical_and(pixels.kept, pixels.defined[:, None, None])
    return ops.where(shown, radius, math.nan)


_compiled_worst_case = compiled(_worst_case_share, static_argnames=_STATIC)
_compiled_share_radius = compiled(_share_radius, static_argnames=_STATIC)
_compiled_single_radius = compiled(_single_radius, static_argnames=_STATIC)


def worst_case_share(inputs: CertificateInputs, eps: Any, *, by_label: bool) -> Tensor:
    """Least share of pixels left within `eps`: `(batch,)`, or `(batch, len(eps))`."""
    budgets, is_sequence = check_eps(eps)
    shares = _compiled_worst_case(*inputs.tensors, budgets, **inputs.static, by_label=by_label)
    return shares if is_sequence else shares[:, 0]


def share_radius(inputs: CertificateInputs, share: Fraction, *, by_label: bool) -> Tensor:
    """Least budget after which at most `share` of the pixels may be left, `(batch,)`."""
    # As tensors, for a new share to compile nothing anew.
    counts = [ops.convert_to_tensor(n, count_dtype()) for n in share.as_integer_ratio()]
    return _compiled_share_radius(*inputs.tensors, *counts, **inputs.static, by_label=by_label)


def single_radius(inputs: CertificateInputs, *, by_label: bool) -> Tensor:
    """Budget that flips each pixel alone, `(batch, H, W)`; NaN where a pixel does not count."""
    return _compiled_single_radius(*inputs.tensors, **inputs.static, by_label=by_label)
