"""Certificates against fabrication attacks: pixels turn into a class of the attacker's choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deel_seg.certificates.changed_pixels import check_fraction_or_pixels
from deel_seg.certificates.class_change import radius_of_change, share_unchanged
from deel_seg.certificates.inputs import check_inputs

Tensor = Any


def worst_case_fabrication(
    logits: Any,
    *,
    class_id: int,
    eps: Any,
    labels: Any = None,
    lipschitz_constant: Any = 1.0,
    p: float = 2,
    ignore_class: int | None = None,
    mask: Any = None,
    logit_tolerance: Any = 0.0,
    class_groups: Sequence[Sequence[int]] | None = None,
) -> Tensor:
    r"""Upper-bounds the share of pixels that any attack of size `eps` can make a given class.

    Answers Q1: no perturbation with $\|\delta\|_p \le$ `eps` brings the share of the pixels $S$
    that are predicted as $k$ = `class_id` above the returned value,

    $$\frac{1}{|S|} \sup\Big\{n : \sum_{j \le n} c_{\pi(j)} \le (L\epsilon)^p\Big\},$$

    where $c_\omega$ is the least cost of putting $z_k$ on top at pixel $\omega$, 0 where it is
    there already. For p = 2 that is the exact cost of moving $z_k$ up and all logits that stand in
    the way down, which is dearer than $m^2 / 2$ for the distance $m$ to the largest of them.

    Args:
        logits: `(batch, height, width, classes)`, floating point, before softmax and before any
            temperature; `classes = 1` is a binary model, whose prediction is `z > 0`.
        class_id: Class that must not appear; 0 or 1 for a binary model.
        eps: Budget `>= 0` in the units of the model input, or a 1-D sequence of budgets.
        labels: `(batch, height, width)`, integers, or `None`. They only say which pixels
            `ignore_class` leaves out.
        lipschitz_constant: Proved upper bound `L > 0` of the map from image to `logits`, both
            measured in the l_p norm.
        p: Norm of the attack: 1, 2 or `inf`.
        ignore_class: Class of the pixels left out of $S$: by label where `labels` are given, and
            otherwise by clean prediction.
        mask: `(batch, height, width)`, bool: where the class must not appear. `None` is the whole
            image.
        logit_tolerance: How far each logit may be from its exact value; costs shrink accordingly.
        class_groups: Disjoint groups of class ids that count as one, such as `[(11, 13, 14)]`: with
            a class of a group all of this is about the group.

    Returns:
        `(batch,)`, or `(batch, len(eps))` for a sequence; float32 in `[0, 1]`, rounded up to a
            multiple of 2^-24. NaN for an image where no pixel counts, and in a graph for an image
            with NaN or infinite logits.

    Raises:
        ValueError: When an argument has the wrong shape or value; outside a graph also for NaN
            or infinite logits.

    Example:
    Three pixels of class 0 by margins 1, 2, 3, and one that is of class 1 already.

    >>> import numpy as np
    >>> from keras import ops
    >>> from deel_seg.certificates import worst_case_fabrication
    >>> margins = np.array([[[1.0, 2.0], [3.0, -4.0]]], dtype="float32")
    >>> logits = np.stack([margins, np.zeros_like(margins)], axis=-1)
    >>> shares = worst_case_fabrication(logits, class_id=1, eps=[0.0, 1.0, 2.0, 3.0])
    >>> ops.convert_to_numpy(shares).tolist()
    [[0.25, 0.5, 0.75, 1.0]]

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Eq. 10-11, for the
            cost of becoming a class.
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
    # Exact: multiples of 2^-24.
    return 1.0 - share_unchanged(inputs, class_id, eps, becomes=True, class_groups=class_groups)


def fabrication_radius(
    logits: Any,
    *,
    class_id: int,
    fraction: Any = None,
    pixels: int | None = None,
    labels: Any = None,
    lipschitz_constant: Any = 1.0,
    p: float = 2,
    ignore_class: int | None = None,
    mask: Any = None,
    logit_tolerance: Any = 0.0,
    class_groups: Sequence[Sequence[int]] | None = None,
) -> Tensor:
    r"""Lower-bounds the attack size that makes a given share of the pixels a given class.

    Answers Q2: of the pixels $S$ that count, $n = \lceil q |S| \rceil$ have to be of `class_id`,
    $q$ = `fraction`, or `pixels` of them; those that are so already cost nothing. The counts are
    exact, and so is the cost of becoming a class, see `worst_case_fabrication`.

    Args:
        logits: `(batch, height, width, classes)`, see `worst_case_fabrication`.
        class_id: Class that must not appear; 0 or 1 for a binary model.
        fraction: Share of the pixels, in `(0, 1]`; at most six decimals, or a
            `fractions.Fraction` of denominator at most 10^6. `None` is 0.9, unless `pixels` is
            given, which excludes it.
        pixels: Number of the pixels, at least 1.
        labels: `(batch, height, width)`, integers, or `None`. They only say which pixels
            `ignore_class` leaves out.
        lipschitz_constant: Proved upper bound `L > 0` of the map from image to `logits`.
        p: Norm of the attack: 1, 2 or `inf`.
        ignore_class: Class of the pixels left out, by label or else by clean prediction.
        mask: `(batch, height, width)`, bool: where the class must not appear. `None` is the whole
            image.
        logit_tolerance: How far each logit may be from its exact value; costs shrink accordingly.
        class_groups: Disjoint groups of class ids that count as one, such as `[(11, 13, 14)]`: with
            a class of a group all of this is about the group.

    Returns:
        `(batch,)`, float32, in the units of the model input, rounded down; infinite where fewer
            than `pixels` count, NaN as in `worst_case_fabrication`.

    Raises:
        ValueError: As `worst_case_fabrication`, and if `fraction` and `pixels` are both given.

    Example:
    The two cheapest of three pixels have margins 1 and 2: sqrt((1 + 4) / 2).

    >>> import numpy as np
    >>> from deel_seg.certificates import fabrication_radius
    >>> margins = np.array([[[1.0, 2.0, 3.0]]], dtype="float32")
    >>> logits = np.stack([margins, np.zeros_like(margins)], axis=-1)
    >>> print(f"{float(fabrication_radius(logits, class_id=1, pixels=2)[0]):.4f}")
    1.5811

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Eq. 12-14, for the
            cost of becoming a class.
    """
    changed = check_fraction_or_pixels(fraction, pixels)
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
    return radius_of_change(inputs, class_id, changed, becomes=True, class_groups=class_groups)
