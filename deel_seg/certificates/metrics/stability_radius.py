"""The mean certified stability radius, "stability@50" and the like."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import keras

from deel_seg.certificates.metrics.image_certificate import ImageCertificate
from deel_seg.certificates.objectives import exact_fraction, percent_name
from deel_seg.certificates.stability import stability_radius

Tensor = Any


@keras.saving.register_keras_serializable("deel_seg")
class StabilityRadius(ImageCertificate):
    """Mean of `stability_radius` over images: the attack size that changes a share of the pixels.

    The labels only tell which pixels to ignore.

    Args:
        fraction: Share of the predictions that changes, in `(0, 1]`, at most six decimals.
        name: By default `"stability@50"` for a fraction of 0.5, `"stability@33_3"` for 0.333.
        **kwargs: `class_groups`, see `ImageCertificate`; and `lipschitz_constant`, `ignore_class`,
            `p`, `logit_tolerance`, `dtype`, see `CertifiedMetric`.

    Example:
    >>> import numpy as np
    >>> from deel_seg.certificates import StabilityRadius
    >>> metric = StabilityRadius(lipschitz_constant=1.0)
    >>> metric.name
    'stability@50'
    >>> margins = np.array([[[1.0, 2.0], [3.0, 4.0]]], dtype="float32")
    >>> logits = np.stack([margins, np.zeros_like(margins)], axis=-1)
    >>> print(f"{float(metric(np.zeros((1, 2, 2), 'int32'), logits)):.4f}")
    1.5811

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Eq. 22.
    """

    def __init__(self, fraction: Any = 0.5, *, name: str | None = None, **kwargs: Any) -> None:
        share = exact_fraction("fraction", fraction, allow_zero=False)
        super().__init__(name=name or f"stability@{percent_name(share)}", **kwargs)
        # Written out, a fractions.Fraction survives saving and is read back exactly.
        self.fraction = str(share) if isinstance(fraction, Fraction) else fraction

    def certificate(
        self, logits: Tensor, labels: Tensor, mask: Tensor | None, options: dict[str, Any]
    ) -> Tensor:
        return stability_radius(logits, labels=labels, fraction=self.fraction, mask=mask, **options)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "fraction": self.fraction}
