"""CRPA, the mean certified pixel accuracy."""

from __future__ import annotations

from typing import Any

import keras

from deel_seg._checks import check_real
from deel_seg.certificates.metrics.image_certificate import ImageCertificate
from deel_seg.certificates.pixel_accuracy import worst_case_pixel_accuracy

Tensor = Any


@keras.saving.register_keras_serializable("deel_seg")
class CRPA(ImageCertificate):
    """Certified robust pixel accuracy: the mean of `worst_case_pixel_accuracy` over images.

    Args:
        eps: Budget of the attack, `>= 0`, in the units of the model input.
        name: `"crpa"`; give each budget a name of its own where there are several.
        **kwargs: `class_groups`, see `ImageCertificate`; and `lipschitz_constant`, `ignore_class`,
            `p`, `logit_tolerance`, `dtype`, see `CertifiedMetric`.

    Example:
    >>> import numpy as np
    >>> from deel_seg.certificates import CRPA
    >>> metric = CRPA(eps=1.0, lipschitz_constant=1.0)
    >>> margins = np.array([[[1.0, 2.0], [3.0, 3.0]]], dtype="float32")
    >>> logits = np.stack([margins, np.zeros_like(margins)], axis=-1)
    >>> print(f"{float(metric(np.array([[[0, 0], [0, 1]]]), logits)):.4f}")
    0.5000

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Eq. 10.
    """

    def __init__(self, eps: float, *, name: str = "crpa", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.eps = check_real("eps", eps, minimum=0)

    def certificate(
        self, logits: Tensor, labels: Tensor, mask: Tensor | None, options: dict[str, Any]
    ) -> Tensor:
        return worst_case_pixel_accuracy(logits, labels, eps=self.eps, mask=mask, **options)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "eps": self.eps}
