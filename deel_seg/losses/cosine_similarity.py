"""Negative cosine between logits and label, a loss that does not see their scale."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deel_seg._checks import received
from deel_seg.losses.pixel_loss import PixelLoss

Tensor = Any


@keras.saving.register_keras_serializable("deel_seg")
class CosineSimilarity(PixelLoss):
    r"""Negative cosine between the logits of a pixel and its one-hot label.

    $$-z_y / \|z\|_2$$

    Args:
        name: Name of the loss.
        **kwargs: `ignore_class`, `class_weights`, `reduction`, `dtype`, see `PixelLoss`.

    Example:

    >>> import numpy as np
    >>> from deel_seg.losses import CosineSimilarity
    >>> logits = np.array([[[[3.0, 4.0]]]], dtype="float32")
    >>> print(f"{float(CosineSimilarity()(np.array([[[1]]]), logits)):.4f}")
    -0.8000
    """

    def __init__(self, *, name: str = "cosine_similarity", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def pixel_losses(self, labels: Tensor, logits: Tensor, kept: Tensor) -> Tensor:
        num_classes = logits.shape[-1]
        if num_classes == 1:
            raise ValueError(
                "CosineSimilarity needs at least two logits: one alone has cosine 1 or -1 and no "
                f"gradient. {received(classes=num_classes)}"
            )
        # The cosine does not change with the scale, so the largest logit may be divided out as a
        # constant: squares then neither overflow nor vanish, and sum to at least 1 unless all
        # logits are 0, where the gradient pushes the labelled class up.
        largest = ops.max(ops.abs(logits), axis=-1, keepdims=True)
        scale = ops.where(largest > 0, largest, ops.ones_like(largest))
        unit = logits / ops.stop_gradient(scale)
        squares = ops.sum(ops.square(unit), axis=-1)
        norm = ops.sqrt(ops.where(squares > 0, squares, ops.ones_like(squares)))
        labelled = ops.sum(unit * ops.one_hot(labels, num_classes, dtype=unit.dtype), axis=-1)
        return -labelled / norm
