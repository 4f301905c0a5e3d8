"""What all losses over pixels share: labels, ignored pixels, weights and the mean."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from deel_seg._checks import check_integer, check_real, received
from deel_seg._replicas import num_replicas, replica_sum, with_shared_value
from deel_seg.certificates.inputs import check_same_pixels
from deel_seg.certificates.pixels import integer_labels, kept_pixels, label_count

Tensor = Any

_MEANS = ("mean", "sum_over_batch_size")


class PixelLoss(keras.losses.Loss, abc.ABC):
    """Loss between integer labels and logits at every pixel; a subclass says which one.

    Ignored pixels contribute neither to the sum nor to the number it is divided by. A label that
    names no class makes the loss NaN. Half precision logits are computed with in float32.

    Under a `tf.distribute` strategy the mean is that of the batch of all replicas, however void
    pixels are spread over them: each replica has the value of the whole batch, over the number of
    replicas as Keras wants it, and a gradient of which the sum over replicas is that of the batch.

    Args:
        ignore_class: Label of the pixels left out, such as 255 for void.
        class_weights: One weight a class, multiplied like sample weights: the mean still divides
            by the number of pixels.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: Passed on to Keras.

    Call arguments:
        y_true: `(batch, H, W)` or `(batch, H, W, 1)`, class ids.
        y_pred: `(batch, H, W, classes)`, logits; `classes = 1` is one signed logit.
        sample_weight: One weight an image, `(batch,)`, or a pixel, `(batch, H, W)`.
    """

    def __init__(
        self,
        *,
        ignore_class: int | None = None,
        class_weights: Sequence[float] | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if ignore_class is not None:
            check_integer("ignore_class", ignore_class)
        self.ignore_class = ignore_class
        self.class_weights = (
            None
            if class_weights is None
            else [check_real("class_weights", float(w), minimum=0) for w in class_weights]
        )

    @abc.abstractmethod
    def pixel_losses(self, labels: Tensor, logits: Tensor, kept: Tensor) -> Tensor:
        """Loss of every pixel, `(batch, H, W)`.

        Args:
            labels: `(batch, H, W)` int, each of them a class.
            logits: `(batch, H, W, classes)`, float32 or float64; 0 at the pixels not kept.
            kept: `(batch, H, W)` bool, the pixels that count.
        """

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        if sample_weight is not None or self.reduction == "mean_with_sample_weight":
            sample_weight = self._pixel_weights(integer_labels(y_true), sample_weight)
        loss = super().__call__(y_true, y_pred, sample_weight)
        if self.reduction == "mean_with_sample_weight":
            # Keras divides by the weights of this replica, and by the number of replicas.
            own = ops.cast(ops.sum(sample_weight), loss.dtype)
            loss = loss * (num_replicas() * ops.divide_no_nan(own, replica_sum(own)))
        return loss if len(loss.shape) else with_shared_value(loss)

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        logits, labels = _checked_logits(y_pred), integer_labels(y_true)
        check_same_pixels("y_true", labels, logits)
        num_labels = label_count(logits.shape[-1])
        kept = kept_pixels(labels, None, self.ignore_class)
        valid = ops.logical_and(labels >= 0, labels < num_labels)
        labels = ops.where(valid, labels, ops.zeros_like(labels))
        # Zeroed before they are used, so that no gradient of theirs can be NaN.
        logits = ops.where(kept[..., None], logits, ops.zeros_like(logits))
        losses = self.pixel_losses(labels, logits, kept)
        if self.class_weights is not None:
            losses = losses * self._weights_of(labels, num_labels, losses.dtype)
        losses = ops.where(kept, losses, ops.zeros_like(losses))
        losses = ops.where(ops.logical_and(kept, ops.logical_not(valid)), float("nan"), losses)
        if self.reduction in _MEANS:
            # Keras divides by the number of all pixels of this replica, and by that of replicas.
            count = ops.maximum(replica_sum(ops.sum(ops.cast(kept, losses.dtype))), 1.0)
            pixels = ops.cast(ops.size(losses), losses.dtype) * num_replicas()
            losses = losses * (pixels / count)
        return losses

    def _weights_of(self, labels: Tensor, num_labels: int, dtype: str) -> Tensor:
        if len(self.class_weights or ()) != num_labels:
            raise ValueError(
                f"`class_weights` must hold one weight for each of {num_labels} classes. "
                f"{received(class_weights=self.class_weights)}"
            )
        return ops.take(ops.convert_to_tensor(self.class_weights, dtype), labels, axis=0)

    def _pixel_weights(self, labels: Tensor, sample_weight: Any) -> Tensor:
        """Sample weights as `(batch, H, W)`, 0 at ignored pixels; Keras would misalign (batch,)."""
        kept = ops.cast(kept_pixels(labels, None, self.ignore_class), "float32")
        if sample_weight is None:
            return kept
        weights = ops.cast(ops.convert_to_tensor(sample_weight), "float32")
        if len(weights.shape) == 4:
            weights = ops.squeeze(weights, axis=-1)
        elif 0 < len(weights.shape) < 3:
            weights = ops.reshape(weights, (-1, 1, 1))
        return kept * weights

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "ignore_class": self.ignore_class,
            "class_weights": self.class_weights,
        }


def _checked_logits(y_pred: Any) -> Tensor:
    logits = ops.convert_to_tensor(y_pred)
    if len(logits.shape) != 4 or logits.shape[-1] is None:
        raise ValueError(
            "`y_pred` must have shape (batch, height, width, classes). "
            f"{received(shape=tuple(logits.shape))}"
        )
    half = keras.backend.standardize_dtype(logits.dtype) in ("float16", "bfloat16")
    return ops.cast(logits, "float32") if half else logits
