"""One image's prediction beside what an attack could make of it, as NumPy arrays to draw."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from deel_seg._checks import check_real, received
from deel_seg.certificates import pixel_radius, worst_case_pixel_accuracy, worst_case_stability


@dataclass(frozen=True)
class CertifiedSegmentation:
    """Prediction and certificates of one image; all arrays are `(height, width)`.

    Attributes:
        predicted: Predicted classes, int.
        radius: Budget that flips each pixel alone, float32; 0 where the label says that the
            prediction is wrong, NaN where the pixel does not count.
        kept: The pixels that count, bool.
        lost: The pixels that the worst case takes: the cheapest ones, as many as the budget
            pays for; pixels that are wrong already are among them, for nothing.
        worst: Classes after that output attack, int: a correct pixel that is lost takes the class
            that came second.
        bound: The certified share of pixels that are left: accuracy with labels, stability
            without.
    """

    predicted: NDArray[np.int64]
    radius: NDArray[np.float32]
    kept: NDArray[np.bool_]
    lost: NDArray[np.bool_]
    worst: NDArray[np.int64]
    bound: float


def certify_segmentation(
    logits: Any,
    labels: Any = None,
    *,
    eps: float,
    lipschitz_constant: float = 1.0,
    ignore_class: int | None = None,
    logit_tolerance: float = 0.0,
) -> CertifiedSegmentation:
    """Certifies one image and draws the output attack behind the bound.

    The attack shown is one on the logits. It is what the certificate cannot rule out, not
    something that an image within the budget is known to cause.

    Args:
        logits: `(height, width, classes)`, floating point; `classes = 1` is a binary model,
            whose prediction is `z > 0`.
        labels: `(height, width)`, integer class ids, or `None`: then the worst case is that of
            the stability instead of the accuracy.
        eps: Budget `>= 0`, an l2 norm in the units of the model input.
        lipschitz_constant: Proved upper bound of the map from image to logits.
        ignore_class: Label of the pixels left out, such as 255 for void.
        logit_tolerance: How far each logit may be from its exact value.

    Raises:
        ValueError: If an argument has the wrong shape or value, or no pixel counts.

    Example:

    Margins 1, 2, 3 of class 0 over class 1; a budget of 1 pays for the first pixel.

    >>> import numpy as np
    >>> from deel_seg.visualize import certify_segmentation
    >>> logits = np.array([[[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]])
    >>> result = certify_segmentation(logits, eps=1.0)
    >>> result.worst.tolist(), int(result.lost.sum())
    ([[1, 0, 0]], 1)
    """
    check_real("eps", eps, minimum=0.0)
    logits = ops.convert_to_numpy(logits)
    if logits.ndim != 3:
        raise ValueError(
            f"`logits` must have shape (height, width, classes). {received(shape=logits.shape)}"
        )
    batch = None if labels is None else ops.convert_to_numpy(labels)[None]
    options: dict[str, Any] = {
        "lipschitz_constant": lipschitz_constant,
        "ignore_class": ignore_class,
        "logit_tolerance": logit_tolerance,
    }
    radius = ops.convert_to_numpy(pixel_radius(logits[None], batch, **options))[0]
    if batch is None:
        bounds = worst_case_stability(logits[None], eps=eps, **options)
    else:
        bounds = worst_case_pixel_accuracy(logits[None], batch, eps=eps, **options)
    kept, bound = ~np.isnan(radius), float(bounds[0])
    if not kept.any():
        raise ValueError(f"No pixel counts. {received(ignore_class=ignore_class)}")
    predicted, second = _two_best_classes(logits)
    lost = _cheapest(radius, _pixels_lost(bound, int(kept.sum())))
    flipped = lost if batch is None else lost & (predicted == batch[0])
    worst = np.where(flipped, second, predicted)
    return CertifiedSegmentation(predicted, radius, kept, lost, worst, bound)


def _two_best_classes(logits: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if logits.shape[-1] == 1:
        predicted = (logits[..., 0] > 0).astype(np.int64)
        return predicted, 1 - predicted
    predicted = logits.argmax(axis=-1)
    others = logits.astype(np.float64)
    np.put_along_axis(others, predicted[..., None], -math.inf, axis=-1)
    return predicted, others.argmax(axis=-1)


def _pixels_lost(bound: float, count: int) -> int:
    """The whole number of pixels behind a bound, which is their share rounded down to 2^-24."""
    return count - math.ceil(bound * count)


def _cheapest(radius: NDArray[np.float32], count: int) -> NDArray[np.bool_]:
    """The `count` pixels of the smallest radii; NaN comes last in NumPy's order."""
    lost = np.zeros(radius.size, bool)
    lost[np.argsort(radius, axis=None, kind="stable")[:count]] = True
    return lost.reshape(radius.shape)
