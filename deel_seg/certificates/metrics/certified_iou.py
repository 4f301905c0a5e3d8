"""The certified IoU of one class over a data set."""

from __future__ import annotations

from typing import Any

import keras

from deel_seg._checks import check_integer
from deel_seg.certificates.class_ids import check_class_id
from deel_seg.certificates.metrics.data_set_iou_metric import DataSetIoU
from deel_seg.certificates.rounding import to_float32_below

Tensor = Any


@keras.saving.register_keras_serializable("deel_seg")
class CertifiedIoU(DataSetIoU):
    """IoU of a class over the whole data set, which no attack of `eps` on each image can undercut.

    One ratio over all images, as papers report it, and no mean of `worst_case_class_iou`: an
    image without the class counts by the pixels that an attack may give it.

    Args:
        eps: Budget of the attack of each image, `>= 0`, in the units of the model input.
        class_id: The class; with `class_groups` a class of the group.
        name: By default `"certified_iou_3"` for class 3.
        **kwargs: `class_groups`, disjoint groups of class ids that count as one; and
            `lipschitz_constant`, `ignore_class`, `p` (1 or 2), `logit_tolerance`, `dtype`, see
            `CertifiedMetric`.

    Example:
    Two images with two pixels of class 0 each; a budget of 0.8 flips the one of margin 1.

    >>> import numpy as np
    >>> from deel_seg.certificates import CertifiedIoU
    >>> metric = CertifiedIoU(eps=0.8, class_id=0, lipschitz_constant=1.0)
    >>> margins = np.array([[[1.0, 2.0, -3.0]], [[2.0, 3.0, -3.0]]], dtype="float32")
    >>> logits = np.stack([margins, np.zeros_like(margins)], axis=-1)
    >>> labels = np.array([[[0, 0, 1]], [[0, 0, 1]]])
    >>> value = float(metric(labels, logits))
    >>> 0.6 < value <= 0.75  # over fractions of pixels; over whole ones it is 3/4
    True

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Appendix B, for one
        image; the sum over images is described in `deel_seg.certificates.data_set_iou`.
    """

    def __init__(
        self, eps: float, class_id: int, *, name: str | None = None, **kwargs: Any
    ) -> None:
        self.class_id = check_integer("class_id", class_id, minimum=0)
        super().__init__(eps, [class_id], name=name or f"certified_iou_{class_id}", **kwargs)

    def check_classes(self, num_classes: int) -> None:
        check_class_id(
            "class_id", self.class_id, num_classes=num_classes, ignore_class=self.ignore_class
        )

    def result(self) -> Tensor:
        return to_float32_below(self.class_values()[0])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "class_id": self.class_id}
