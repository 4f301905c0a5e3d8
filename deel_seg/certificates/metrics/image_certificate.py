"""Mean over images of a certificate."""

from __future__ import annotations

import abc
from typing import Any

from keras import ops

from deel_seg.certificates.metrics.certified_metric import CertifiedMetric
from deel_seg.certificates.metrics.image_mean import ImageMean
from deel_seg.certificates.metrics.pixel_weights import image_weights
from deel_seg.certificates.pixels import integer_labels

Tensor = Any


class ImageCertificate(ImageMean, CertifiedMetric, abc.ABC):
    """Mean over images of a certificate; a subclass says which one.

    Args:
        **kwargs: `lipschitz_constant`, `ignore_class`, `p`, `logit_tolerance`, `name`, `dtype`,
            see `CertifiedMetric`.

    Call arguments:
        y_true: `(batch, H, W)` or `(batch, H, W, 1)`, class ids.
        y_pred: `(batch, H, W, classes)`, logits.
        sample_weight: One weight an image, `(batch,)`; or 0 and 1 over pixels, `(batch, H, W)`,
            of which the zeros are left out.
    """

    @abc.abstractmethod
    def certificate(
        self, logits: Tensor, labels: Tensor, mask: Tensor | None, options: dict[str, Any]
    ) -> Tensor:
        """Certified value of each image, `(batch,)`; `options` go to the certificate function."""

    def needed_pixels(self, labels: Tensor) -> Tensor | None:
        """Pixels of which an image needs one to have a value, bool; `None` for any that counts."""
        del labels
        return None

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        logits = ops.convert_to_tensor(y_pred)
        labels = integer_labels(y_true)
        mask, weights, empty = image_weights(
            labels, self.ignore_class, sample_weight, self.needed_pixels(labels)
        )
        values = self.certificate(logits, labels, mask, self._options())
        self.accumulate(values, weights, empty)
