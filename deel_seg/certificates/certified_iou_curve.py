"""The certified IoU of a data set over a curve of budgets, added up batch by batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops
from numpy.typing import NDArray

from deel_seg._backend import accumulation_dtype
from deel_seg._checks import check_integer, check_real, received
from deel_seg.certificates.budgets import check_budgets
from deel_seg.certificates.class_groups import check_class_groups, one_of_each
from deel_seg.certificates.class_ids import check_class_ids, counted_classes
from deel_seg.certificates.data_set_iou_sums import (
    check_summable_norm,
    class_values,
    mean_over_classes,
)
from deel_seg.certificates.data_set_iou_totals import IoUTotals, compiled_batch_totals
from deel_seg.certificates.inputs import check_inputs, check_labels_given
from deel_seg.certificates.pixels import label_count
from deel_seg.certificates.rounding import to_float32_below


class IoUCurve(NamedTuple):
    """Certified IoU over a data set; NaN for classes that no image is labelled with.

    Attributes:
        eps: The budgets, in the units of the model input, as they were given.
        class_ids: The classes, as they were given.
        iou: `(classes, budgets)` float32 in `[0, 1]`, rounded down.
        mean_iou: `(budgets,)` float32: the mean over the classes that have a value.
        images: `(classes,)` int32: images in which a pixel that counts is labelled with the class.
        num_images: Images in which any pixel counts.
        skipped: Images in which none does.
    """

    eps: tuple[float, ...]
    class_ids: tuple[int, ...]
    iou: NDArray[np.float32]
    mean_iou: NDArray[np.float32]
    images: NDArray[np.int32]
    num_images: int
    skipped: int


class CertifiedIoUCurve:
    r"""Worst-case IoU of each class over a data set, for many budgets in one pass over it.

    The IoU is the one that papers report: one ratio $\sum_x (P_x - i_x) / \sum_x (P_x + j_x)$ over
    all images, each of which is attacked within the budget, and no mean of per-image values. No
    attack of size `eps` on every image brings it below what is certified. Each class is bounded
    on its own, as if the attack were on it alone, so that the mean over classes is a lower bound
    of what one attack can do to all of them.

    The state is of integers: it is equal bit for bit whatever the batches, their order, and the
    parts that are merged, and a long run can be saved and gone on with:

        np.savez("curve.npz", **curve.get_state())
        curve.set_state(np.load("curve.npz"))

    One class is bounded by the exact cost of becoming it; several share a pass over the logits and
    are bounded by the six largest of each pixel, which is seldom less and never more. With
    `class_groups` each group takes passes of its own. In
    `model.fit` see `CertifiedIoU`, `CertifiedMeanIoU` and `CertificateCurve`.

    Args:
        eps: Budgets of the attack of each image, `>= 0`, all different, in the units of the model
            input.
        num_classes: Number of classes; 2 for a single logit.
        class_ids: The classes; `None` takes all but `ignore_class`. With `class_groups` one of each
            group, which stands for it; by default the first.
        lipschitz_constant: Proved upper bound `L > 0` of the map from image to logits, both
            measured in the l_p norm.
        p: Norm of the attack: 1 or 2.
        ignore_class: Label of the pixels left out, such as 255 for void.
        logit_tolerance: How far each logit may be from its exact value; margins shrink by it.
        class_groups: Disjoint groups of class ids that count as one, such as `[(11, 13, 14)]`;
            classes in no group stand alone.

    Raises:
        ValueError: For arguments that are not as described.

    Example:
    Two images with two pixels of class 0 each, one at a time; a budget of 0.8 flips the one of
    margin 1, and a part of the next.

    >>> import numpy as np
    >>> from deel_seg.certificates import CertifiedIoUCurve
    >>> margins = np.array([[[1.0, 2.0, -3.0]], [[2.0, 3.0, -3.0]]], dtype="float32")
    >>> logits = np.stack([margins, np.zeros_like(margins)], axis=-1)
    >>> labels = np.array([[[0, 0, 1]], [[0, 0, 1]]])
    >>> curve = CertifiedIoUCurve([0.0, 0.8], num_classes=2)
    >>> for image in (0, 1):
    ...     curve.update(logits[image : image + 1], labels[image : image + 1])
    >>> curve.result().images.tolist()
    [2, 2]
    >>> [f"{float(value):.2f}" for value in curve.result().mean_iou]
    ['1.00', '0.62']

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Appendix B, Eq. 27-29,
        for one image; the sum over images is described in `deel_seg.certificates.data_set_iou`.
    """

    def __init__(
        self,
        eps: Sequence[float],
        num_classes: int,
        class_ids: Sequence[int] | None = None,
        *,
        lipschitz_constant: float = 1.0,
        p: float = 2,
        ignore_class: int | None = None,
        logit_tolerance: float = 0.0,
        class_groups: Sequence[Sequence[int]] | None = None,
    ) -> None:
        self.eps = tuple(check_budgets(eps))
        self.num_classes = check_integer("num_classes", num_classes, minimum=2)
        if ignore_class is not None:
            ignore_class = check_integer("ignore_class", ignore_class)
        self.ignore_class = ignore_class
        self._groups = check_class_groups(class_groups, num_classes)
        if class_ids is None:
            class_ids = one_of_each(counted_classes(num_classes, ignore_class), self._groups)
        self.class_ids = tuple(
            check_class_ids(
                class_ids,
                num_classes=num_classes,
                ignore_class=ignore_class,
                class_groups=self._groups,
            )
        )
        self.lipschitz_constant = check_real(
            "lipschitz_constant", lipschitz_constant, minimum=0, exclusive_minimum=True
        )
        self.p = check_summable_norm(p)
        self.logit_tolerance = check_real("logit_tolerance", logit_tolerance, minimum=0)
        self._totals = self._nothing()

    def update(self, logits: Any, labels: Any, mask: Any = None) -> None:
        """Adds a batch of images, outside of a graph.

        Args:
            logits: `(batch, height, width, classes)`, floating point, before softmax and before any
                temperature; `classes = 1` is a binary model, whose prediction is `z > 0`.
            labels: `(batch, height, width)`, integer class ids.
            mask: `(batch, height, width)`, bool; pixels outside are left out. `None` keeps all.

        Raises:
            ValueError: For arguments of the wrong shape, type or number of classes, for NaN or
                infinite logits, and for labels that name no class. Nothing is added then.
        """
        check_labels_given(labels)
        inputs = check_inputs(
            logits,
            labels,
            mask,
            lipschitz_constant=self.lipschitz_constant,
            p=self.p,
            ignore_class=self.ignore_class,
            logit_tolerance=self.logit_tolerance,
        )
        if label_count(inputs.static["num_classes"]) != self.num_classes:
            raise ValueError(
                f"`logits` must have {self.num_classes} classes, as `num_classes` says. "
                f"{received(shape=tuple(inputs.tensors[0].shape))}"
            )
        new = inputs.certify(
            compiled_batch_totals,
            ops.convert_to_tensor(self.class_ids, "int32"),
            ops.convert_to_tensor(self.eps, accumulation_dtype()),
            class_groups=self._groups,
        )
        self._totals = self._totals.plus(new)

    def merge(self, other: CertifiedIoUCurve) -> None:
        """Adds the images of another curve, such as one of another process.

        Raises:
            ValueError: If `other` is no curve, or has other options.
        """
        if not isinstance(other, CertifiedIoUCurve):
            raise ValueError(
                f"`other` must be a CertifiedIoUCurve. {received(other=type(other).__name__)}"
            )
        self._check_same("other", other._options())
        self._totals = self._totals.plus(other._totals)

    def result(self) -> IoUCurve:
        """The curve over all images so far."""
        totals = self._totals
        values = class_values(totals.sums)
        iou, mean, images = (
            ops.convert_to_numpy(part)
            for part in (
                to_float32_below(values),
                to_float32_below(mean_over_classes(values)),
                totals.sums.labelled,
            )
        )
        counts = int(totals.num_images), int(totals.skipped)
        return IoUCurve(self.eps, self.class_ids, iou, mean, images, *counts)

    def reset(self) -> None:
        """Forgets all images."""
        self._totals = self._nothing()

    def get_state(self) -> dict[str, NDArray[Any]]:
        """Options and totals as NumPy arrays by name, for `np.savez` or to send elsewhere."""
        options = {name: np.asarray(value) for name, value in self._options().items()}
        return {**options, **self._totals.to_arrays()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `get_state` gave, in place of the images so far.

        Args:
            state: The arrays by name: a dict, or what `np.load` gives.

        Raises:
            ValueError: If something is missing, or is of a curve of other options.
        """
        missing = [name for name in self._options() if name not in state]
        if missing:
            raise ValueError(f"The state must hold `{missing[0]}`. {received(names=sorted(state))}")
        self._check_same(
            "state", {name: np.asarray(state[name]).tolist() for name in self._options()}
        )
        self._totals = IoUTotals.from_arrays(state, len(self.class_ids), len(self.eps))

    def _nothing(self) -> IoUTotals:
        return IoUTotals.of_nothing(len(self.class_ids), len(self.eps))

    def _options(self) -> dict[str, Any]:
        """What two curves must share; the values survive the way to NumPy and back."""
        return {
            "eps": list(self.eps),
            "num_classes": self.num_classes,
            "class_ids": list(self.class_ids),
            "lipschitz_constant": self.lipschitz_constant,
            "p": self.p,
            "ignore_class": [] if self.ignore_class is None else [self.ignore_class],
            "logit_tolerance": self.logit_tolerance,
            "class_groups": list(self._groups or ()),
        }

    def _check_same(self, argument: str, options: dict[str, Any]) -> None:
        for name, value in self._options().items():
            if options[name] != value:
                raise ValueError(
                    f"`{argument}` must be of a curve of the same options, with "
                    f"{name}={value!r}. {received(**{name: options[name]})}"
                )
