"""The certified IoU of every class at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

from deel_seg._backend import compiled, mapped
from deel_seg._checks import received
from deel_seg.certificates.class_groups import Groups, check_class_groups, one_of_each
from deel_seg.certificates.class_iou_sections import worst_iou
from deel_seg.certificates.class_iou_tables import iou_tables
from deel_seg.certificates.class_items import ClassItems, class_items
from deel_seg.certificates.class_map import map_classes
from deel_seg.certificates.costs import capacity
from deel_seg.certificates.every_class import every_class_items
from deel_seg.certificates.inputs import check_eps, check_inputs, check_labels_given
from deel_seg.certificates.pixels import label_count
from deel_seg.certificates.rounding import to_float32_below

Tensor = Any


def _worst_cases(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor | None,
    lipschitz_constant: Tensor,
    logit_tolerance: Tensor,
    eps: Tensor,
    *,
    p: float,
    num_classes: int,
    ignore_class: int | None,
    class_groups: Groups | None = None,
) -> tuple[Tensor, Tensor]:
    capacities = capacity(eps, lipschitz_constant, p, num_classes)
    options: dict[str, Any] = {"p": p, "num_classes": num_classes, "ignore_class": ignore_class}

    def iou_of(items: ClassItems) -> tuple[Tensor, ...]:
        worst = to_float32_below(worst_iou(iou_tables(items, p), capacities))
        return worst, items.num_positives > 0, items.valid

    if class_groups is None:
        items_of = every_class_items(logits, labels, mask, logit_tolerance, **options)
        class_ids = ops.arange(label_count(num_classes), dtype="int32")
        worst, labelled, valid = map_classes(
            lambda class_id, own: iou_of(items_of(class_id, own)), logits, class_ids
        )
    else:
        worst, labelled, valid = _of_groups(
            lambda class_id: iou_of(
                class_items(
                    logits, labels, mask, class_id, logit_tolerance,
                    class_groups=class_groups, **options,
                )
            ),
            class_groups,
        )  # fmt: skip
    valid = valid[0]
    # Comparisons with NaN are false, so a NaN scalar is caught here as well.
    scalars_valid = ops.logical_and(lipschitz_constant > 0, logit_tolerance >= 0)
    defined = ops.logical_and(labelled, ops.logical_and(valid, scalars_valid)[None])
    worst = ops.where(ops.logical_and(defined[..., None], eps >= 0), worst, math.nan)
    return ops.transpose(worst, (1, 0, 2)), valid


def _of_groups(
    function: Callable[[Tensor], tuple[Tensor, ...]], class_groups: Groups
) -> tuple[Tensor, ...]:
    """Stacks over the classes what a function returns of the first class of the group of each."""
    firsts = one_of_each(range(len(class_groups)), class_groups)
    results = mapped(function, ops.convert_to_tensor(firsts, "int32"))
    rows = ops.convert_to_tensor([firsts.index(group) for group in class_groups], "int32")
    return tuple(ops.take(part, rows, axis=0) for part in results)


_STATIC = ("p", "num_classes", "ignore_class", "class_groups")
_compiled_worst_cases = compiled(_worst_cases, static_argnames=_STATIC)


def worst_case_class_ious(
    logits: Any,
    labels: Any,
    *,
    eps: Any,
    lipschitz_constant: Any = 1.0,
    p: float = 2,
    ignore_class: int | None = None,
    mask: Any = None,
    logit_tolerance: Any = 0.0,
    class_groups: Sequence[Sequence[int]] | None = None,
) -> Tensor:
    r"""Lower-bounds the IoU of every class in each image under any attack of size `eps`.

    Each class on its own, as if the attack were on it alone, as `worst_case_class_iou` does for
    one; all of them share the passes over the logits. The values are those of fractions of
    pixels, and of the six largest logits of each pixel: lower bounds of those of
    `worst_case_class_iou`, and equal to them but for a few pixels. With `class_groups` each group
    takes passes of its own.

    Args:
        logits: `(batch, height, width, classes)`, see `worst_case_pixel_accuracy`.
        labels: `(batch, height, width)`, integer class ids.
        eps: Budget `>= 0` in the units of the model input, or a 1-D sequence of budgets.
        lipschitz_constant: Proved upper bound `L > 0` of the map from image to `logits`.
        p: Norm of the attack: 1 or 2.
        ignore_class: Label of the pixels left out, such as 255 for void.
        mask: `(batch, height, width)`, bool; pixels outside are left out. `None` keeps all.
        logit_tolerance: How far each logit may be from its exact value; margins shrink by it.
        class_groups: Disjoint groups of class ids that count as one, such as `[(11, 13, 14)]`;
            each class then has the value of its group. Classes in no group stand alone.

    Returns:
        `(batch, classes)`, or `(batch, classes, len(eps))` for a sequence; float32 in `[0, 1]`,
            rounded down. NaN for a class (or group) that no pixel is labelled with, and in a graph
            as `worst_case_pixel_accuracy`.

    Raises:
        ValueError: As `worst_case_pixel_accuracy`, for `p = inf`, and for a single logit, whose
            two classes `worst_case_class_iou` certifies.

    Example:
    >>> import numpy as np
    >>> from deel_seg.certificates import worst_case_class_ious
    >>> margins = np.array([[[1.0, 2.0, 3.0, 4.0, -2.0]]], dtype="float32")
    >>> logits = np.stack([margins, np.zeros_like(margins)], axis=-1)
    >>> worst = worst_case_class_ious(logits, np.array([[[0, 0, 0, 0, 1]]]), eps=0.0)
    >>> print(", ".join(f"{float(value):.3f}" for value in worst[0]))
    1.000, 1.000

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Eq. 27-29.
    """
    check_labels_given(labels)
    inputs = check_inputs(
        logits,
        labels,
        mask,
        lipschitz_constant=lipschitz_constant,
        p=p,
        ignore_class=ignore_class,
        logit_tolerance=logit_tolerance,
    )
    if inputs.static["p"] == math.inf:
        raise ValueError(f"`p` must be 1 or 2 for all classes at once. {received(p=p)}")
    if inputs.static["num_classes"] == 1:
        raise ValueError(
            "`logits` must have a logit for each class. "
            f"{received(shape=tuple(inputs.tensors[0].shape))}"
        )
    budgets, is_sequence = check_eps(eps)
    groups = check_class_groups(class_groups, inputs.static["num_classes"])
    worst = inputs.certify(_compiled_worst_cases, budgets, class_groups=groups)
    return worst if is_sequence else worst[..., 0]
