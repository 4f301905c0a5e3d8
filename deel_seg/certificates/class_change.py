"""Q1 and Q2 for pixels that leave one class, or become one: vanishing and fabrication attacks."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from deel_seg._backend import compiled, materialised
from deel_seg.certificates.becoming import becoming_margins
from deel_seg.certificates.changed_pixels import ChangedPixels, pixels_needed
from deel_seg.certificates.class_groups import (
    Groups,
    check_class_groups,
    group_margins,
    group_of,
    groups_around,
)
from deel_seg.certificates.class_ids import check_class_id
from deel_seg.certificates.costs import capacity, radius_below
from deel_seg.certificates.counted_pixels import CountedPixels, counted
from deel_seg.certificates.group_change import entering_margins
from deel_seg.certificates.inputs import CertificateInputs, check_eps
from deel_seg.certificates.knapsack import least_total, most_pixels_lost
from deel_seg.certificates.margins import class_margins
from deel_seg.certificates.pixels import kept_pixels, predicted_class
from deel_seg.certificates.rounding import ratio_below, to_float32_below

Tensor = Any

_STATIC = ("p", "ignore_class", "num_classes", "becomes", "class_groups")


def share_unchanged(
    inputs: CertificateInputs, class_id: Any, eps: Any, *, becomes: bool, class_groups: Any = None
) -> Tensor:
    """Lower-bounds the share of pixels that do not change, `(batch,)` or `(batch, len(eps))`.

    They are the pixels predicted as the class, which leave it, or if `becomes` all pixels that
    count, which become it or are it already. With `class_groups` they are about its group.
    """
    budgets, is_sequence = check_eps(eps)
    checked, groups = _checked(inputs, class_id, class_groups)
    static = {"becomes": becomes, "class_groups": groups}
    shares = inputs.certify(_compiled_share, checked, budgets, **static)
    return shares if is_sequence else shares[:, 0]


def radius_of_change(
    inputs: CertificateInputs,
    class_id: Any,
    changed: ChangedPixels,
    *,
    becomes: bool,
    class_groups: Any = None,
) -> Tensor:
    """Lower-bounds the budget after which so many pixels have changed, `(batch,)`.

    Infinite where an image has fewer.
    """
    checked, groups = _checked(inputs, class_id, class_groups)
    static = {"becomes": becomes, "class_groups": groups}
    return inputs.certify(_compiled_radius, checked, *changed.tensors(), **static)


def _checked(
    inputs: CertificateInputs, class_id: Any, class_groups: Any
) -> tuple[Tensor, Groups | None]:
    static = inputs.static
    checked = check_class_id(
        "class_id",
        class_id,
        num_classes=static["num_classes"],
        ignore_class=static["ignore_class"],
    )
    groups = check_class_groups(class_groups, static["num_classes"])
    return ops.convert_to_tensor(checked, "int32"), groups_around(checked, groups)


def _changing_pixels(
    logits: Tensor,
    labels: Tensor | None,
    mask: Tensor | None,
    logit_tolerance: Tensor,
    class_id: Tensor,
    *,
    p: float,
    ignore_class: int | None,
    num_classes: int,
    becomes: bool,
    class_groups: Groups | None = None,
) -> CountedPixels:
    def compute() -> Tensor:
        predicted = predicted_class(logits, num_classes)
        kept = kept_pixels(predicted if labels is None else labels, mask, ignore_class)
        groups = group_of(predicted, class_groups)
        if class_groups is not None:
            change = entering_margins if becomes else group_margins
            reference = class_id if becomes else groups
            margins = change(logits, reference, logit_tolerance, class_groups, p)
        elif becomes:
            margins = becoming_margins(logits, class_id, logit_tolerance, num_classes, p)
        else:
            margins = class_margins(logits, None, logit_tolerance, num_classes)
        if not becomes:
            kept = ops.logical_and(kept, ops.equal(groups, group_of(class_id, class_groups)))
        return ops.where(ops.logical_or(kept, ops.isnan(margins)), margins, -1.0)

    # In memory, for what follows reads them more than once.
    like = ops.zeros(ops.shape(logits)[:-1], dtype="float32")
    margins = materialised(compute, like, logits)
    return counted(margins, ops.logical_not(margins < 0))


def _share_unchanged(
    logits: Tensor,
    labels: Tensor | None,
    mask: Tensor | None,
    lipschitz_constant: Tensor,
    logit_tolerance: Tensor,
    class_id: Tensor,
    eps: Tensor,
    *,
    p: float,
    num_classes: int,
    **static: Any,
) -> tuple[Tensor, Tensor]:
    pixels = _changing_pixels(
        logits, labels, mask, logit_tolerance, class_id, p=p, num_classes=num_classes, **static
    )
    changed = most_pixels_lost(pixels.margins, capacity(eps, lipschitz_constant, p, num_classes), p)
    size = pixels.num_kept[:, None]
    defined = pixels.defined(lipschitz_constant, logit_tolerance)[:, None]
    defined = ops.logical_and(defined, eps >= 0)
    return ops.where(defined, ratio_below(size - changed, size), math.nan), pixels.valid


def _radius_of_change(
    logits: Tensor,
    labels: Tensor | None,
    mask: Tensor | None,
    lipschitz_constant: Tensor,
    logit_tolerance: Tensor,
    class_id: Tensor,
    *changed: Tensor,
    p: float,
    num_classes: int,
    **static: Any,
) -> tuple[Tensor, Tensor]:
    pixels = _changing_pixels(
        logits, labels, mask, logit_tolerance, class_id, p=p, num_classes=num_classes, **static
    )
    needed = pixels_needed(pixels.num_kept, *changed)
    within = ops.minimum(needed, pixels.num_kept)
    total = least_total(pixels.margins, within[:, None], p)[:, 0]
    radius = to_float32_below(radius_below(total, lipschitz_constant, p, num_classes))
    radius = ops.where(needed > pixels.num_kept, math.inf, radius)
    defined = pixels.defined(lipschitz_constant, logit_tolerance)
    return ops.where(defined, radius, math.nan), pixels.valid


_compiled_share = compiled(_share_unchanged, static_argnames=_STATIC)
_compiled_radius = compiled(_radius_of_change, static_argnames=_STATIC)
