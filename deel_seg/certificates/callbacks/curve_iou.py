"""The certified IoUs of a curve, which are of the whole data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from deel_seg.certificates.class_groups import Groups, one_of_each
from deel_seg.certificates.class_ids import check_class_ids, counted_classes
from deel_seg.certificates.data_set_iou import Surpluses, batch_surpluses
from deel_seg.certificates.data_set_iou_sums import added, class_values, mean_over_classes
from deel_seg.certificates.inputs import check_inputs
from deel_seg.certificates.pixels import label_count
from deel_seg.certificates.rounding import to_float32_below

Tensor = Any


def surpluses_of_all_classes(
    logits: Tensor,
    labels: Tensor,
    eps: Tensor,
    counts: Tensor,
    class_groups: Groups | None,
    **options: Any,
) -> Surpluses:
    """The sums of a batch, for every class or group of classes that is not left out.

    Args:
        logits: `(batch, H, W, classes)`.
        labels: `(batch, H, W)`, integers.
        eps: `(budgets,)`.
        counts: `(batch,)` bool: images in which a pixel counts.
        class_groups: For each class the least class of its group.
        **options: As `check_inputs` takes them.
    """
    inputs = check_inputs(logits, labels, None, **options)
    classes = _counted(logits.shape[-1], options["ignore_class"], class_groups)
    class_ids, weights = ops.convert_to_tensor(classes, "int32"), ops.cast(counts, "float32")
    return batch_surpluses(
        *inputs.tensors, class_ids, eps, weights, class_groups=class_groups, **inputs.static
    )


def _counted(num_classes: int, ignore_class: int | None, class_groups: Groups | None) -> list[int]:
    """Classes that are not left out, the first of each group."""
    return one_of_each(counted_classes(label_count(num_classes), ignore_class), class_groups)


class CurveIoU:
    """Adds up the sums of batches.

    Args:
        class_ids: Classes whose IoU is told beside the mean over all.
        ignore_class: Label of the pixels left out.

    A class that is not the first of its group stands for the group.
    """

    def __init__(self, class_ids: Sequence[int], ignore_class: int | None) -> None:
        self.class_ids = class_ids
        self.ignore_class = ignore_class
        self._rows: list[int] = []
        self._sums: Surpluses | None = None

    def check(self, num_classes: int, class_groups: Groups | None) -> None:
        """Raises where a class to tell about is none of the model's."""
        counted = _counted(num_classes, self.ignore_class, class_groups)
        if self.class_ids:
            check_class_ids(
                self.class_ids,
                num_classes=num_classes,
                ignore_class=self.ignore_class,
                class_groups=class_groups,
            )
        groups = range(label_count(num_classes)) if class_groups is None else class_groups
        rows = {groups[class_id]: row for row, class_id in enumerate(counted)}
        self._rows = [rows[groups[class_id]] for class_id in self.class_ids]

    def update(self, sums: Surpluses) -> None:
        """Adds the sums of a batch."""
        self._sums = sums if self._sums is None else added(self._sums, sums)

    def result(self) -> list[list[float]]:
        """For each budget the mean over the classes; and then each of the classes asked for."""
        if self._sums is None:
            return []
        values = class_values(self._sums)
        mean, by_class = (
            ops.convert_to_numpy(to_float32_below(bound)).tolist()
            for bound in (mean_over_classes(values), values)
        )
        return [mean, *(by_class[row] for row in self._rows)]
