"""Hinge-Kantorovich-Rubinstein loss over pixels."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from deel_seg._checks import check_real, received
from deel_seg._replicas import replica_sum
from deel_seg.losses.pixel_loss import PixelLoss
from deel_seg.losses.schedulable import Schedulable

Tensor = Any


@keras.saving.register_keras_serializable("deel_seg")
class HKR(PixelLoss):
    r"""Hinge-regularised Kantorovich-Rubinstein loss, one class against all others.

    For class $c$ with $n_c$ of the $N$ pixels that count in the batch, and $s = \pm 1$ as the
    pixel is of that class or not,

    $$-N z_c \Big(\frac{[s = 1]}{n_c} - \frac{[s = -1]}{N - n_c}\Big)
      + \alpha \, w \, \max(0, m/2 - s z_c),$$

    averaged over the classes, with $w = K - 1$ where $s = 1$ and 1 elsewhere, for each class is
    absent far more often than present. One signed logit is the positive class alone, $w = 1$.

    Args:
        alpha: Weight of the hinge, `>= 0`; `inf` leaves the hinge alone.
        min_margin: Margin $m$ below which a pixel pays.
        name: Name of the loss.
        **kwargs: `ignore_class`, `class_weights`, `reduction`, `dtype`, see `PixelLoss`.

    Both parameters are variables and may be assigned between training steps.

    Example:

    >>> import numpy as np
    >>> from deel_seg.losses import HKR
    >>> logits = np.array([[[[2.0], [-1.0]]]], dtype="float32")
    >>> print(f"{float(HKR(alpha=10.0, min_margin=1.0)(np.array([[[1, 0]]]), logits)):.4f}")
    -3.0000

    References:
        Achieving robustness in classification using optimal transport with hinge regularization
        (Serrurier et al., 2021).
    """

    def __init__(
        self, alpha: float, min_margin: float = 1.0, *, name: str = "hkr", **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.hinge_only = alpha == math.inf
        if not self.hinge_only:
            check_real("alpha", alpha, minimum=0)
        self._alpha = Schedulable(alpha, name="alpha")
        self._min_margin = Schedulable(
            check_real("min_margin", min_margin, minimum=0), name="min_margin"
        )

    @property
    def alpha(self) -> Schedulable:
        """Weight of the hinge, a variable."""
        return self._alpha

    @alpha.setter
    def alpha(self, value: float) -> None:
        if self.hinge_only:
            raise ValueError(f"`alpha` is fixed in a loss built with inf. {received(alpha=value)}")
        self._alpha.assign(check_real("alpha", value, minimum=0))

    @property
    def min_margin(self) -> Schedulable:
        """Margin below which a pixel pays, a variable."""
        return self._min_margin

    @min_margin.setter
    def min_margin(self, value: float) -> None:
        self._min_margin.assign(check_real("min_margin", value, minimum=0))

    def pixel_losses(self, labels: Tensor, logits: Tensor, kept: Tensor) -> Tensor:
        num_classes, dtype = logits.shape[-1], logits.dtype
        if num_classes == 1:
            present = ops.cast(labels, dtype)[..., None]
        else:
            present = ops.one_hot(labels, num_classes, dtype=dtype)
        min_margin = ops.cast(self._min_margin.read(beside=logits), dtype)
        hinge = ops.relu(min_margin / 2 - (2 * present - 1) * logits)
        hinge = ops.mean(hinge * (1 + present * max(num_classes - 2, 0)), axis=-1)
        if self.hinge_only:
            return hinge
        alpha = ops.cast(self._alpha.read(beside=logits), dtype)
        return alpha * hinge - ops.mean(_kr_terms(present, logits, kept), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "alpha": self._alpha.on_host,
            "min_margin": self._min_margin.on_host,
        }


def _kr_terms(present: Tensor, logits: Tensor, kept: Tensor) -> Tensor:
    """Share of each pixel and class in the difference of means, times the number of pixels."""
    kept = ops.cast(kept, logits.dtype)[..., None]
    total = replica_sum(ops.sum(kept))
    counts = replica_sum(ops.sum(present * kept, axis=(0, 1, 2)))
    inside = present / ops.maximum(counts, 1.0)
    outside = (1.0 - present) / ops.maximum(total - counts, 1.0)
    return total * logits * (inside - outside)
