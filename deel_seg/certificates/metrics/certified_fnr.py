"""The mean certified false negative rate of a class."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deel_seg._checks import check_integer, check_real
from deel_seg.certificates.class_groups import members_with
from deel_seg.certificates.false_negative_rate import worst_case_recall
from deel_seg.certificates.metrics.image_certificate import ImageCertificate
from deel_seg.certificates.pixels import named_by

Tensor = Any


@keras.saving.register_keras_serializable("deel_seg")
class CertifiedFNR(ImageCertificate):
    """Mean of `worst_case_fnr` over the images with a pixel of the class; the others are skipped.

    An upper bound, rounded up; lower is better.

    Args:
        eps: Budget of the attack, `>= 0`, in the units of the model input.
        positive_class: The class whose pixels are to be found; with `class_groups` a class of the
            group.
        name: By default `"certified_fnr_3"` for class 3.
        **kwargs: `class_groups`, see `ImageCertificate`; and `lipschitz_constant`, `ignore_class`,
            `p`, `logit_tolerance`, `dtype`, see `CertifiedMetric`.

    Example:
    Of four pixels of class 0 an attack of 1 flips the one with margin 1.

    >>> import numpy as np
    >>> from deel_seg.certificates import CertifiedFNR
    >>> metric = CertifiedFNR(eps=1.0, positive_class=0, lipschitz_constant=1.0)
    >>> margins = np.array([[[1.0, 2.0], [3.0, 4.0]]], dtype="float32")
    >>> logits = np.stack([margins, np.zeros_like(margins)], axis=-1)
    >>> print(f"{float(metric(np.zeros((1, 2, 2), 'int32'), logits)):.4f}")
    0.2500

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Eq. 15-17.
    """

    _direction = "down"

    def __init__(
        self, eps: float, positive_class: int, *, name: str | None = None, **kwargs: Any
    ) -> None:
        self.positive_class = check_integer("positive_class", positive_class, minimum=0)
        super().__init__(name=name or f"certified_fnr_{positive_class}", **kwargs)
        self.eps = check_real("eps", eps, minimum=0)

    def needed_pixels(self, labels: Tensor) -> Tensor:
        return named_by(labels, members_with(self.positive_class, self.class_groups))

    def certificate(
        self, logits: Tensor, labels: Tensor, mask: Tensor | None, options: dict[str, Any]
    ) -> Tensor:
        return worst_case_recall(
            logits,
            labels,
            eps=self.eps,
            positive_class=self.positive_class,
            mask=mask,
            **options,
        )

    def result(self) -> Tensor:
        # The mean recall is a lower bound, and the difference may be rounded down by 2^-25.
        return ops.minimum(1.0 - super().result() + 2.0**-24, 1.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "eps": self.eps, "positive_class": self.positive_class}
