"""Mean over images of a certificate."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

from keras import ops

from deel_seg.certificates.class_groups import check_group_lists
from deel_seg.certificates.metrics.certified_metric import CertifiedMetric
from deel_seg.certificates.metrics.image_mean import ImageMean
from deel_seg.certificates.metrics.pixel_weights import image_weights
from deel_seg.certificates.pixels import integer_labels

Tensor = Any


class ImageCertificate(ImageMean, CertifiedMetric, abc.ABC):
    """Mean over images of a certificate; a subclass says which one.

    Args:
        class_groups: Disjoint groups of class ids that count as one, such as `[(11, 13, 14)]`, for
            a certificate that takes them; classes in no group stand alone.
        **kwargs: `lipschitz_constant`, `ignore_class`, `p`, `logit_tolerance`, `name`, `dtype`,
            see `CertifiedMetric`.

    Call arguments:
        y_true: `(batch, H, W)` or `(batch, H, W, 1)`, class ids.
        y_pred: `(batch, H, W, classes)`, logits.
        sample_weight: One weight an image, `(batch,)`; or 0 and 1 over pixels, `(batch, H, W)`,
            of which the zeros are left out.
    """

    def __init__(
        self, *, class_groups: Sequence[Sequence[int]] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.class_groups = None if class_groups is None else check_group_lists(class_groups)

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

    def _options(self) -> dict[str, Any]:
        options = super()._options()
        # Left out where there are none, for certificates that do not take any.
        return options if self.class_groups is None else {**options, **self._groups()}

    def _groups(self) -> dict[str, Any]:
        groups = self.class_groups
        return {"class_groups": None if groups is None else [list(group) for group in groups]}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._groups()}
