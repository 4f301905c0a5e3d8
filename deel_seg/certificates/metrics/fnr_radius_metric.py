"""The mean certified radius of the false negative rate of a class."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import keras

from deel_seg._checks import check_integer
from deel_seg.certificates.class_groups import members_with
from deel_seg.certificates.false_negative_rate import fnr_radius
from deel_seg.certificates.metrics.image_certificate import ImageCertificate
from deel_seg.certificates.objectives import exact_fraction, percent_name
from deel_seg.certificates.pixels import named_by

Tensor = Any


@keras.saving.register_keras_serializable("deel_seg")
class FNRRadius(ImageCertificate):
    """Mean of `fnr_radius` over the images with a pixel of the class; the others are skipped.

    Args:
        threshold: False negative rate to be reached, in `[0, 1]`, at most six decimals.
        positive_class: The class whose pixels are to be found; with `class_groups` a class of the
            group.
        name: By default `"fnr_radius_3@50"` for class 3 and a threshold of 0.5.
        **kwargs: `class_groups`, see `ImageCertificate`; and `lipschitz_constant`, `ignore_class`,
            `p`, `logit_tolerance`, `dtype`, see `CertifiedMetric`.

    Example:
    Two of four pixels of class 0 have to be lost: sqrt((1 + 4) / 2).

    >>> import numpy as np
    >>> from deel_seg.certificates import FNRRadius
    >>> metric = FNRRadius(threshold=0.5, positive_class=0, lipschitz_constant=1.0)
    >>> margins = np.array([[[1.0, 2.0], [3.0, 4.0]]], dtype="float32")
    >>> logits = np.stack([margins, np.zeros_like(margins)], axis=-1)
    >>> print(f"{float(metric(np.zeros((1, 2, 2), 'int32'), logits)):.4f}")
    1.5811

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Eq. 18.
    """

    def __init__(
        self, threshold: Any, positive_class: int, *, name: str | None = None, **kwargs: Any
    ) -> None:
        self.positive_class = check_integer("positive_class", positive_class, minimum=0)
        share = exact_fraction("threshold", threshold, allow_zero=True)
        name = name or f"fnr_radius_{positive_class}@{percent_name(share)}"
        super().__init__(name=name, **kwargs)
        # Written out, a fractions.Fraction survives saving and is read back exactly.
        self.threshold = str(share) if isinstance(threshold, Fraction) else threshold

    def needed_pixels(self, labels: Tensor) -> Tensor:
        return named_by(labels, members_with(self.positive_class, self.class_groups))

    def certificate(
        self, logits: Tensor, labels: Tensor, mask: Tensor | None, options: dict[str, Any]
    ) -> Tensor:
        return fnr_radius(
            logits,
            labels,
            threshold=self.threshold,
            positive_class=self.positive_class,
            mask=mask,
            **options,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "threshold": self.threshold,
            "positive_class": self.positive_class,
        }
