"""Clean pixel accuracy, averaged as CRPA is."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from deel_seg._checks import check_choice, received
from deel_seg.certificates.inputs import check_same_pixels
from deel_seg.certificates.metrics.image_mean import ImageMean
from deel_seg.certificates.metrics.pixel_weights import image_weights
from deel_seg.certificates.pixels import (
    certifiable_images,
    integer_labels,
    kept_pixels,
    predicted_class,
)
from deel_seg.certificates.rounding import count_dtype, ratio_below

Tensor = Any


@keras.saving.register_keras_serializable("deel_seg")
class PixelAccuracy(ImageMean):
    """Share of pixels whose predicted class is the label, without those of `ignore_class`.

    Keras' own sparse accuracy cannot ignore a class. The default mean over images is that of
    `CRPA`, which it is never below unless that has `class_groups`; NaN logits and labels that name
    no class make it NaN.

    Args:
        ignore_class: Label of the pixels left out, such as 255 for void.
        average: `"image"`, the mean of the images' accuracies, or `"pixel"`, which counts every
            pixel the same.
        name: Name in the logs.
        dtype: Passed on to Keras.

    Example:
    >>> import numpy as np
    >>> from deel_seg.certificates import PixelAccuracy
    >>> metric = PixelAccuracy(ignore_class=255)
    >>> labels, logits = np.array([[[0, 1, 1, 255]]]), np.eye(2, dtype="float32")[[[[0, 1, 0, 0]]]]
    >>> print(f"{float(metric(labels, logits)):.4f}")
    0.6667
    """

    def __init__(
        self,
        *,
        ignore_class: int | None = None,
        average: str = "image",
        name: str = "pixel_accuracy",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.ignore_class = ignore_class
        self.average = check_choice("average", average, ("image", "pixel"))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        logits, labels = ops.convert_to_tensor(y_pred), integer_labels(y_true)
        if len(logits.shape) != 4 or logits.shape[-1] is None:
            raise ValueError(
                "`y_pred` must have shape (batch, height, width, classes). "
                f"{received(shape=tuple(logits.shape))}"
            )
        check_same_pixels("y_true", labels, logits)
        mask, weights, empty = image_weights(labels, self.ignore_class, sample_weight)
        kept = kept_pixels(labels, mask, self.ignore_class)
        predicted = ops.cast(predicted_class(logits, logits.shape[-1]), labels.dtype)
        correct = ops.logical_and(kept, ops.equal(predicted, labels))
        num_correct, num_kept = (
            ops.sum(ops.cast(pixels, count_dtype()), axis=(1, 2)) for pixels in (correct, kept)
        )
        valid = certifiable_images(logits, labels, kept, logits.shape[-1])
        values = ops.where(valid, ratio_below(num_correct, num_kept), math.nan)
        if self.average == "pixel":
            weights = weights * ops.cast(num_kept, "float32")
        self.accumulate(values, weights, empty)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "ignore_class": self.ignore_class,
            "average": self.average,
        }
