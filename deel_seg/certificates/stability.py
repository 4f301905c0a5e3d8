"""Certified stability of the prediction: its worst value (CRS) and its radius, no labels needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deel_seg.certificates.inputs import check_inputs
from deel_seg.certificates.objectives import exact_fraction
from deel_seg.certificates.pixel_share import share_radius, worst_case_share

Tensor = Any


def worst_case_stability(
    logits: Any,
    *,
    eps: Any,
    labels: Any = None,
    lipschitz_constant: Any = 1.0,
    p: float = 2,
    ignore_class: int | None = None,
    mask: Any = None,
    logit_tolerance: Any = 0.0,
    class_groups: Sequence[Sequence[int]] | None = None,
) -> Tensor:
    r"""Lower-bounds the share of pixels that keep their class under any attack of size `eps`.

    Answers Q1 for the clean prediction as reference (CRS): pixels change in increasing order of
    radius $R^\omega(X)$ until their costs exceed the budget,

    $$1 - \frac{1}{|S|} \sup\Big\{n : \sum_{k \le n} R^{\pi(k)}(X)^p \le \epsilon^p\Big\}.$$

    At `eps=0` this is 1, except that pixels whose two best classes tie count as changed.

    Args:
        logits: `(batch, height, width, classes)`, floating point, before softmax and before any
            temperature; `classes = 1` is a binary model, whose prediction is `z > 0`.
        eps: Budget `>= 0` in the units of the model input, or a 1-D sequence of budgets.
        labels: `(batch, height, width)`, integers, or `None`. They only say which pixels
            `ignore_class` leaves out.
        lipschitz_constant: Proved upper bound `L > 0` of the map from image to `logits`, both
            measured in the l_p norm.
        p: Norm of the attack: 1, 2 or `inf`.
        ignore_class: Class of the pixels left out of $S$: by label where `labels` are given, and
            otherwise by clean prediction.
        mask: `(batch, height, width)`, bool; pixels outside are left out. `None` keeps all.
        logit_tolerance: How far each logit may be from its exact value; margins shrink by it.
        class_groups: Disjoint groups of class ids that count as one, such as `[(11, 13, 14)]`, in
            which a pixel may change and still keep its class. Others stand alone.

    Returns:
        `(batch,)`, or `(batch, len(eps))` for a sequence; float32 in `[0, 1]`, rounded down to a
            multiple of 2^-24. NaN for an image where no pixel counts, and in a graph for an image
            with NaN or infinite logits.

    Raises:
        ValueError: When an argument has the wrong shape or value; outside a graph also for NaN
            or infinite logits.

    Example:
    Four pixels with margins 1, 2, 3, 4, hence radii 0.71, 1.41, 2.12, 2.83.

    >>> import numpy as np
    >>> from keras import ops
    >>> from deel_seg.certificates import worst_case_stability
    >>> margins = np.array([[[1.0, 2.0], [3.0, 4.0]]], dtype="float32")
    >>> logits = np.stack([margins, np.zeros_like(margins)], axis=-1)
    >>> ops.convert_to_numpy(worst_case_stability(logits, eps=[0.0, 1.0, 2.0])).tolist()
    [[1.0, 0.75, 0.5]]

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Eq. 19-21.
    """
    inputs = check_inputs(
        logits,
        labels,
        mask,
        lipschitz_constant=lipschitz_constant,
        p=p,
        ignore_class=ignore_class,
        logit_tolerance=logit_tolerance,
        labels_name_classes=False,
    )
    return worst_case_share(inputs, eps, by_label=False, class_groups=class_groups)


def stability_radius(
    logits: Any,
    *,
    fraction: Any = 0.5,
    labels: Any = None,
    lipschitz_constant: Any = 1.0,
    p: float = 2,
    ignore_class: int | None = None,
    mask: Any = None,
    logit_tolerance: Any = 0.0,
    class_groups: Sequence[Sequence[int]] | None = None,
) -> Tensor:
    r"""Lower-bounds the attack size that changes `fraction` of the predictions of an image.

    Answers Q2: $n = \lceil q |S| \rceil$ pixels have to change, $q$ = `fraction`, so no attack
    smaller than $(\sum_{k \le n} R^{\pi(k)}(X)^p)^{1/p}$ does it. With the default, half of the
    pixels, this is "stability@50". The count is exact: `fraction` is read in its decimal form.

    Args:
        logits: `(batch, height, width, classes)`, see `worst_case_stability`.
        fraction: Share of the pixels that changes, in `(0, 1]`; at most six decimals, or a
            `fractions.Fraction` of denominator at most 10^6.
        labels: `(batch, height, width)`, integers, or `None`. They only say which pixels
            `ignore_class` leaves out.
        lipschitz_constant: Proved upper bound `L > 0` of the map from image to `logits`.
        p: Norm of the attack: 1, 2 or `inf`.
        ignore_class: Class of the pixels left out, by label or else by clean prediction.
        mask: `(batch, height, width)`, bool; pixels outside are left out. `None` keeps all.
        logit_tolerance: How far each logit may be from its exact value; margins shrink by it.
        class_groups: Disjoint groups of class ids that count as one, such as `[(11, 13, 14)]`, in
            which a pixel may change and still keep its class. Others stand alone.

    Returns:
        `(batch,)`, float32, in the units of the model input, rounded down; NaN as in
            `worst_case_stability`.

    Raises:
        ValueError: As `worst_case_stability`, and for a fraction outside `(0, 1]`.

    Example:
    The two cheapest of four pixels have margins 1 and 2: sqrt((1 + 4) / 2).

    >>> import numpy as np
    >>> from deel_seg.certificates import stability_radius
    >>> margins = np.array([[[1.0, 2.0], [3.0, 4.0]]], dtype="float32")
    >>> logits = np.stack([margins, np.zeros_like(margins)], axis=-1)
    >>> print(f"{float(stability_radius(logits)[0]):.4f}")
    1.5811

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Eq. 19-22.
    """
    kept_share = 1 - exact_fraction("fraction", fraction, allow_zero=False)
    inputs = check_inputs(
        logits,
        labels,
        mask,
        lipschitz_constant=lipschitz_constant,
        p=p,
        ignore_class=ignore_class,
        logit_tolerance=logit_tolerance,
        labels_name_classes=False,
    )
    return share_radius(inputs, kept_share, by_label=False, class_groups=class_groups)
