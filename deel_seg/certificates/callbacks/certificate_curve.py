"""A callback that certifies validation data over many budgets, each epoch."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import keras

from deel_seg._checks import check_choice, check_integer, check_real, received
from deel_seg._inference import compiled_inference
from deel_seg._replicas import is_chief
from deel_seg.certificates.budgets import check_budgets
from deel_seg.certificates.callbacks.curve_board import CurveBoard
from deel_seg.certificates.callbacks.curve_columns import column_names, scalars, table
from deel_seg.certificates.callbacks.curve_data import batches, check_data
from deel_seg.certificates.callbacks.curve_logs import CurveFile
from deel_seg.certificates.callbacks.curve_totals import CurveOptions, CurveTotals
from deel_seg.certificates.callbacks.model_constant import (
    certifying_constant,
    constant_by_design,
)
from deel_seg.certificates.callbacks.radius_pictures import radius_maps
from deel_seg.certificates.class_groups import check_group_lists
from deel_seg.certificates.data_set_iou_sums import check_summable_norm
from deel_seg.certificates.objectives import exact_fraction


class CertificateCurve(keras.callbacks.Callback):
    """Certifies validation data over a whole curve of budgets at the end of each epoch.

    One pass of the model over `data` gives clean pixel accuracy, mIoU, CRPA and CRS at every
    budget, and the stability radii. Means are over the images with a pixel that counts, and never
    above the exact mean; a NaN or infinite logit makes them NaN. They go

    - into the logs, under the names `val_pixel_accuracy`, `val_mean_iou`, `val_crpa@0_1`,
      `val_crs@0_1` (for `eps=0.1`), `val_stability@50` and `val_lipschitz_constant`, for callbacks
      that come after this one in the list. A name that the logs hold already, from a metric given
      to `compile`, keeps its value there. Keras' own callbacks know the direction of those
      metrics only and need `mode="max"` for the others; `CertifiedCheckpoint` does not;
    - into a CSV file, one row an epoch (counted from 0, as Keras' `CSVLogger` does) and budget. A
      resumed run goes on in the same file, and an epoch that is run again replaces its rows and
      those of later epochs;
    - into TensorBoard, at the epoch as its step, in float32 on the safe side: the same values; the
      curve as a picture, if matplotlib is installed; and of the first images the radius of each
      pixel, from 0 (dark) to the largest budget (bright), and the pixels that are certified at
      `image_eps`, each alone. TensorFlow backend only; others are refused. The folder may be that
      of `keras.callbacks.TensorBoard`, and a resumed run goes on in it as in the CSV file.

    Of several workers (`tf.distribute.MultiWorkerMirroredStrategy`) each one makes the curve, of
    the `data` that it is given, and the chief alone writes it.

    Args:
        data: Batches `(images, labels)` for the model, with labels `(batch, H, W)` of integer
            class ids: a `tf.data.Dataset` as `deel_seg.data.load` gives, a list of NumPy batches,
            a `keras.utils.PyDataset`; no generator, which is spent after one pass.
        eps: Budgets `>= 0` in the units of the model input, all different.
        fractions: Shares `q` of the stability radii, as `stability_radius` takes them.
        every: Epochs from one curve to the next. The first epoch of a `fit` and the last one
            planned have one in any case.
        lipschitz_constant: Proved upper bound of the map from image to logits. `None` takes the
            model's own, anew at each curve.
        ignore_class: Label of the pixels left out, such as 255 for void.
        p: Norm of the attack: 1, 2 or `inf`. A model's own constant is one for 2.
        logit_tolerance: How far each logit may be from its exact value.
        certified_iou: Whether to certify the IoU over the data set at every budget too, as
            `CertifiedMeanIoU` does: `val_certified_mean_iou@0_1`, the mean over the classes that
            some image is labelled with. For p = 1 or 2. The cost grows with the number of
            classes, hardly with that of budgets: for 11 at 128x128 about 0.8 of config S itself.
        class_ids: Classes whose certified IoU is reported too, as `val_certified_iou_3@0_1`; with
            `class_groups` one of each group at most, which stands for it.
        class_groups: Disjoint groups of class ids that count as one in all of this, clean values
            and pictures included, such as `[(11, 13, 14)]`; classes in no group stand alone.
        steps: Batches in a pass; `None` takes all there are.
        csv_path: The CSV file. `None` writes none.
        tensorboard: Folder of TensorBoard's event files. `None` writes none.
        num_images: Images in TensorBoard, the first of each pass.
        image_eps: Budget of their certified pixels; by default the first of `eps`.
        prefix: What the names in the logs begin with.

    Attributes:
        curve: The last curve as a dict of columns, those of the CSV file, each a list with one
            entry a budget; empty before the first.

    Raises:
        ValueError: For arguments that are not as described. At the beginning of `fit` and at each
            curve, if the Lipschitz constant is neither given nor known to the model, or the one
            given is below the model's. At a curve, if `data` has no batch, or labels that name no
            class, or if the CSV file holds something else.

    Example:
    >>> import keras, numpy as np
    >>> from deel_seg.certificates import CertificateCurve
    >>> inputs = keras.Input((None, None, 2))
    >>> model = keras.Model(inputs, keras.layers.Activation("linear")(inputs))
    >>> margins = np.array([[[1.0, 2.0], [3.0, 3.0]]], dtype="float32")
    >>> data = [(np.stack([margins, 0 * margins], axis=-1), np.array([[[0, 0], [0, 1]]]))]
    >>> curve = CertificateCurve(data, eps=[0.0, 1.0, 2.0], lipschitz_constant=1.0)
    >>> curve.evaluate(model)["crpa"]
    [0.75, 0.5, 0.25]
    """

    def __init__(
        self,
        data: Any,
        eps: Sequence[float],
        *,
        fractions: Sequence[Any] = (0.5,),
        every: int = 1,
        lipschitz_constant: float | None = None,
        ignore_class: int | None = None,
        p: float = 2,
        logit_tolerance: float = 0.0,
        certified_iou: bool = False,
        class_ids: Sequence[int] = (),
        class_groups: Sequence[Sequence[int]] | None = None,
        steps: int | None = None,
        csv_path: str | os.PathLike[str] | None = None,
        tensorboard: str | os.PathLike[str] | None = None,
        num_images: int = 3,
        image_eps: float | None = None,
        prefix: str = "val_",
    ) -> None:
        super().__init__()
        budgets = check_budgets(eps)
        shares = [exact_fraction("fractions", share, allow_zero=False) for share in fractions]
        if ignore_class is not None:
            ignore_class = check_integer("ignore_class", ignore_class)
        if lipschitz_constant is not None:
            check_real("lipschitz_constant", lipschitz_constant, minimum=0, exclusive_minimum=True)
        self.steps = None if steps is None else check_integer("steps", steps, minimum=1)
        self.data = check_data(data, self.steps)
        self.every = check_integer("every", every, minimum=1)
        self.lipschitz_constant = lipschitz_constant
        self.options = CurveOptions(
            eps=tuple(budgets),
            fractions=tuple(dict.fromkeys(shares)),
            p=check_choice("p", p, (1, 2, float("inf"))),
            ignore_class=ignore_class,
            logit_tolerance=check_real("logit_tolerance", logit_tolerance, minimum=0),
            certified_iou=certified_iou,
            class_ids=_check_classes(class_ids, certified_iou),
            class_groups=None
            if class_groups is None
            else tuple(map(tuple, check_group_lists(class_groups))),
        )
        if certified_iou:
            check_summable_norm(p)
        self.num_images = check_integer("num_images", num_images, minimum=0)
        self.image_eps = (
            budgets[0] if image_eps is None else check_real("image_eps", image_eps, minimum=0)
        )
        self.prefix = prefix
        self.curve: dict[str, list[Any]] = {}
        self._radii: list[Any] = []
        self._inference: Callable[[Any], Any] | None = None
        self._compiled_constant: float | None = None
        self._first_epoch: int | None = None
        columns = ["epoch", *column_names(self.options)]
        self._file = None if csv_path is None else CurveFile(csv_path, columns)
        top = max(budgets) or 1.0
        self._board = (
            None
            if tensorboard is None
            else CurveBoard(tensorboard, prefix=prefix, top=top, eps=self.image_eps)
        )

    def evaluate(self, model: keras.Model) -> dict[str, list[Any]]:
        """The curve of a model, which becomes `curve`; nothing is written anywhere."""
        self.set_model(model)
        self._certify()
        return self.curve

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        self._inference = None  # What was compiled may be of another model, or of other options.

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._first_epoch = None
        certifying_constant(self.model, self.lipschitz_constant, self.options.p)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._first_epoch is None:
            self._first_epoch = epoch
            if self._file is not None:
                self._file.rows_before(epoch)  # Better refused now than after an epoch.

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        ends = epoch == self._first_epoch or epoch + 1 == (self.params or {}).get("epochs")
        if epoch % self.every and not ends:
            return
        values = self._certify()
        for name, value in values.items():
            if logs is not None:
                logs.setdefault(name, value)
        if not is_chief(self.model):
            return
        if self._file is not None:
            self._file.write(epoch, _rows(self.curve))
        if self._board is not None:
            self._board.write(epoch, values, self.curve, self._radii)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._board is not None:
            self._board.close()

    def _certify(self) -> dict[str, float]:
        """Passes over the data; keeps the columns, and returns the values by name in the logs."""
        # A deel-lip model has the second only; ours would divide its kernels there.
        for method in ("compose_kernels", "condense"):
            if callable(getattr(self.model, method, None)):
                getattr(self.model, method)()
                break
        constant = certifying_constant(self.model, self.lipschitz_constant, self.options.p)
        # A factor set by hand moves the constant, and a compiled model holds it as a number.
        design = constant_by_design(self.model)
        if self._inference is None or design != self._compiled_constant:
            self._inference, self._compiled_constant = compiled_inference(self.model), design
        totals, self._radii = CurveTotals(self.options, constant), []
        names = ("p", "ignore_class", "logit_tolerance", "class_groups")
        shared = {name: getattr(self.options, name) for name in names}
        for images, labels in batches(self.data, self.steps):
            logits = self._inference(images)
            totals.update(logits, labels)
            missing = self.num_images - len(self._radii)
            if self._board is not None and missing > 0:
                self._radii.extend(radius_maps(logits, labels, constant, **shared)[:missing])
        result = totals.result()
        self.curve = table(self.options, result, constant)
        return scalars(self.options, result, constant, self.prefix)


def _check_classes(class_ids: Any, certified_iou: bool) -> tuple[int, ...]:
    # Of how many classes they are is not known before the first logits.
    classes = tuple(check_integer("class_ids", class_id, minimum=0) for class_id in class_ids)
    if classes and not certified_iou:
        raise ValueError(f"`class_ids` needs certified_iou=True. {received(class_ids=class_ids)}")
    return classes


def _rows(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
