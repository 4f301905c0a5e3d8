"""Certified pixel accuracy: its worst value (CRPA, Eq. 10-11) and its radius (Eq. 12-14)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deel_seg.certificates.inputs import check_inputs, check_labels_given
from deel_seg.certificates.objectives import exact_fraction
from deel_seg.certificates.pixel_share import share_radius, worst_case_share

Tensor = Any


def worst_case_pixel_accuracy(
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
    r"""Lower-bounds the pixel accuracy of each image under any attack of size `eps`.

    Answers Q1: no perturbation with $\|\delta\|_p \le$ `eps` brings the accuracy of an image
    below the returned value (CRPA). Pixels are lost in increasing order of radius until their
    costs exceed the budget,

    $$1 - \frac{1}{|S|} \sup\Big\{n : \sum_{k \le n} R^{\pi(k)}(X, Y)^p \le \epsilon^p\Big\},$$

    where $S$ is the set of pixels that count, $R^\omega$ the radius of pixel $\omega$ (0 where it
    is wrong, see `pixel_radius`) and $\pi$ their order. At `eps=0` this is the clean accuracy,
    except that a pixel whose two best classes tie counts as lost.

    Args:
        logits: `(batch, height, width, classes)`, floating point, before softmax and before any
            temperature; `classes = 1` is a binary model, whose prediction is `z > 0`.
        labels: `(batch, height, width)`, integer class ids.
        eps: Budget `>= 0` in the units of the model input, or a 1-D sequence of budgets. For
            images in `[0, 1]`, `0.1` is a total norm over all pixels and channels.
        lipschitz_constant: Proved upper bound `L > 0` of the map from image to `logits`, both
            measured in the l_p norm.
        p: Norm of the attack: 1, 2 or `inf`.
        ignore_class: Label of the pixels left out of $S$, such as 255 for void.
        mask: `(batch, height, width)`, bool; pixels outside are left out. `None` keeps all.
        logit_tolerance: How far each logit may be from its exact value; margins shrink by it.
        class_groups: Disjoint groups of class ids that count as one, such as `[(11, 13, 14)]`, in
            which a pixel may change without being wrong. Classes in none of them stand alone.

    Returns:
        `(batch,)`, or `(batch, len(eps))` for a sequence; float32 in `[0, 1]`, rounded down to a
            multiple of 2^-24. NaN for an image where no pixel counts, and in a graph for an image
            with NaN or infinite logits or a label that names no class.

    Raises:
        ValueError: When an argument has the wrong shape or value; outside a graph also for NaN
            or infinite logits and for labels that name no class.

    Example:
    Three correct pixels with margins 1, 2, 3 and one wrong one; radii 0.71, 1.41, 2.12, 0.

    >>> import numpy as np
    >>> from keras import ops
    >>> from deel_seg.certificates import worst_case_pixel_accuracy
    >>> margins = np.array([[[1.0, 2.0], [3.0, 3.0]]], dtype="float32")
    >>> logits = np.stack([margins, np.zeros_like(margins)], axis=-1)
    >>> labels = np.array([[[0, 0], [0, 1]]])
    >>> accuracy = worst_case_pixel_accuracy(logits, labels, eps=[0.0, 1.0, 2.0])
    >>> ops.convert_to_numpy(accuracy).tolist()
    [[0.75, 0.5, 0.25]]

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Eq. 10, Eq. 11,
        Appendix A.
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
    return worst_case_share(inputs, eps, by_label=True, class_groups=class_groups)


def pixel_accuracy_radius(
    logits: Any,
    labels: Any,
    *,
    threshold: Any,
    lipschitz_constant: Any = 1.0,
    p: float = 2,
    ignore_class: int | None = None,
    mask: Any = None,
    logit_tolerance: Any = 0.0,
    class_groups: Sequence[Sequence[int]] | None = None,
) -> Tensor:
    r"""Lower-bounds the attack size that brings each image's accuracy to `threshold` or below.

    Answers Q2: with $n = \lceil (1 - \gamma) |S| \rceil$ pixels wrong the accuracy is at most
    $\gamma$ = `threshold`, so no attack smaller than

    $$\Big(\sum_{k \le n} R^{\pi(k)}(X, Y)^p\Big)^{1/p}$$

    does it. Pixels that are wrong already cost nothing: the radius is 0 where the clean accuracy
    is at most `threshold`. The paper's text counts $\lceil \gamma |S| \rceil$ pixels, which its
    Eq. 12 does not support. The count is exact: `threshold` is read in its decimal form.

    Args:
        logits: `(batch, height, width, classes)`, see `worst_case_pixel_accuracy`.
        labels: `(batch, height, width)`, integer class ids.
        threshold: Accuracy to fall to, in `[0, 1]`; at most six decimals, or a
            `fractions.Fraction` of denominator at most 10^6.
        lipschitz_constant: Proved upper bound `L > 0` of the map from image to `logits`.
        p: Norm of the attack: 1, 2 or `inf`.
        ignore_class: Label of the pixels left out, such as 255 for void.
        mask: `(batch, height, width)`, bool; pixels outside are left out. `None` keeps all.
        logit_tolerance: How far each logit may be from its exact value; margins shrink by it.
        class_groups: Disjoint groups of class ids that count as one, such as `[(11, 13, 14)]`, in
            which a pixel may change without being wrong. Classes in none of them stand alone.

    Returns:
        `(batch,)`, float32, in the units of the model input, rounded down; NaN as in
            `worst_case_pixel_accuracy`.

    Raises:
        ValueError: As `worst_case_pixel_accuracy`, and for a threshold outside `[0, 1]`.

    Example:
    Of four pixels with margins 1, 2, 3 and one wrong, two have to be wrong.

    >>> import numpy as np
    >>> from deel_seg.certificates import pixel_accuracy_radius
    >>> margins = np.array([[[1.0, 2.0], [3.0, 3.0]]], dtype="float32")
    >>> logits = np.stack([margins, np.zeros_like(margins)], axis=-1)
    >>> labels = np.array([[[0, 0], [0, 1]]])
    >>> print(f"{float(pixel_accuracy_radius(logits, labels, threshold=0.5)[0]):.4f}")
    0.7071

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Eq. 12-14.
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
    return share_radius(inputs, share, by_label=True, class_groups=class_groups)
