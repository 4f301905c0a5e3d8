"""Certified IoU of a class: its worst value (Eq. 27-29) and its radius."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from deel_seg.certificates.class_groups import Groups, check_class_groups, groups_around
from deel_seg.certificates.class_ids import check_class_id
from deel_seg.certificates.class_iou_core import compiled_radius, compiled_worst_case
from deel_seg.certificates.confusion_metrics import iou
from deel_seg.certificates.inputs import (
    CertificateInputs,
    check_eps,
    check_inputs,
    check_labels_given,
)

Tensor = Any


def worst_case_class_iou(
    logits: Any,
    labels: Any,
    *,
    class_id: int,
    eps: Any,
    lipschitz_constant: Any = 1.0,
    p: float = 2,
    ignore_class: int | None = None,
    mask: Any = None,
    logit_tolerance: Any = 0.0,
    class_groups: Sequence[Sequence[int]] | None = None,
) -> Tensor:
    r"""Lower-bounds the IoU of a class in each image under any attack of size `eps`.

    An attack takes $i$ of the $P$ pixels labelled k away and adds $j$ others; the value is

    $$\min \frac{P - i}{P + j} \quad \text{over} \quad A(i) + B(j) \le (L \epsilon)^p,$$

    where $A(i)$ is the cost of the $i$ cheapest losses and $B(j)$ that of the $j$ cheapest
    additions: a lost pixel costs half of the square of its margin (p = 2), a factor that the
    paper's Appendix B leaves out and without which the value would be unsound, and a pixel
    becomes class k at the water-filling cost over all logits that stand above it.

    This is the exact minimum over whole pixels, for the sums of margins rounded down. Up to 2^14
    pixels, and for p = inf, the pixels are sorted; above, some hundred numbers i and j around the
    minimum over fractions of pixels are tried, and all others are proved no better by its dual
    bound. Where the proof does not go through, which takes long ties of both kinds of pixels at
    once, the value is that bound: valid, and a part of a pixel below the exact one.

    Args:
        logits: `(batch, height, width, classes)`, see `worst_case_pixel_accuracy`.
        labels: `(batch, height, width)`, integer class ids.
        class_id: The class k.
        eps: Budget `>= 0` in the units of the model input, or a 1-D sequence of budgets.
        lipschitz_constant: Proved upper bound `L > 0` of the map from image to `logits`.
        p: Norm of the attack: 1, 2 or `inf`.
        ignore_class: Label of the pixels left out, such as 255 for void.
        mask: `(batch, height, width)`, bool; pixels outside are left out. `None` keeps all.
        logit_tolerance: How far each logit may be from its exact value; margins shrink by it.
        class_groups: Disjoint groups of class ids that count as one, such as `[(11, 13, 14)]`.
            With a class of a group the certificate is about the whole group: labels of any member,
            lost when another group is predicted, and pixels that become any member. Classes in no
            group stand alone.

    Returns:
        `(batch,)`, or `(batch, len(eps))` for a sequence; float32 in `[0, 1]`, rounded down. NaN
            for an image without a pixel labelled k, whose IoU says nothing about k, and in a
            graph as `worst_case_pixel_accuracy`.

    Raises:
        ValueError: As `worst_case_pixel_accuracy`, and for a class the model does not have.

    Example:
    Four pixels of class 0 with margins 1, 2, 3, 4 and one of class 1 with margin 2.

    >>> import numpy as np
    >>> from deel_seg.certificates import worst_case_class_iou
    >>> margins = np.array([[[1.0, 2.0, 3.0, 4.0, -2.0]]], dtype="float32")
    >>> logits = np.stack([margins, np.zeros_like(margins)], axis=-1)
    >>> labels = np.array([[[0, 0, 0, 0, 1]]])
    >>> worst = worst_case_class_iou(logits, labels, class_id=0, eps=[0.0, 0.708])
    >>> print(", ".join(f"{float(value):.3f}" for value in worst[0]))
    1.000, 0.750

    Cars (0) and trucks (1) on a road (2), a car taken for a truck: as one class, nothing is wrong.

    >>> vehicles = np.array([[[[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 3.0]]]], "float32")
    >>> options = {"labels": np.array([[[0, 0, 2]]]), "class_id": 0, "eps": 0.0}
    >>> float(worst_case_class_iou(vehicles, **options)[0])
    0.5
    >>> float(worst_case_class_iou(vehicles, class_groups=[(0, 1)], **options)[0])
    1.0

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Eq. 27-29.
    """
    inputs, class_tensor, groups = _check(
        logits,
        labels,
        mask,
        class_id,
        class_groups,
        lipschitz_constant=lipschitz_constant,
        p=p,
        ignore_class=ignore_class,
        logit_tolerance=logit_tolerance,
    )
    budgets, is_sequence = check_eps(eps)
    worst = inputs.certify(compiled_worst_case, class_tensor, budgets, class_groups=groups)
    return worst if is_sequence else worst[:, 0]


def class_iou_radius(
    logits: Any,
    labels: Any,
    *,
    class_id: int,
    threshold: Any,
    lipschitz_constant: Any = 1.0,
    p: float = 2,
    ignore_class: int | None = None,
    mask: Any = None,
    logit_tolerance: Any = 0.0,
    class_groups: Sequence[Sequence[int]] | None = None,
) -> Tensor:
    r"""Lower-bounds the attack size that brings a class's IoU to `threshold` or below.

    The least $A(i) + B(j)$ with $(P - i) / (P + j) \le \gamma$ = `threshold`, in the terms of
    `worst_case_class_iou`, taken from the frontier itself and not from a search over budgets; 0
    where the clean IoU is at most the threshold.

    Args:
        logits: `(batch, height, width, classes)`, see `worst_case_pixel_accuracy`.
        labels: `(batch, height, width)`, integer class ids.
        class_id: The class k.
        threshold: IoU to fall to, in `[0, 1]`; at most six decimals, or a `fractions.Fraction`
            of denominator at most 10^6.
        lipschitz_constant: Proved upper bound `L > 0` of the map from image to `logits`.
        p: Norm of the attack: 1, 2 or `inf`.
        ignore_class: Label of the pixels left out, such as 255 for void.
        mask: `(batch, height, width)`, bool; pixels outside are left out. `None` keeps all.
        logit_tolerance: How far each logit may be from its exact value; margins shrink by it.
        class_groups: Disjoint groups of class ids that count as one, such as `[(11, 13, 14)]`.
            With a class of a group the certificate is about the whole group: labels of any member,
            lost when another group is predicted, and pixels that become any member. Classes in no
            group stand alone.

    Returns:
        `(batch,)`, float32, in the units of the model input, rounded down; NaN as in
            `worst_case_class_iou`.

    Raises:
        ValueError: As `worst_case_class_iou`, and for a threshold outside `[0, 1]`.

    Example:
    Of four pixels of class 0 the two with margins 1 and 2 have to go: sqrt((1 + 4) / 2).

    >>> import numpy as np
    >>> from deel_seg.certificates import class_iou_radius
    >>> margins = np.array([[[1.0, 2.0, 3.0, 4.0, -9.0]]], dtype="float32")
    >>> logits = np.stack([margins, np.zeros_like(margins)], axis=-1)
    >>> labels = np.array([[[0, 0, 0, 0, 1]]])
    >>> print(f"{float(class_iou_radius(logits, labels, class_id=0, threshold=0.5)[0]):.4f}")
    1.5811

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Eq. 27-29.
    """
    share = iou.read_threshold(threshold, relative=False)
    inputs, class_tensor, groups = _check(
        logits,
        labels,
        mask,
        class_id,
        class_groups,
        lipschitz_constant=lipschitz_constant,
        p=p,
        ignore_class=ignore_class,
        logit_tolerance=logit_tolerance,
    )
    return inputs.certify(compiled_radius, class_tensor, share, class_groups=groups)


def _check(
    logits: Any, labels: Any, mask: Any, class_id: Any, class_groups: Any, *, p: Any, **options: Any
) -> tuple[CertificateInputs, Tensor, Groups | None]:
    """Checks the arguments, and returns the class as a tensor, for all to share a compilation."""
    check_labels_given(labels)
    inputs = check_inputs(logits, labels, mask, p=p, **options)
    class_id = check_class_id(
        "class_id",
        class_id,
        num_classes=inputs.static["num_classes"],
        ignore_class=inputs.static["ignore_class"],
    )
    groups = check_class_groups(class_groups, inputs.static["num_classes"])
    return inputs, ops.convert_to_tensor(class_id, "int32"), groups_around(class_id, groups)
