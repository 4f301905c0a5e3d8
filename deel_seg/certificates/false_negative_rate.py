"""Certified false negative rate of a class (Eq. 15-18): its worst value and its radius."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deel_seg.certificates.class_ids import check_class_id
from deel_seg.certificates.inputs import CertificateInputs, check_inputs, check_labels_given
from deel_seg.certificates.objectives import exact_fraction
from deel_seg.certificates.pixel_share import share_radius, worst_case_share

Tensor = Any


def worst_case_fnr(
    logits: Any,
    labels: Any,
    *,
    positive_class: int,
    eps: Any,
    lipschitz_constant: Any = 1.0,
    p: float = 2,
    ignore_class: int | None = None,
    mask: Any = None,
    logit_tolerance: Any = 0.0,
    class_groups: Sequence[Sequence[int]] | None = None,
) -> Tensor:
    r"""Upper-bounds the share of a class's pixels that any attack of size `eps` can hide.

    Answers Q1: no perturbation with $\|\delta\|_p \le$ `eps` brings the false negative rate of an
    image above the returned value,

    $$\frac{1}{|S_1|} \sup\Big\{n : \sum_{k \le n} R^{\pi(k)}(X, Y)^p \le \epsilon^p\Big\},$$

    where $S_1$ is the set of pixels labelled `positive_class` that count, $R^\omega$ the radius of
    pixel $\omega$ (0 where it is missed already, see `pixel_radius`) and $\pi$ their order. At
    `eps=0` this is the clean rate, except that a pixel whose two best classes tie counts as missed.

    Args:
        logits: `(batch, height, width, classes)`, floating point, before softmax and before any
            temperature; `classes = 1` is a binary model, whose prediction is `z > 0`.
        labels: `(batch, height, width)`, integer class ids.
        positive_class: Class whose pixels must not be missed; 0 or 1 for a binary model.
        eps: Budget `>= 0` in the units of the model input, or a 1-D sequence of budgets.
        lipschitz_constant: Proved upper bound `L > 0` of the map from image to `logits`, both
            measured in the l_p norm.
        p: Norm of the attack: 1, 2 or `inf`.
        ignore_class: Label of the pixels left out, such as 255 for void.
        mask: `(batch, height, width)`, bool; pixels outside are left out. `None` keeps all.
        logit_tolerance: How far each logit may be from its exact value; margins shrink by it.
        class_groups: Disjoint groups of class ids that count as one, such as `[(11, 13, 14)]`.
            Positive are then the labels of the whole group of `positive_class`, and found the
            pixels predicted as any class of it. Classes in no group stand alone.

    Returns:
        `(batch,)`, or `(batch, len(eps))` for a sequence; float32 in `[0, 1]`, rounded up to a
            multiple of 2^-24. NaN for an image without a positive pixel that counts, and in a
            graph for an image with NaN or infinite logits or a label that names no class.

    Raises:
        ValueError: When an argument has the wrong shape or value; outside a graph also for NaN
            or infinite logits and for labels that name no class.

    Example:
    Four positive pixels, one of them missed, and radii 0.71, 1.41, 2.12 of the others.

    >>> import numpy as np
    >>> from keras import ops
    >>> from deel_seg.certificates import worst_case_fnr
    >>> margins = np.array([[[1.0, 2.0, 5.0], [3.0, -3.0, 5.0]]], dtype="float32")
    >>> logits = np.stack([margins, np.zeros_like(margins)], axis=-1)
    >>> labels = np.array([[[0, 0, 1], [0, 0, 1]]])
    >>> rate = worst_case_fnr(logits, labels, positive_class=0, eps=[0.0, 1.0, 2.0])
    >>> ops.convert_to_numpy(rate).tolist()
    [[0.25, 0.5, 0.75]]

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Eq. 15-17.
    """
    recall = worst_case_recall(
        logits,
        labels,
        positive_class=positive_class,
        eps=eps,
        lipschitz_constant=lipschitz_constant,
        p=p,
        ignore_class=ignore_class,
        mask=mask,
        logit_tolerance=logit_tolerance,
        class_groups=class_groups,
    )
    return 1.0 - recall  # Exact: multiples of 2^-24.


def worst_case_recall(
    logits: Any,
    labels: Any,
    *,
    positive_class: int,
    eps: Any,
    lipschitz_constant: Any = 1.0,
    p: float = 2,
    ignore_class: int | None = None,
    mask: Any = None,
    logit_tolerance: Any = 0.0,
    class_groups: Sequence[Sequence[int]] | None = None,
) -> Tensor:
    """Lower-bounds the share of a class's pixels that is found under any attack of size `eps`.

    It is 1 less the rate of `worst_case_fnr`, exactly, and takes the same arguments.

    Args:
        logits: `(batch, height, width, classes)`, see `worst_case_fnr`.
        labels: `(batch, height, width)`, integer class ids.
        positive_class: Class whose pixels must be found; 0 or 1 for a binary model.
        eps: Budget `>= 0` in the units of the model input, or a 1-D sequence of budgets.
        lipschitz_constant: Proved upper bound `L > 0` of the map from image to `logits`.
        p: Norm of the attack: 1, 2 or `inf`.
        ignore_class: Label of the pixels left out, such as 255 for void.
        mask: `(batch, height, width)`, bool; pixels outside are left out. `None` keeps all.
        logit_tolerance: How far each logit may be from its exact value; margins shrink by it.
        class_groups: Disjoint groups of class ids that count as one, such as `[(11, 13, 14)]`.
            Positive are then the labels of the whole group of `positive_class`, and found the
            pixels predicted as any class of it. Classes in no group stand alone.

    Returns:
        `(batch,)`, or `(batch, len(eps))` for a sequence; float32 in `[0, 1]`, rounded down to a
            multiple of 2^-24; NaN as in `worst_case_fnr`.

    Raises:
        ValueError: As `worst_case_fnr`.

    Example:
    >>> import numpy as np
    >>> from keras import ops
    >>> from deel_seg.certificates import worst_case_recall
    >>> margins = np.array([[[1.0, 2.0, 5.0], [3.0, -3.0, 5.0]]], dtype="float32")
    >>> logits = np.stack([margins, np.zeros_like(margins)], axis=-1)
    >>> labels = np.array([[[0, 0, 1], [0, 0, 1]]])
    >>> recall = worst_case_recall(logits, labels, positive_class=0, eps=[0.0, 1.0, 2.0])
    >>> ops.convert_to_numpy(recall).tolist()
    [[0.75, 0.5, 0.25]]

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Eq. 15-16.
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
    positive = _checked_class(inputs, positive_class)
    return worst_case_share(
        inputs, eps, by_label=True, label_class=positive, class_groups=class_groups
    )


def fnr_radius(
    logits: Any,
    labels: Any,
    *,
    positive_class: int,
    threshold: Any,
    lipschitz_constant: Any = 1.0,
    p: float = 2,
    ignore_class: int | None = None,
    mask: Any = None,
    logit_tolerance: Any = 0.0,
    class_groups: Sequence[Sequence[int]] | None = None,
) -> Tensor:
    r"""Lower-bounds the attack size that brings each image's FNR to `threshold` or above.

    Answers Q2: $n = \lceil \gamma |S_1| \rceil$ positive pixels have to be missed, $\gamma$ =
    `threshold`, so no attack smaller than $(\sum_{k \le n} R^{\pi(k)}(X, Y)^p)^{1/p}$ does it.
    Pixels that are missed already cost nothing: the radius is 0 where the clean rate is at least
    `threshold`. The count is exact: `threshold` is read in its decimal form.

    Args:
        logits: `(batch, height, width, classes)`, see `worst_case_fnr`.
        labels: `(batch, height, width)`, integer class ids.
        positive_class: Class whose pixels must not be missed; 0 or 1 for a binary model.
        threshold: Rate to rise to, in `[0, 1]`; at most six decimals, or a `fractions.Fraction`
            of denominator at most 10^6.
        lipschitz_constant: Proved upper bound `L > 0` of the map from image to `logits`.
        p: Norm of the attack: 1, 2 or `inf`.
        ignore_class: Label of the pixels left out, such as 255 for void.
        mask: `(batch, height, width)`, bool; pixels outside are left out. `None` keeps all.
        logit_tolerance: How far each logit may be from its exact value; margins shrink by it.
        class_groups: Disjoint groups of class ids that count as one, such as `[(11, 13, 14)]`.
            Positive are then the labels of the whole group of `positive_class`, and found the
            pixels predicted as any class of it. Classes in no group stand alone.

    Returns:
        `(batch,)`, float32, in the units of the model input, rounded down; NaN as in
            `worst_case_fnr`.

    Raises:
        ValueError: As `worst_case_fnr`, and for a threshold outside `[0, 1]`.

    Example:
    Of four positive pixels with margins 1, 2, 3 and one missed, two have to be missed.

    >>> import numpy as np
    >>> from deel_seg.certificates import fnr_radius
    >>> margins = np.array([[[1.0, 2.0, 5.0], [3.0, -3.0, 5.0]]], dtype="float32")
    >>> logits = np.stack([margins, np.zeros_like(margins)], axis=-1)
    >>> labels = np.array([[[0, 0, 1], [0, 0, 1]]])
    >>> print(f"{float(fnr_radius(logits, labels, positive_class=0, threshold=0.5)[0]):.4f}")
    0.7071

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Eq. 17-18.
    """
    check_labels_given(labels)
    share = exact_fraction("threshold", threshold, allow_zero=True)
    inputs = check_inputs(
        logits,
        labels,
        mask,
        lipschitz_constant=lipschitz_constant,
        p=p,
        ignore_class=ignore_class,
        logit_tolerance=logit_tolerance,
    )
    positive = _checked_class(inputs, positive_class)
    return share_radius(
        inputs, 1 - share, by_label=True, label_class=positive, class_groups=class_groups
    )


def _checked_class(inputs: CertificateInputs, positive_class: Any) -> int:
    static = inputs.static
    return check_class_id(
        "positive_class",
        positive_class,
        num_classes=static["num_classes"],
        ignore_class=static["ignore_class"],
    )
