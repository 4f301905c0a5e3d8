"""A model on a data set, against budgets."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from deel_seg._backend import compiled
from deel_seg._checks import check_integer, received
from deel_seg._devices import check_devices, moved
from deel_seg._inference import compiled_inference, inference_of
from deel_seg._lasting_name import lasting_name
from deel_seg.attacks import Attack, AttackSuite
from deel_seg.certificates import CertifiedIoUCurve
from deel_seg.certificates.budgets import check_budgets
from deel_seg.certificates.callbacks.curve_data import batches, check_data
from deel_seg.certificates.callbacks.model_constant import certifying_constant, own_constant
from deel_seg.certificates.objectives import exact_fraction
from deel_seg.evaluation.measuring import Asked, Batch, Measuring, mean_iou
from deel_seg.evaluation.parts import Parts
from deel_seg.evaluation.report import Evaluation
from deel_seg.smoothing import SegCertify

Tensor = Any


def evaluate(
    model: Callable[[Tensor], Tensor],
    data: Any,
    *,
    eps: Sequence[float],
    fractions: Sequence[Any] = (0.5,),
    lipschitz_constant: float | None = None,
    ignore_class: int | None = None,
    positive_class: int | None = None,
    certified_iou: bool = False,
    attacks: Attack | AttackSuite | str | None = None,
    smoothing: SegCertify | None = None,
    smoothing_seeds: Sequence[int] = (0,),
    steps: int | None = None,
    folder: str | os.PathLike[str] | None = None,
    devices: Sequence[str] | None = None,
    verbose: int = 1,
) -> Evaluation:
    """Evaluates a model on a data set: what it does, what is certified, and what attacks do.

    For each image and budget: pixel accuracy, CRPA and CRS, `stability@q`, the certified false
    negative rate, the accuracy under attack, and the share of pixels that smoothing certifies; and
    of the data set the mean IoU, clean and certified. With seconds an image for each of these,
    compilation left out, and how many gradients or forward passes they took.

    Args:
        model: From images to logits: a Keras model, or any function that the backend can compile.
        data: Batches `(images, labels)`, as `CertificateCurve` takes them: images
            `(batch, H, W, channels)`, floats; labels `(batch, H, W)`, integers.
        eps: Budgets in l2, all different.
        fractions: Shares `q` of the stability radii.
        lipschitz_constant: Proved upper bound of the map from image to logits. None takes the
            model's own; where there is none, nothing is certified by it.
        ignore_class: Label of the pixels left out, such as 255 for void.
        positive_class: Class whose false negative rate is certified; None for none.
        certified_iou: Whether to certify the mean IoU over the data set.
        attacks: An attack with a budget, a suite of attacks, or the name of one: `"fast"` or
            `"strong"`. Images have to lie in `[0, 1]` then.
        smoothing: A `SegCertify` of this model, or of one that it is to be compared with.
        smoothing_seeds: Seeds of its noise, one run each: the spread over them is told.
        steps: Batches; None for all.
        folder: Where to keep what was found, batch by batch. Called again with the same model,
            data and arguments, an evaluation that was stopped goes on from there.
        devices: Where to run the model and to certify, such as
            `keras.distribution.list_devices("gpu")`: batches are shared out among them, and a
            Keras model's weights copied there. What is found is the same. None for the device that
            Keras uses; attacks run there in any case, and `SegCertify` has devices of its own.
        verbose: 1 shows a progress bar.

    Returns:
        An `Evaluation`, which prints as a table.

    Raises:
        ValueError: For arguments that are not as described, and for a folder that holds the
            evaluation of something else.

    Example:
    >>> import numpy as np
    >>> import deel_seg
    >>> margins = np.array([[[0.1, 0.2], [0.3, 0.3]]], dtype="float32")
    >>> data = [(np.stack([margins, 0 * margins], axis=-1), np.array([[[0, 0], [0, 1]]]))]
    >>> found = deel_seg.evaluate(lambda x: x, data, eps=[0.0, 0.1], lipschitz_constant=1.0,
    ...                           attacks="fast", verbose=0)
    >>> [row["crpa"] for row in found.rows()]
    [0.75, 0.5]
    """
    asked = _asked(
        model, eps, fractions, lipschitz_constant, ignore_class, positive_class, attacks,
        smoothing, smoothing_seeds,
    )  # fmt: skip
    data, places = check_data(data, steps), _places(model, devices)
    models = {"model": model, **({} if smoothing is None else {"smoothed": smoothing.model})}
    parts = Parts(folder, models, {**_settings(asked), "certified_iou": certified_iou})
    measuring = Measuring(model, places, asked)
    total = steps if steps is not None else (len(data) if hasattr(data, "__len__") else None)
    bar = keras.utils.Progbar(total, verbose=verbose, unit_name="batch")
    for turn in _turns(batches(data, steps), parts, len(places)):
        first, (images, labels, _) = turn[0]
        if certified_iou and asked.constant is not None and measuring.curve is None:
            measuring.curve = _curve(model, images, asked)
        if not first:
            parts.recognise(images)
        if parts.has(first):
            parts.restore(first, measuring, images, labels)
        else:
            found = measuring.measure([batch for _, batch in turn])
            for (index, batch), measured in zip(turn, found, strict=True):
                parts.keep(index, measured, measuring, *batch[:2])
        bar.add(len(turn))
    data_set: dict[str, Any] = {"mean_iou": mean_iou(measuring.class_pixels)}
    if measuring.curve is not None:
        data_set["certified_mean_iou"] = measuring.curve.result().mean_iou.tolist()
    return Evaluation(asked.eps, parts.joined(), data_set, asked.constant, parts.settings)


def _asked(
    model: Any,
    eps: Sequence[float],
    fractions: Sequence[Any],
    constant: float | None,
    ignore_class: int | None,
    positive_class: int | None,
    attacks: Attack | AttackSuite | str | None,
    smoothing: SegCertify | None,
    seeds: Sequence[int],
) -> Asked:
    if isinstance(attacks, str):
        attacks = AttackSuite(attacks)
    if attacks is not None and not isinstance(attacks, (Attack, AttackSuite)):
        raise ValueError(f"`attacks` must be an attack or a suite. {received(attacks=attacks)}")
    if isinstance(attacks, Attack) and attacks.minimal:
        raise ValueError(
            "`attacks` must be an attack with a budget, or a suite. "
            + received(attacks=type(attacks).__name__)
        )
    if smoothing is not None and not isinstance(smoothing, SegCertify):
        raise ValueError(f"`smoothing` must be a SegCertify. {received(smoothing=smoothing)}")
    numbers = tuple(check_integer("smoothing_seeds", seed, minimum=0) for seed in seeds)
    if not numbers:
        raise ValueError(f"`smoothing_seeds` must not be empty. {received(smoothing_seeds=seeds)}")
    if constant is not None or own_constant(model) is not None:
        constant = certifying_constant(model, constant, 2)
    return Asked(
        tuple(check_budgets(eps)),
        tuple(exact_fraction("fractions", each, allow_zero=False) for each in fractions),
        constant,
        None if ignore_class is None else check_integer("ignore_class", ignore_class),
        None if positive_class is None else check_integer("positive_class", positive_class),
        attacks,
        smoothing,
        numbers,
    )


def _settings(asked: Asked) -> dict[str, Any]:
    """What was asked for, to be written and compared."""
    return {
        "eps": list(asked.eps),
        "fractions": [str(each) for each in asked.fractions],
        "lipschitz_constant": asked.constant,
        "ignore_class": asked.ignore_class,
        "positive_class": asked.positive_class,
        "attacks": None if asked.attacks is None else lasting_name(asked.attacks),
        "smoothing": None if asked.smoothing is None else repr(asked.smoothing),
        "smoothing_seeds": list(asked.seeds),
    }


def _inference(model: Any) -> Callable[[Tensor], Tensor]:
    if not isinstance(model, keras.Model):
        return model
    if hasattr(model, "compose_kernels"):
        model.compose_kernels()
    return compiled_inference(model)


def _places(
    model: Any, devices: Sequence[str] | None
) -> list[tuple[str | None, Callable[[Tensor], Tensor]]]:
    """Devices, each with the model as it is called there."""
    infer = _inference(model)
    if devices is None:
        return [(None, infer)]
    names = check_devices(devices)
    if not isinstance(model, keras.Model):
        return [(name, infer) for name in names]
    apply, weights = inference_of(model, movable=True)
    apply = compiled(apply, xla=bool(model.jit_compile))
    return [(name, functools.partial(apply, moved(weights(), name))) for name in names]


def _turns(
    data: Iterator[tuple[Tensor, Tensor]], parts: Parts, count: int
) -> Iterator[list[tuple[int, Batch]]]:
    """Numbered batches, as many at a time as there are places; one that was kept comes alone."""
    waiting: list[tuple[int, Batch]] = []
    number = 0
    for index, pair in enumerate(data):
        images, labels = (ops.convert_to_numpy(part) for part in pair)
        batch = (index, (images, labels, number))
        number += len(images)
        if parts.has(index):
            if waiting:
                yield waiting
            yield [batch]
            waiting = []
            continue
        waiting.append(batch)
        if len(waiting) == count:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def _curve(model: Any, images: np.ndarray, asked: Asked) -> CertifiedIoUCurve:
    classes = _inference(model)(ops.convert_to_tensor(images[:1])).shape[-1]
    return CertifiedIoUCurve(
        asked.eps,
        max(classes, 2),
        lipschitz_constant=asked.constant or 1.0,
        ignore_class=asked.ignore_class,
    )
