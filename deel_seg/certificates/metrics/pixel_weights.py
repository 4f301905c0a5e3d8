"""Sample weights as Keras passes them, in the form the certificates take."""

from __future__ import annotations

from typing import Any

from keras import ops

from deel_seg.certificates.pixels import kept_pixels

Tensor = Any


def image_weights(
    labels: Tensor, ignore_class: int | None, sample_weight: Any, needed: Tensor | None = None
) -> tuple[Tensor | None, Tensor, Tensor]:
    """Splits sample weights into a mask over pixels and a weight for each image.

    Args:
        labels: `(batch, H, W)`, integers.
        ignore_class: Label of the pixels left out.
        sample_weight: `None`; one weight an image, `(batch,)` or with trailing axes of 1; or one
            a pixel, `(batch, H, W)` or `(batch, H, W, 1)`, which leaves out where it is 0.
        needed: `(batch, H, W)` bool, or `None`: an image where no pixel that counts is one of
            these does not count either.

    Returns:
        The mask, `(batch, H, W)` bool or `None`; the weights, `(batch,)` float32, 0 for images
        where no pixel counts; and those images, `(batch,)` bool.
    """
    mask, weights = None, None
    if sample_weight is not None:
        sample_weight = ops.convert_to_tensor(sample_weight)
        if len(sample_weight.shape) == 4:
            sample_weight = ops.squeeze(sample_weight, axis=-1)
        if len(sample_weight.shape) == 3 and tuple(sample_weight.shape[1:]) != (1, 1):
            mask = ops.not_equal(sample_weight, 0)
        else:
            weights = ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
    kept = kept_pixels(labels, mask, ignore_class)
    kept = kept if needed is None else ops.logical_and(kept, needed)
    empty = ops.logical_not(ops.any(kept, axis=(1, 2)))
    if weights is None:
        weights = ops.ones_like(empty, dtype="float32")
    return mask, ops.where(empty, ops.zeros_like(weights), weights), empty
