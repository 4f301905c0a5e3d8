"""What the certified IoU metrics share: F on its grid, added up over a data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from deel_seg._backend import accumulation_dtype
from deel_seg._checks import check_real
from deel_seg._replicas import check_replicated
from deel_seg.certificates.class_groups import (
    check_class_groups,
    check_group_lists,
    groups_around,
)
from deel_seg.certificates.data_set_iou import GRID, Surpluses, compiled_batch_surpluses
from deel_seg.certificates.data_set_iou_sums import added, check_summable_norm, class_values
from deel_seg.certificates.exact_sum import carried
from deel_seg.certificates.inputs import check_inputs
from deel_seg.certificates.metrics.certified_metric import CertifiedMetric
from deel_seg.certificates.metrics.pixel_weights import image_weights
from deel_seg.certificates.pixels import integer_labels

Tensor = Any


class DataSetIoU(CertifiedMetric):
    """IoU of some classes over a data set whose every image is attacked within the budget.

    The state is of integers: batches, orders and replicas leave no trace in it, and two states
    merge by adding their variables.

    Args:
        eps: Budget of the attack of each image, `>= 0`, in the units of the model input.
        class_ids: The classes, one of each group.
        class_groups: Disjoint groups of class ids that count as one, such as `[(11, 13, 14)]`;
            classes in no group stand alone.
        **kwargs: `lipschitz_constant`, `ignore_class`, `p` (1 or 2), `logit_tolerance`, `name`,
            `dtype`, see `CertifiedMetric`.

    Call arguments:
        y_true: `(batch, H, W)` or `(batch, H, W, 1)`, class ids.
        y_pred: `(batch, H, W, classes)`, logits.
        sample_weight: A weight between 0 and 1 for each image, `(batch,)`; or 0 and 1 over
            pixels, `(batch, H, W)`, of which the zeros are left out.
    """

    # Keras' own metrics carry it too; `monitor=` with `mode="auto"` looks for it.
    _direction = "up"

    def __init__(
        self,
        eps: float,
        class_ids: list[int],
        *,
        class_groups: Sequence[Sequence[int]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.class_groups = None if class_groups is None else check_group_lists(class_groups)
        self.eps = check_real("eps", eps, minimum=0)
        check_summable_norm(self.p)
        self.class_ids = class_ids
        classes = len(class_ids)
        self.surplus = self.add_variable(
            (3, classes, 1, GRID + 1), "zeros", dtype="int32", name="surplus"
        )
        self.labelled = self.add_variable((classes,), "zeros", dtype="int32", name="labelled")
        self.bad = self.add_variable((), "zeros", dtype="int32", name="bad")
        self.skipped = self.add_variable((), "zeros", dtype="int32", name="skipped")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        check_replicated(self.surplus, f"Metric `{self.name}`")
        labels = integer_labels(y_true)
        mask, weights, empty = image_weights(labels, self.ignore_class, sample_weight)
        inputs = check_inputs(y_pred, labels, mask, **self._options())
        self.check_classes(inputs.static["num_classes"])
        groups = check_class_groups(self.class_groups, inputs.static["num_classes"])
        if all(groups_around(class_id, groups) is None for class_id in self.class_ids):
            groups = None
        new = compiled_batch_surpluses(
            *inputs.tensors,
            ops.convert_to_tensor(self.class_ids, "int32"),
            ops.convert_to_tensor([self.eps], accumulation_dtype()),
            weights,
            class_groups=groups,
            **inputs.static,
        )
        for variable, total in zip(self._state(), added(self._sums(), new), strict=True):
            variable.assign(total)
        self.skipped.assign(self.skipped + ops.sum(ops.cast(empty, "int32")))

    def check_classes(self, num_classes: int) -> None:
        """Raises where the logits do not have the classes of the metric."""

    def class_values(self) -> Tensor:
        """Certified IoU of each class, `(classes,)`; NaN for one that no image is labelled with."""
        sums = self._sums()
        # Replicas have sums of their own, which are added up, limb by limb, when they are read.
        return class_values(sums._replace(limbs=carried(sums.limbs)))[:, 0]

    def _sums(self) -> Surpluses:
        return Surpluses(*(ops.convert_to_tensor(variable) for variable in self._state()))

    def _state(self) -> tuple[Any, ...]:
        return self.surplus, self.labelled, self.bad

    def get_config(self) -> dict[str, Any]:
        groups = self.class_groups
        groups = None if groups is None else [list(group) for group in groups]
        return {**super().get_config(), "eps": self.eps, "class_groups": groups}
