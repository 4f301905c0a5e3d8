"""Certified radius of every pixel on its own (paper Eq. 8 and 20)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deel_seg.certificates.inputs import check_inputs
from deel_seg.certificates.pixel_share import single_radius

Tensor = Any


def pixel_radius(
    logits: Any,
    labels: Any = None,
    *,
    lipschitz_constant: Any = 1.0,
    p: float = 2,
    ignore_class: int | None = None,
    mask: Any = None,
    logit_tolerance: Any = 0.0,
    class_groups: Sequence[Sequence[int]] | None = None,
) -> Tensor:
    r"""Lower-bounds the attack size that changes the class of one pixel.

    $$R^\omega = \frac{2^{(1-p)/p}}{L} \left(z_k - \max_{j \ne k} z_j\right)_+$$

    at each pixel $\omega$, where $k$ is the label, so that a wrong pixel has radius 0, or without
    `labels` the predicted class. For one signed logit $z$ it is $|z| / L$, or 0 when wrong. The
    radii of several pixels do not hold at once: an attack shares its budget among them, see
    `worst_case_pixel_accuracy`.

    Args:
        logits: `(batch, height, width, classes)`, floating point, before softmax and before any
            temperature; `classes = 1` is a binary model, whose prediction is `z > 0`.
        labels: `(batch, height, width)`, integer class ids, or `None`.
        lipschitz_constant: Proved upper bound `L > 0` of the map from image to `logits`, both
            measured in the l_p norm.
        p: Norm of the attack: 1, 2 or `inf`.
        ignore_class: Label of the pixels left out, such as 255 for void; without `labels` the
            predicted class is taken in their place.
        mask: `(batch, height, width)`, bool; pixels outside are left out. `None` keeps all.
        logit_tolerance: How far each logit may be from its exact value; margins shrink by it.
        class_groups: Disjoint groups of class ids that count as one, such as `[(11, 13, 14)]`, in
            which a change does not count. Classes in none of them stand alone.

    Returns:
        `(batch, height, width)`, float32, in the units of the model input, rounded down; NaN at
            pixels left out, and in a graph in every image with a NaN or infinite logit.

    Raises:
        ValueError: When an argument has the wrong shape or value; outside a graph also for NaN
            or infinite logits and for labels that name no class.

    Example:
    >>> import numpy as np
    >>> from keras import ops
    >>> from deel_seg.certificates import pixel_radius
    >>> logits = np.array([[[[3.0, 1.0], [0.0, 4.0]]]], dtype="float32")
    >>> [f"{radius:.4f}" for radius in ops.convert_to_numpy(pixel_radius(logits)).flat]
    ['1.4142', '2.8284']
    >>> radii = pixel_radius(logits, labels=np.array([[[0, 0]]]))
    >>> [f"{radius:.4f}" for radius in ops.convert_to_numpy(radii).flat]
    ['1.4142', '0.0000']

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Eq. 8, Eq. 20.
    """
    inputs = check_inputs(
        logits,
        labels,
        mask,
        lipschitz_constant=lipschitz_constant,
        p=p,
        ignore_class=ignore_class,
        logit_tolerance=logit_tolerance,
    )
    return single_radius(inputs, by_label=labels is not None, class_groups=class_groups)
