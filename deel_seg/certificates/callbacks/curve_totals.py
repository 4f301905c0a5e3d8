"""A whole curve of certified values over a data set, batch by batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from keras import ops
from numpy.typing import NDArray

from deel_seg._backend import accumulation_dtype, compiled, segment_sum
from deel_seg._checks import received
from deel_seg.certificates.callbacks.curve_iou import CurveIoU, surpluses_of_all_classes
from deel_seg.certificates.class_groups import check_class_groups, group_of
from deel_seg.certificates.data_set_iou import Surpluses
from deel_seg.certificates.pixel_accuracy import worst_case_pixel_accuracy
from deel_seg.certificates.pixels import (
    certifiable_images,
    integer_labels,
    kept_pixels,
    label_count,
    named_class,
    predicted_class,
)
from deel_seg.certificates.rounding import count_dtype, ratio_below
from deel_seg.certificates.stability import stability_radius, worst_case_stability

Tensor = Any


class CurveOptions(NamedTuple):
    """What is certified: the budgets, the shares of `stability@q`, and the options of all."""

    eps: tuple[float, ...]
    fractions: tuple[Fraction, ...]
    p: float
    ignore_class: int | None
    logit_tolerance: float
    certified_iou: bool = False
    class_ids: tuple[int, ...] = ()  # Classes whose certified IoU is told beside the mean.
    class_groups: tuple[tuple[int, ...], ...] | None = None


class Curve(NamedTuple):
    """Means over the images of a data set, IoUs apart, which are of the data set."""

    pixel_accuracy: float
    mean_iou: float
    crpa: list[float]
    crs: list[float]
    stability: list[float]
    images: int
    skipped: int
    certified_ious: list[list[float]]  # The mean over classes, and each of the `class_ids`.


class _Measured(NamedTuple):
    values: Tensor  # (batch, 1 + 2 len(eps) + len(fractions)), NaN where undefined
    empty: Tensor  # (batch,) bool: no pixel counts
    class_pixels: Tensor  # (3, classes): right predictions, labels, predictions of a group
    valid: Tensor  # bool: every image with a pixel that counts could be read
    named: Tensor  # bool: all labels that count name a class
    surpluses: Surpluses | None  # of all classes, where their IoU is certified


def _measure(
    logits: Tensor,
    labels: Tensor,
    eps: Tensor,
    lipschitz_constant: Tensor,
    *,
    fractions: tuple[Fraction, ...],
    ignore_class: int | None,
    certified_iou: bool,
    class_groups: tuple[tuple[int, ...], ...] | None,
    logit_tolerance: float,
    p: float,
) -> _Measured:
    # One compiled function around all certificates reads the logits once for those that take the
    # same margins; and within a graph, logits that are not finite give NaN and no error.
    labels, num_classes = integer_labels(labels), logits.shape[-1]
    kept = kept_pixels(labels, None, ignore_class)
    groups = check_class_groups(class_groups, num_classes)
    labelled = group_of(labels, groups)
    predicted = ops.cast(predicted_class(logits, num_classes), labels.dtype)
    predicted = group_of(predicted, groups)
    right = ops.logical_and(kept, ops.equal(predicted, labelled))
    valid = certifiable_images(logits, labels, kept, num_classes)
    accuracy = ops.where(valid, ratio_below(_pixels(right), _pixels(kept)), math.nan)
    options: dict[str, Any] = {
        "lipschitz_constant": lipschitz_constant,
        "ignore_class": ignore_class,
        "logit_tolerance": logit_tolerance,
        "p": p,
    }
    columns = [
        accuracy[:, None],
        worst_case_pixel_accuracy(logits, labels, eps=eps, class_groups=class_groups, **options),
        worst_case_stability(logits, labels=labels, eps=eps, class_groups=class_groups, **options),
        *[
            stability_radius(
                logits, labels=labels, fraction=fraction, class_groups=class_groups, **options
            )[:, None]
            for fraction in fractions
        ],
    ]
    empty = ops.logical_not(ops.any(kept, axis=(1, 2)))
    named = ops.logical_or(named_class(labels, num_classes), ops.logical_not(kept))
    chosen = ((labelled, right), (labelled, kept), (predicted, kept))
    return _Measured(
        values=ops.concatenate(columns, axis=-1),
        empty=empty,
        class_pixels=ops.stack([_by_class(*pair, label_count(num_classes)) for pair in chosen]),
        valid=ops.all(ops.logical_or(valid, empty)),
        named=ops.all(named),
        surpluses=surpluses_of_all_classes(
            logits, labels, eps, ops.logical_not(empty), groups, **options
        )
        if certified_iou
        else None,
    )


def _pixels(chosen: Tensor) -> Tensor:
    return ops.sum(ops.cast(chosen, count_dtype()), axis=(1, 2))


def _by_class(classes: Tensor, chosen: Tensor, num_classes: int) -> Tensor:
    """Chosen pixels of each class, `(num_classes,)`; all are left out whose class is not one."""
    counted = ops.logical_and(chosen, classes < num_classes)
    segments = ops.reshape(ops.cast(ops.where(counted, classes, -1), "int32"), (-1,))
    return segment_sum(ops.ones_like(segments), segments, num_classes)


_STATIC = (
    "fractions",
    "p",
    "ignore_class",
    "logit_tolerance",
    "certified_iou",
    "class_groups",
)
_compiled_measure = compiled(_measure, static_argnames=_STATIC)


class CurveTotals:
    """Collects one value an image and certificate, and takes means that are never too large.

    Args:
        options: What is certified.
        lipschitz_constant: Proved upper bound of the map from image to logits.
    """

    def __init__(self, options: CurveOptions, lipschitz_constant: float) -> None:
        self.options = options
        wide = accumulation_dtype()
        self._eps = ops.convert_to_tensor(np.asarray(options.eps, wide), wide)
        self._constant = ops.convert_to_tensor(np.asarray(lipschitz_constant, wide), wide)
        self._values: list[NDArray[Any]] = []
        self._skipped = 0
        self._class_pixels: NDArray[Any] | int = 0
        self._all_valid = True
        self._iou = CurveIoU(options.class_ids, options.ignore_class)

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Adds a batch of logits `(batch, H, W, classes)` and labels `(batch, H, W)`."""
        if not ops.is_tensor(logits) or len(logits.shape) != 4:
            raise ValueError(
                "The model must have one output, its logits of shape (batch, height, width, "
                f"classes). {received(shape=getattr(logits, 'shape', type(logits).__name__))}"
            )
        num_classes = logits.shape[-1]
        self._iou.check(num_classes, check_class_groups(self.options.class_groups, num_classes))
        measured = _compiled_measure(
            logits,
            labels,
            self._eps,
            self._constant,
            **{name: getattr(self.options, name) for name in _STATIC},
        )
        values, empty, class_pixels = (ops.convert_to_numpy(part) for part in measured[:3])
        if not bool(measured.named):
            raise ValueError(
                "`data` must hold labels of the model's classes, or of `ignore_class`. "
                f"{received(classes=logits.shape[-1], ignore_class=self.options.ignore_class)}"
            )
        self._values.append(values[~empty])
        self._skipped += int(empty.sum())
        self._class_pixels = self._class_pixels + class_pixels.astype("int64")
        self._all_valid &= bool(measured.valid)
        if measured.surpluses is not None:
            self._iou.update(measured.surpluses)

    def result(self) -> Curve:
        """The means over all images with a pixel that counts; NaN where there is none.

        An image that could not be evaluated is not left out: the mean is NaN too.
        """
        values = np.concatenate(self._values).astype("float64")
        means = [mean_below(column) for column in values.T]
        count = len(self.options.eps)
        return Curve(
            pixel_accuracy=means[0],
            mean_iou=_mean_iou(self._class_pixels) if self._all_valid else math.nan,
            crpa=means[1 : 1 + count],
            crs=means[1 + count : 1 + 2 * count],
            stability=means[1 + 2 * count :],
            images=len(values),
            skipped=self._skipped,
            certified_ious=self._iou.result(),
        )


def mean_below(values: Sequence[float] | NDArray[Any]) -> float:
    """The exact mean, or the float below it; NaN for no values and where one is NaN."""
    numbers = [float(value) for value in values]
    if not numbers or any(math.isnan(number) for number in numbers):
        return math.nan
    # fsum rounds the exact sum once. What it left out is summed again, until that is nothing.
    parts: list[float] = []
    while part := math.fsum([*numbers, *parts]):
        parts.append(-part)
    return _float_below(-sum(map(Fraction, parts), Fraction(0)) / len(numbers))


def _float_below(exact: Fraction) -> float:
    nearest = float(exact)
    return nearest if Fraction(nearest) <= exact else math.nextafter(nearest, -math.inf)


def _mean_iou(class_pixels: Any) -> float:
    """Mean over the groups that appear in labels or predictions, from counts of the data set."""
    shares = [
        Fraction(int(right), int(labelled + predicted - right))
        for right, labelled, predicted in class_pixels.T
        if labelled + predicted > 0
    ]
    return _float_below(sum(shares, Fraction(0)) / len(shares)) if shares else math.nan
