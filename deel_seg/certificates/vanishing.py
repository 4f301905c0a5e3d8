"""Certificates against vanishing attacks: what is predicted as one class turns into others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deel_seg.certificates.changed_pixels import check_fraction_or_left
from deel_seg.certificates.class_change import radius_of_change, share_unchanged
from deel_seg.certificates.inputs import check_inputs

Tensor = Any


def worst_case_vanishing(
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
    r"""Lower-bounds the share of what is predicted as a class that is still so under any attack.

    Answers Q1 for $S = \{\omega : \hat Y_\omega = k\}$, $k$ = `class_id`: no perturbation with
    $\|\delta\|_p \le$ `eps` leaves a smaller share of $S$ in class $k$ than

    $$1 - \frac{1}{|S|} \sup\Big\{n : \sum_{j \le n} R^{\pi(j)}(X)^p \le \epsilon^p\Big\},$$

    with the radii of `pixel_radius`. With a `mask` around one object it certifies that object.

    Args:
        logits: `(batch, height, width, classes)`, floating point, before softmax and before any
            temperature; `classes = 1` is a binary model, whose prediction is `z > 0`.
        class_id: Class that must not vanish; 0 or 1 for a binary model.
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
        class_groups: Disjoint groups of class ids that count as one, such as `[(11, 13, 14)]`: with
            a class of a group all of this is about the group.

    Returns:
        `(batch,)`, or `(batch, len(eps))` for a sequence; float32 in `[0, 1]`, rounded down to a
            multiple of 2^-24. NaN for an image where no pixel of the class counts, and in a graph
            for an image with NaN or infinite logits.

    Raises:
        ValueError: When an argument has the wrong shape or value; outside a graph also for NaN
            or infinite logits.

    Example:
    Four pixels of class 1 with margins 1, 2, 3, 4 and two of class 0.

    >>> import numpy as np
    >>> from keras import ops
    >>> from deel_seg.certificates import worst_case_vanishing
    >>> margins = np.array([[[1.0, 2.0, 3.0], [4.0, -5.0, -6.0]]], dtype="float32")
    >>> logits = np.stack([np.zeros_like(margins), margins], axis=-1)
    >>> shares = worst_case_vanishing(logits, class_id=1, eps=[0.0, 1.0, 2.0, 3.0])
    >>> ops.convert_to_numpy(shares).tolist()
    [[1.0, 0.75, 0.5, 0.25]]

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Eq. 30, Fig. 8.
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
    return share_unchanged(inputs, class_id, eps, becomes=False, class_groups=class_groups)


def vanishing_radius(
    logits: Any,
    *,
    class_id: int,
    fraction: Any = None,
    pixels_left: int | None = None,
    labels: Any = None,
    lipschitz_constant: Any = 1.0,
    p: float = 2,
    ignore_class: int | None = None,
    mask: Any = None,
    logit_tolerance: Any = 0.0,
    class_groups: Sequence[Sequence[int]] | None = None,
) -> Tensor:
    r"""Lower-bounds the attack size that makes most of what is predicted as a class vanish.

    Answers Q2: of the pixels $S$ predicted as `class_id`, $n = \lceil q |S| \rceil$ have to turn
    into anything else, $q$ = `fraction`, or all but `pixels_left`. The counts are exact.

    Args:
        logits: `(batch, height, width, classes)`, see `worst_case_vanishing`.
        class_id: Class that must not vanish; 0 or 1 for a binary model.
        fraction: Share of the pixels that changes, in `(0, 1]`; at most six decimals, or a
            `fractions.Fraction` of denominator at most 10^6. `None` is 0.9, unless `pixels_left`
            is given, which excludes it.
        pixels_left: Number of pixels that keep their class. The radius is 0 where there are no
            more than these.
        labels: `(batch, height, width)`, integers, or `None`. They only say which pixels
            `ignore_class` leaves out.
        lipschitz_constant: Proved upper bound `L > 0` of the map from image to `logits`.
        p: Norm of the attack: 1, 2 or `inf`.
        ignore_class: Class of the pixels left out, by label or else by clean prediction.
        mask: `(batch, height, width)`, bool; pixels outside are left out. `None` keeps all.
        logit_tolerance: How far each logit may be from its exact value; margins shrink by it.
        class_groups: Disjoint groups of class ids that count as one, such as `[(11, 13, 14)]`: with
            a class of a group all of this is about the group.

    Returns:
        `(batch,)`, float32, in the units of the model input, rounded down; NaN as in
            `worst_case_vanishing`.

    Raises:
        ValueError: As `worst_case_vanishing`, and if `fraction` and `pixels_left` are both given.

    Example:
    Of three pixels with margins 1, 2, 3 two have to turn: sqrt((1 + 4) / 2).

    >>> import numpy as np
    >>> from deel_seg.certificates import vanishing_radius
    >>> margins = np.array([[[1.0, 2.0], [3.0, -4.0]]], dtype="float32")
    >>> logits = np.stack([np.zeros_like(margins), margins], axis=-1)
    >>> print(f"{float(vanishing_radius(logits, class_id=1, pixels_left=1)[0]):.4f}")
    1.5811

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Eq. 30, Fig. 8.
    """
    changed = check_fraction_or_left(fraction, pixels_left)
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
    return radius_of_change(inputs, class_id, changed, becomes=False, class_groups=class_groups)
