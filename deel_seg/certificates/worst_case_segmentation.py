"""The label map of the output attack behind a worst-case accuracy or stability (Fig. 7, 8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from deel_seg._backend import compiled
from deel_seg.certificates.cheapest_pixels import cheapest_pixels
from deel_seg.certificates.class_groups import Groups, check_class_groups, group_of
from deel_seg.certificates.counted_pixels import count_pixels
from deel_seg.certificates.inputs import check_inputs
from deel_seg.certificates.pixel_share import worst_case_share
from deel_seg.certificates.rounding import exact_floor
from deel_seg.certificates.two_best import two_best

Tensor = Any


def worst_case_segmentation(
    logits: Any,
    labels: Any = None,
    *,
    eps: Any,
    class_groups: Sequence[Sequence[int]] | None = None,
    lipschitz_constant: Any = 1.0,
    p: float = 2,
    ignore_class: int | None = None,
    mask: Any = None,
    logit_tolerance: Any = 0.0,
) -> Tensor:
    """Draws the output attack behind `worst_case_pixel_accuracy` or `worst_case_stability`.

    With `labels` the map has exactly the accuracy that `worst_case_pixel_accuracy` certifies, and
    without them exactly the share of unchanged pixels that `worst_case_stability` certifies: the
    pixels of the smallest radii are lost, as many as the certificate counts, and among equal radii
    those that come first when reading row by row. A pixel that is lost shows the class that came
    second there, for it takes the least budget to put on top. Pixels that are wrong already count
    as lost and stay as predicted, as do pixels that do not count.

    It is an attack on the logits: what the certificate cannot rule out, and not something that an
    image within the budget is known to cause.

    Args:
        logits: `(batch, height, width, classes)`, floating point, before softmax and before any
            temperature; `classes = 1` is a binary model, whose prediction is `z > 0`.
        labels: `(batch, height, width)`, integer class ids, or `None` to attack the stability.
        eps: Budget `>= 0` in the units of the model input, or a 1-D sequence of budgets.
        class_groups: Disjoint groups of class ids that count as one, as in the two certificates. A
            pixel that is lost shows the best class outside of its group.
        lipschitz_constant: Proved upper bound `L > 0` of the map from image to `logits`, both
            measured in the l_p norm.
        p: Norm of the attack: 1, 2 or `inf`.
        ignore_class: Label of the pixels left out, such as 255 for void; without `labels` the
            predicted class is taken in their place.
        mask: `(batch, height, width)`, bool; pixels outside are left out. `None` keeps all.
        logit_tolerance: How far each logit may be from its exact value; margins shrink by it.

    Returns:
        `(batch, height, width)`, or `(batch, len(eps), height, width)` for a sequence; int32. An
            image where no pixel counts is shown as predicted. In a graph an image that cannot be
            certified, for NaN or infinite logits or labels that name no class, is -1 everywhere.
            Past 2^24 pixels the count is the one behind the certified value, which is rounded
            down: up to 8 pixels more may be lost.

    Raises:
        ValueError: When an argument has the wrong shape or value; outside a graph also for NaN
            or infinite logits and for labels that name no class.

    Example:
    Margins 1, 2, 3 of class 0; class 2 comes second. A budget of 1 pays for the first pixel.

    >>> import numpy as np
    >>> from keras import ops
    >>> from deel_seg.certificates import worst_case_segmentation
    >>> margins = np.array([[[1.0, 2.0, 3.0]]], dtype="float32")
    >>> logits = np.stack([margins, 0 * margins - 1, 0 * margins], axis=-1)
    >>> ops.convert_to_numpy(worst_case_segmentation(logits, eps=1.0)).tolist()
    [[[2, 0, 0]]]

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Eq. 9-11, Eq. 19-21,
            Fig. 7, Fig. 8.
    """
    by_label = labels is not None
    inputs = check_inputs(
        logits,
        labels,
        mask,
        lipschitz_constant=lipschitz_constant,
        p=p,
        ignore_class=ignore_class,
        logit_tolerance=logit_tolerance,
    )
    # The map is drawn from the certified value itself, so that the two cannot disagree.
    shares = worst_case_share(inputs, eps, by_label=by_label, class_groups=class_groups)
    is_sequence = len(shares.shape) == 2
    shares = shares if is_sequence else shares[:, None]
    groups = check_class_groups(class_groups, inputs.static["num_classes"])
    maps = inputs.certify(_compiled_maps, shares, by_label=by_label, class_groups=groups)
    return maps if is_sequence else maps[:, 0]


def _maps(
    logits: Tensor,
    labels: Tensor | None,
    mask: Tensor | None,
    lipschitz_constant: Tensor,
    logit_tolerance: Tensor,
    shares: Tensor,
    *,
    p: float,
    num_classes: int,
    class_groups: Groups | None,
    **static: Any,
) -> tuple[Tensor, Tensor]:
    static = {"num_classes": num_classes, "class_groups": class_groups, "p": p, **static}
    pixels = count_pixels(logits, labels, mask, logit_tolerance, **static)
    lost = cheapest_pixels(pixels.margins, _pixels_lost(shares, pixels.num_kept[:, None]))
    batch, height, width = ops.shape(logits)[:-1]
    lost = ops.reshape(lost, (batch, ops.shape(shares)[1], height, width))
    predicted, second = two_best(logits, num_classes, class_groups)
    if labels is not None:
        right = ops.cast(group_of(labels, class_groups), "int32")
        correct = ops.equal(group_of(predicted, class_groups), right)
        lost = ops.logical_and(lost, correct[:, None])
    maps = ops.where(lost, second[:, None], predicted[:, None])
    undefined = ops.logical_and(ops.isnan(shares), pixels.num_kept[:, None] > 0)
    undefined = ops.logical_or(undefined, ops.logical_not(pixels.valid)[:, None])
    return ops.where(undefined[..., None, None], -1, maps), pixels.valid


_compiled_maps = compiled(
    _maps, static_argnames=("p", "ignore_class", "num_classes", "by_label", "class_groups")
)


def _pixels_lost(shares: Tensor, num_kept: Tensor) -> Tensor:
    """The count behind a certified share, which is rounded down to a multiple of 2^-24.

    The lost pixels are `floor(num_kept * (1 - share))`: rounding has added less than a pixel to
    that as long as there are at most 2^24.
    """
    shares = ops.where(ops.isnan(shares), 1.0, shares)
    steps = ops.cast((1.0 - shares) * 2.0**24, "int32")
    return exact_floor(num_kept, steps, 2**24)
