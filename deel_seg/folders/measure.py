"""What is certified of one picture: by its logits, whatever its size."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from keras import ops

from deel_seg._backend import compiled
from deel_seg._inference import compiled_inference
from deel_seg.certificates import (
    CertifiedIoUCurve,
    pixel_radius,
    stability_radius,
    worst_case_pixel_accuracy,
    worst_case_stability,
)
from deel_seg.certificates.margins import class_margins
from deel_seg.certificates.pixels import label_count
from deel_seg.certificates.two_best import two_best
from deel_seg.data.dataset_info import VOID
from deel_seg.export import CertifiedPredictor
from deel_seg.folders.batches import at_once
from deel_seg.folders.explored import explored
from deel_seg.folders.stops import budget_stops
from deel_seg.folders.tiles import Tiling, pad

Tensor = Any
Measured = dict[str, np.ndarray]

MAPS = ("predicted", "radius")  # What there is of every pixel.
CURVE = "curve/"  # Before the names of what is added up over all pictures.


class Measure:
    """What the network answers for pictures, and what is certified of them by it.

    What is certified of an image does not depend on where its pixels lie. So they are laid in one
    row, filled up to one of few lengths, and rows up to one number for each length, for which the
    certificates are compiled once.

    Args:
        predictor: The network, its constant and the tolerance of its logits.
        tiling: How images are given to it.
        eps: Budgets.
        fractions: Shares of the pixels of stability radii.
        padding: What images are filled up with, in `[0, 1]`.
        certified_iou: Whether to certify the IoU of each class over all pictures with labels.
        report: Whether to find what a report shows too.
        batch_size: How many pictures are certified together at most; None for `at_once`.
    """

    def __init__(
        self,
        predictor: CertifiedPredictor,
        tiling: Tiling,
        eps: Sequence[float],
        fractions: Sequence[Fraction],
        padding: float,
        *,
        certified_iou: bool = False,
        report: bool = False,
        batch_size: int | None = None,
    ) -> None:
        self._manifest, self._tiling, self._padding = predictor.manifest, tiling, padding
        self._infer = compiled_inference(predictor.network)
        self.num_logits = int(predictor.network.output_shape[-1])
        self.eps, self.fractions = tuple(eps), tuple(fractions)
        self._certified_iou, self._batch_size = certified_iou, batch_size
        self.stops = budget_stops(self.eps, predictor.manifest.input_range) if report else []
        self._budgets = sorted({*self.eps, *self.stops})
        self._certify = compiled(self._certificates, ("constant", "labelled"))

    @property
    def num_classes(self) -> int:
        """How many classes the network tells apart."""
        return label_count(self.num_logits)

    def logits(self, pixels: Sequence[np.ndarray]) -> Tensor:
        """Logits `(pictures, height, width, classes)` of pictures of one size."""
        height, width = pixels[0].shape[:2]
        padded = self._tiling.padded((height, width))
        low, high = self._manifest.input_range
        images = np.stack([pad(each / np.float32(255), padded, self._padding) for each in pixels])
        images = (low + (high - low) * images).astype("float32")
        tiles = self._tiling.tiles(padded)
        if len(tiles) == 1:
            return self._infer(ops.convert_to_tensor(images))[:, :height, :width]
        whole = np.empty((*images.shape[:3], self.num_logits), "float32")
        every = (slice(None),)
        for tile in tiles:
            part = self._infer(ops.convert_to_tensor(images[every + tile.taken]))
            whole[every + tile.written] = ops.convert_to_numpy(part)[every + tile.own]
        return ops.convert_to_tensor(whole[:, :height, :width])

    def certify(self, logits: Tensor, labels: Sequence[np.ndarray | None]) -> list[Measured]:
        """Certifies pictures of one size, where the network runs.

        Args:
            logits: `(pictures, height, width, classes)`, those that the method above returns.
            labels: Of each picture uint8 `(height, width)`, 255 for void, or None.

        Returns:
            Of each picture, by name, what `complete` goes on with.
        """
        found: dict[int, Measured] = {}
        # With labels and without, that is not the same graph.
        for labelled in (False, True):
            chosen = [index for index, each in enumerate(labels) if (each is not None) == labelled]
            if chosen:
                some = logits if len(chosen) == len(labels) else ops.take(logits, chosen, axis=0)
                certified = self._certify_alike(some, [labels[index] for index in chosen])
                found |= zip(chosen, certified, strict=True)
        return [found[index] for index in range(len(labels))]

    def _certify_alike(self, logits: Tensor, labels: Sequence[np.ndarray | None]) -> list[Measured]:
        number, height, width = logits.shape[:3]
        pixels, labelled = height * width, labels[0] is not None
        length = row_length(pixels)
        more = (self._batch_size or at_once((1, length))) - number, length - pixels
        classes = np.zeros((number, 1, pixels), np.int32)
        for row, each in zip(classes, labels, strict=True):
            row[0] = 0 if each is None else each.ravel()
        rows = ops.reshape(logits, (number, 1, pixels, self.num_logits))
        if any(more):
            filled = [(0, max(0, more[0])), (0, 0), (0, more[1])]
            rows = ops.pad(rows, [*filled, (0, 0)])
            classes = np.pad(classes, filled, constant_values=VOID)
        certified = self._certify(
            rows,
            ops.convert_to_tensor(classes) if labelled or more[1] else None,
            constant=self._constant(self._tiling.constant_factor((height, width))),
            labelled=labelled,
        )
        found = {name: ops.convert_to_numpy(value)[:number] for name, value in certified.items()}
        for name in found.keys() & {*MAPS, "second", "margins"}:
            found[name] = found[name].reshape(number, -1)[:, :pixels]
            found[name] = found[name].reshape(number, height, width)
        for name in found.keys() & {"predicted", "second"}:
            found[name] = found[name].astype("uint8" if self.num_classes < 256 else "uint16")
        return [{name: value[index] for name, value in found.items()} for index in range(number)]

    def complete(
        self, found: Measured, logits: Tensor, labels: np.ndarray | None
    ) -> Measured | None:
        """What is known of a picture by its certificates: work of the host, but for an IoU curve.

        Args:
            found: What `certify` returned of it.
            logits: Its `(height, width, classes)`, as given there.
            labels: As given there.

        Returns:
            By name: `predicted` and `radius` `(height, width)`, `size`, `pixels`, `crs` and with
            labels `crpa` `(budgets,)`, the stability radii; with labels `accuracy`, `class_pixels`
            `(3, classes)`, and the state of its IoU curve. None where logits are NaN or infinite:
            nothing is certified then.
        """
        size = found["predicted"].shape
        counted = math.prod(size) if labels is None else int(np.count_nonzero(labels != VOID))
        # In a graph that is all that certificates can say. Left out of a mean it would flatter.
        if counted and np.isnan(found["crs"]).any():
            return None
        found = {**found, "size": np.array(size), "pixels": np.array(counted)}
        if labels is not None:
            found |= self._of_labels(found["predicted"], labels, logits)
        if self.stops:
            constant = self._constant(self._tiling.constant_factor(size))
            found = explored(
                found, labels, self.stops, lipschitz_constant=constant, num_logits=self.num_logits
            )
        return found

    def _constant(self, factor: float) -> float:
        """The network's constant times a factor, rounded up where that rounds."""
        constant = self._manifest.lipschitz_constant
        return constant if factor == 1.0 else math.nextafter(constant * factor, math.inf)

    def _certificates(
        self, logits: Tensor, labels: Tensor | None, *, constant: float, labelled: bool
    ) -> dict[str, Tensor]:
        """Certificates of pixels in a row; those whose label is void do not count."""
        options: dict[str, Any] = {
            "lipschitz_constant": constant,
            "logit_tolerance": self._manifest.logit_tolerance,
            "mask": None if labels is None else ops.not_equal(labels, VOID),
        }
        predicted, second = two_best(logits, self.num_logits)
        found = {
            "predicted": predicted,
            "radius": pixel_radius(logits, **{**options, "mask": None}),
            **self._of_budgets("crs", worst_case_stability(logits, eps=self._budgets, **options)),
        }
        for fraction in self.fractions:
            found[stability_name(fraction)] = stability_radius(logits, fraction=fraction, **options)
        if self.stops:
            found["second"] = second
            found["margins"] = class_margins(
                logits, None, self._manifest.logit_tolerance, self.num_logits
            )
        if labelled:
            shares = worst_case_pixel_accuracy(logits, labels, eps=self._budgets, **options)
            found |= self._of_budgets("crpa", shares)
        return found

    def _of_budgets(self, name: str, shares: Tensor) -> dict[str, Tensor]:
        """What was certified at the budgets of the run, and at the stops of a report."""
        asked = {name: self.eps, f"stop_{name}": self.stops}
        return {
            key: ops.take(shares, [self._budgets.index(each) for each in budgets], axis=-1)
            for key, budgets in asked.items()
            if budgets
        }

    def _of_labels(self, predicted: np.ndarray, labels: np.ndarray, logits: Tensor) -> Measured:
        kept = labels != VOID
        right = kept & (predicted == labels)
        counts = [
            np.bincount(each, minlength=self.num_classes)[: self.num_classes]
            for each in (labels[right], labels[kept], predicted[kept])
        ]
        share = right.sum() / kept.sum() if kept.any() else np.nan
        found = {"accuracy": np.array(share), "class_pixels": np.stack(counts)}
        if self._certified_iou:
            curve = self.curve()
            curve.update(logits[None], ops.convert_to_tensor(labels[None].astype("int32")))
            found |= {f"{CURVE}{name}": value for name, value in curve.get_state().items()}
        return found

    def curve(self) -> CertifiedIoUCurve:
        """The certified IoU over no pictures yet, at the largest constant that any of them has."""
        return CertifiedIoUCurve(
            self.eps,
            self.num_classes,
            lipschitz_constant=self._constant(self._tiling.largest_factor),
            logit_tolerance=self._manifest.logit_tolerance,
            ignore_class=VOID,
        )


def stability_name(fraction: Fraction) -> str:
    """`"stability@50"`: the radius at which that share of the predictions may have changed."""
    return f"stability@{float(100 * fraction):g}"


@functools.cache
def row_length(pixels: int) -> int:
    """The least of 1, 2, 3, 4, 6, 8, 12, ..., that is not below `pixels`.

    Example:
    >>> from deel_seg.folders.measure import row_length
    >>> row_length(512 * 512) == 512 * 512, row_length(500 * 375)
    (True, 196608)
    """
    power = 1 << (pixels - 1).bit_length()
    return 3 * power // 4 if pixels <= 3 * power // 4 else power
