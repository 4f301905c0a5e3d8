"""The certified mean IoU over a data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from deel_seg._checks import check_integer, received
from deel_seg.certificates.class_groups import check_class_groups, one_of_each
from deel_seg.certificates.class_ids import counted_classes
from deel_seg.certificates.data_set_iou_sums import mean_over_classes
from deel_seg.certificates.metrics.data_set_iou_metric import DataSetIoU
from deel_seg.certificates.pixels import label_count
from deel_seg.certificates.rounding import to_float32_below

Tensor = Any


@keras.saving.register_keras_serializable("deel_seg")
class CertifiedMeanIoU(DataSetIoU):
    """Mean of the classes' `CertifiedIoU`; classes that no image is labelled with are left out.

    Each class is bounded on its own, as if the attack were on it alone: the mean is a lower bound
    of what one attack can do to all of them.

    Args:
        eps: Budget of the attack of each image, `>= 0`, in the units of the model input.
        num_classes: Number of classes.
        class_groups: Disjoint groups of class ids that count as one, such as `[(11, 13, 14)]`: the
            mean is then over groups, of which a class that is in none is one. Each group takes
            passes of its own over the logits, where classes apart share them.
        name: Name in the logs.
        **kwargs: `lipschitz_constant`, `ignore_class`, `p` (1 or 2), `logit_tolerance`, `dtype`,
            see `CertifiedMetric`.

    Example:
    >>> import numpy as np
    >>> from deel_seg.certificates import CertifiedMeanIoU
    >>> metric = CertifiedMeanIoU(eps=0.0, num_classes=2, lipschitz_constant=1.0)
    >>> margins = np.array([[[1.0, 2.0, -3.0]], [[2.0, 3.0, -3.0]]], dtype="float32")
    >>> logits = np.stack([margins, np.zeros_like(margins)], axis=-1)
    >>> print(f"{float(metric(np.array([[[0, 0, 1]], [[0, 0, 1]]]), logits)):.3f}")
    1.000
    """

    def __init__(
        self,
        eps: float,
        num_classes: int,
        *,
        class_groups: Sequence[Sequence[int]] | None = None,
        name: str = "certified_mean_iou",
        **kwargs: Any,
    ) -> None:
        self.num_classes = check_integer("num_classes", num_classes, minimum=2)
        classes = one_of_each(
            counted_classes(num_classes, kwargs.get("ignore_class")),
            check_class_groups(class_groups, num_classes),
        )
        super().__init__(eps, classes, class_groups=class_groups, name=name, **kwargs)

    def check_classes(self, num_classes: int) -> None:
        if label_count(num_classes) != self.num_classes:
            raise ValueError(
                f"`num_classes` must be that of the logits, {label_count(num_classes)}. "
                f"{received(num_classes=self.num_classes)}"
            )

    def result(self) -> Tensor:
        return to_float32_below(mean_over_classes(self.class_values()[:, None])[0])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes}
