"""What is measured of a batch."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops, tree

from deel_seg._backend import compiled
from deel_seg._checks import received
from deel_seg._devices import on_device
from deel_seg.attacks import Attack, AttackSuite
from deel_seg.certificates import (
    CertifiedIoUCurve,
    stability_radius,
    worst_case_fnr,
    worst_case_pixel_accuracy,
    worst_case_stability,
)
from deel_seg.certificates.pixels import predicted_class
from deel_seg.smoothing import SegCertify

Tensor = Any
Measured = dict[str, np.ndarray]
Batch = tuple[np.ndarray, np.ndarray, int]  # Images, labels, and the number of the first image.


class Asked(NamedTuple):
    """What is asked for."""

    eps: tuple[float, ...]
    fractions: tuple[Any, ...]
    constant: float | None
    ignore_class: int | None
    positive_class: int | None
    attacks: Attack | AttackSuite | None
    smoothing: SegCertify | None
    seeds: tuple[int, ...]


class Measuring:
    """Measures batches of one model.

    Args:
        model: From images to logits.
        places: Devices that take turns, each with the model as it is called there; None is the
            device that Keras uses.
        asked: What is asked for.
    """

    def __init__(
        self,
        model: Callable[[Tensor], Tensor],
        places: Sequence[tuple[str | None, Callable[[Tensor], Tensor]]],
        asked: Asked,
    ) -> None:
        self.model, self.places, self.asked = model, places, asked
        self._certify = compiled(self._certificates)
        self._warm: set[Any] = set()  # What was compiled for: shapes, and the place of each.
        self.curve: CertifiedIoUCurve | None = None
        # Of each class: pixels predicted rightly, labelled, and predicted; 0 before any batch.
        self.class_pixels: np.ndarray = np.zeros((3, 1), "int64")

    def measure(self, turn: Sequence[Batch]) -> Iterator[Measured]:
        """All that is asked for, of each image of some batches, one for each place at most.

        Passes and certificates of all of them are under way together. The sums are, after each
        batch, those up to it.
        """
        total = sum(len(images) for images, _, _ in turn)
        met = {(place, images.shape) for place, (images, _, _) in enumerate(turn)}
        is_warm = met <= self._warm
        self._warm |= met
        logits, seconds = _timed(lambda: self._everywhere(self._logits, turn), is_warm)
        found: list[Measured] = [{"forward_seconds": np.array(seconds / total)} for _ in turn]
        if self.asked.constant is not None:
            labelled = [(each, labels) for each, (_, labels, _) in zip(logits, turn, strict=True)]
            values, seconds = _timed(lambda: self._everywhere(self._certified, labelled), is_warm)
            for each, certified in zip(found, values, strict=True):
                each |= {name: ops.convert_to_numpy(value) for name, value in certified.items()}
                each["certificate_seconds"] = np.array(seconds / total)
        for place, batch in enumerate(turn):
            yield self._measured(batch, logits[place], found[place], self.places[place][0])

    def _everywhere(self, function: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
        """What a function returns at each place; none is waited for before the next one starts."""
        results = []
        for (device, infer), each in zip(self.places, arguments, strict=False):
            with on_device(device):
                results.append(function(infer, *each))
        return results

    def _logits(self, infer: Callable[[Tensor], Tensor], images: np.ndarray, *_: Any) -> Tensor:
        return infer(ops.convert_to_tensor(images))

    def _certified(self, _: Any, logits: Tensor, labels: np.ndarray) -> dict[str, Tensor]:
        return self._certify(logits, ops.convert_to_tensor(labels))

    def _measured(self, batch: Batch, logits: Tensor, found: Measured, device: Any) -> Measured:
        """What was found of a batch, with all the rest that is asked for."""
        (images, labels, number), asked = batch, self.asked
        found = {
            name: np.full(len(images), value) if name.endswith("_seconds") else value
            for name, value in found.items()
        }
        predicted = ops.convert_to_numpy(predicted_class(logits, logits.shape[-1]))
        kept = np.ones(labels.shape, bool)
        if asked.ignore_class is not None:
            kept = labels != asked.ignore_class
        _check_labels(labels, kept, max(logits.shape[-1], 2))
        self._count_classes(predicted, labels, kept, max(logits.shape[-1], 2))
        found = {"accuracy": _share((predicted == labels) & kept, kept), **found}
        if self.curve is not None:
            self._add_to_curve(self.curve, logits, labels, device)
        if asked.attacks is not None:
            found |= self._attacked(asked.attacks, images, labels, number)
        if asked.smoothing is not None:
            found |= self._smoothed(asked.smoothing, images, labels, number)
        return found

    def _add_to_curve(
        self, curve: CertifiedIoUCurve, logits: Tensor, labels: np.ndarray, device: str | None
    ) -> None:
        part = copy.copy(curve)
        part.reset()
        with on_device(device):
            part.update(logits, ops.convert_to_tensor(labels))
        if device is not None:  # By way of the host: no device adds what is another's.
            part.set_state(part.get_state())
        curve.merge(part)

    def _certificates(self, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        asked = self.asked
        options: dict[str, Any] = {
            "lipschitz_constant": asked.constant,
            "ignore_class": asked.ignore_class,
        }
        eps = list(asked.eps)
        found = {
            "crpa": worst_case_pixel_accuracy(logits, labels, eps=eps, **options),
            "crs": worst_case_stability(logits, labels=labels, eps=eps, **options),
        }
        for fraction in asked.fractions:
            name = f"stability@{float(100 * fraction):g}"
            found[name] = stability_radius(logits, labels=labels, fraction=fraction, **options)
        if asked.positive_class is not None:
            found["certified_fnr"] = worst_case_fnr(
                logits, labels, positive_class=asked.positive_class, eps=eps, **options
            )
        return found

    def _attacked(
        self, attack: Attack | AttackSuite, images: np.ndarray, labels: np.ndarray, number: int
    ) -> Measured:
        eps, start = self.asked.eps, time.perf_counter()
        options: dict[str, Any] = {"ignore_class": self.asked.ignore_class, "seed": number}
        if isinstance(attack, AttackSuite):
            results = attack.curve(self.model, images, labels, eps=eps, **options)
        else:
            results = [attack(self.model, images, labels, eps=each, **options) for each in eps]
        seconds = time.perf_counter() - start
        # The envelope of all: a smaller budget's point is one within a larger budget too.
        envelope = results[0].envelope
        for result in results[1:]:
            envelope = envelope.merged(result.envelope)
        passes = max(result.evaluations for result in results)
        return {
            "attacked_accuracy": envelope.accuracy(list(eps)),
            "attack_seconds": np.full(len(images), seconds / len(images)),
            "attack_gradients": np.full(len(images), float(passes)),
        }

    def _smoothed(
        self, smoothing: SegCertify, images: np.ndarray, labels: np.ndarray, number: int
    ) -> Measured:
        asked, found, taken = self.asked, [], []
        start = time.perf_counter()
        for seed in asked.seeds:
            counts = smoothing.sample(images, eps=asked.eps, seed=seed, first_image=number)
            certified = [smoothing.certify(counts, eps=budget) for budget in asked.eps]
            found.append(
                np.stack(
                    [c.accuracy(labels, ignore_class=asked.ignore_class) for c in certified], 1
                )
            )
            taken.append(smoothing.first_samples + counts.taken)
        seconds = (time.perf_counter() - start) / len(images) / len(asked.seeds)
        return {
            "smoothed_crpa": np.stack(found, axis=-1),
            "smoothing_seconds": np.full(len(images), seconds),
            "smoothing_passes": np.mean(taken, axis=0),
        }

    def _count_classes(
        self, predicted: np.ndarray, labels: np.ndarray, kept: np.ndarray, classes: int
    ) -> None:
        chosen = (labels[kept & (predicted == labels)], labels[kept], predicted[kept])
        counts = np.stack([np.bincount(each, minlength=classes)[:classes] for each in chosen])
        self.class_pixels = self.class_pixels + counts


def mean_iou(class_pixels: np.ndarray) -> float:
    """Mean IoU over the classes that are labelled or predicted somewhere."""
    right, labelled, predicted = class_pixels
    union = labelled + predicted - right
    present = union > 0
    return float(np.mean(right[present] / union[present])) if present.any() else float("nan")


def _check_labels(labels: np.ndarray, kept: np.ndarray, classes: int) -> None:
    # In a compiled certificate such a label can only make it NaN.
    wrong = labels[kept & ((labels < 0) | (labels >= classes))]
    if len(wrong):
        raise ValueError(
            f"The labels of `data` must name one of {classes} classes, or be `ignore_class`. "
            + received(labels=np.unique(wrong)[:8].tolist())
        )


def _share(chosen: np.ndarray, kept: np.ndarray) -> np.ndarray:
    counted = kept.sum((1, 2))
    return np.where(counted > 0, chosen.sum((1, 2)) / np.maximum(counted, 1), np.nan)


def _timed(function: Callable[[], Any], is_warm: bool) -> tuple[Any, float]:
    """What a function returns, and seconds of a call that compiles nothing."""
    if not is_warm:
        _wait(function())
    start = time.perf_counter()
    result = function()
    _wait(result)
    return result, time.perf_counter() - start


def _wait(result: Any) -> None:
    for part in tree.flatten(result):
        ops.convert_to_numpy(part)
