"""Q1 and Q2 for the share of pixels that keep their reference class.

Pixel accuracy takes the labels as reference and stability the clean prediction, and recall counts
the pixels of one label only; beyond that they are one computation.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from keras import ops

from deel_seg._backend import compiled
from deel_seg.certificates.class_groups import Groups, check_class_groups
from deel_seg.certificates.costs import capacity, radius_below
from deel_seg.certificates.counted_pixels import count_pixels
from deel_seg.certificates.inputs import CertificateInputs, check_eps
from deel_seg.certificates.knapsack import least_total, most_pixels_lost
from deel_seg.certificates.rounding import (
    count_dtype,
    exact_floor,
    ratio_below,
    to_float32_below,
)

Tensor = Any

_STATIC = ("p", "ignore_class", "num_classes", "by_label", "class_groups")


def _worst_case_share(
    logits: Tensor,
    labels: Tensor | None,
    mask: Tensor | None,
    lipschitz_constant: Tensor,
    logit_tolerance: Tensor,
    eps: Tensor,
    label_class: Tensor | None,
    *,
    p: float,
    num_classes: int,
    **static: Any,
) -> tuple[Tensor, Tensor]:
    pixels = count_pixels(
        logits, labels, mask, logit_tolerance, label_class, p=p, num_classes=num_classes, **static
    )
    capacities = capacity(eps, lipschitz_constant, p, num_classes)
    lost = most_pixels_lost(pixels.margins, capacities, p)
    share = ratio_below(pixels.num_kept[:, None] - lost, pixels.num_kept[:, None])
    defined = ops.logical_and(
        pixels.defined(lipschitz_constant, logit_tolerance)[:, None], eps >= 0
    )
    return ops.where(defined, share, math.nan), pixels.valid


def _share_radius(
    logits: Tensor,
    labels: Tensor | None,
    mask: Tensor | None,
    lipschitz_constant: Tensor,
    logit_tolerance: Tensor,
    numerator: Tensor,
    denominator: Tensor,
    label_class: Tensor | None,
    *,
    p: float,
    num_classes: int,
    **static: Any,
) -> tuple[Tensor, Tensor]:
    pixels = count_pixels(
        logits, labels, mask, logit_tolerance, label_class, p=p, num_classes=num_classes, **static
    )
    # ceil((1 - share) * num_kept), since num_kept is whole.
    needed = pixels.num_kept - exact_floor(pixels.num_kept, numerator, denominator)
    total = least_total(pixels.margins, needed[:, None], p)[:, 0]
    radius = to_float32_below(radius_below(total, lipschitz_constant, p, num_classes))
    defined = pixels.defined(lipschitz_constant, logit_tolerance)
    return ops.where(defined, radius, math.nan), pixels.valid


def _single_radius(
    logits: Tensor,
    labels: Tensor | None,
    mask: Tensor | None,
    lipschitz_constant: Tensor,
    logit_tolerance: Tensor,
    *,
    p: float,
    num_classes: int,
    **static: Any,
) -> tuple[Tensor, Tensor]:
    pixels = count_pixels(
        logits, labels, mask, logit_tolerance, p=p, num_classes=num_classes, **static
    )
    powers = pixels.powers(p)
    radius = radius_below(powers, lipschitz_constant, p, num_classes, summed=False)
    radius = to_float32_below(radius)
    defined = pixels.defined(lipschitz_constant, logit_tolerance)[:, None]
    radius = ops.where(ops.logical_and(pixels.margins >= 0, defined), radius, math.nan)
    return ops.reshape(radius, ops.shape(logits)[:-1]), pixels.valid


_compiled_worst_case = compiled(_worst_case_share, static_argnames=_STATIC)
_compiled_share_radius = compiled(_share_radius, static_argnames=_STATIC)
_compiled_single_radius = compiled(_single_radius, static_argnames=_STATIC)


def worst_case_share(
    inputs: CertificateInputs,
    eps: Any,
    *,
    by_label: bool,
    label_class: int | None = None,
    class_groups: Any = None,
) -> Tensor:
    """Least share of pixels left within `eps`: `(batch,)`, or `(batch, len(eps))`.

    With `label_class` only the pixels of that label count, and with `class_groups` pixels are left
    while their group is, and those of the group of `label_class` count.
    """
    budgets, is_sequence = check_eps(eps)
    static = {"by_label": by_label, "class_groups": _groups(inputs, class_groups)}
    shares = inputs.certify(_compiled_worst_case, budgets, _id(label_class), **static)
    return shares if is_sequence else shares[:, 0]


def share_radius(
    inputs: CertificateInputs,
    share: Fraction,
    *,
    by_label: bool,
    label_class: int | None = None,
    class_groups: Any = None,
) -> Tensor:
    """Least budget after which at most `share` of the pixels may be left, `(batch,)`."""
    # As tensors, for a new share or class to compile nothing anew.
    counts = [ops.convert_to_tensor(n, count_dtype()) for n in share.as_integer_ratio()]
    static = {"by_label": by_label, "class_groups": _groups(inputs, class_groups)}
    return inputs.certify(_compiled_share_radius, *counts, _id(label_class), **static)


def _groups(inputs: CertificateInputs, class_groups: Any) -> Groups | None:
    return check_class_groups(class_groups, inputs.static["num_classes"])


def _id(label_class: int | None) -> Tensor | None:
    return None if label_class is None else ops.convert_to_tensor(label_class, "int32")


def single_radius(inputs: CertificateInputs, *, by_label: bool, class_groups: Any = None) -> Tensor:
    """Budget that flips each pixel alone, `(batch, H, W)`; NaN where a pixel does not count."""
    groups = _groups(inputs, class_groups)
    return inputs.certify(_compiled_single_radius, by_label=by_label, class_groups=groups)
