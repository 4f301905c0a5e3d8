"""Seconds of one image: certified by a constant, and by SegCertify."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from benchmarks.reference_smoothing import certify_pixel_by_pixel
from deel_seg._inference import compiled_inference
from deel_seg.certificates import worst_case_pixel_accuracy
from deel_seg.smoothing import SegCertify, probability_for

ROWS = 64  # Rows of an image whose pixels are tested one by one, at most.


def median_seconds(function: Callable[[], Any], turns: int) -> float:
    """Median of the seconds of a call, after one that is not timed."""
    function()
    seconds = []
    for _ in range(turns):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def certificate_seconds(
    model: keras.Model, images: Any, labels: Any, *, eps: float, turns: int
) -> float:
    """Median seconds of a forward pass and CRPA."""
    infer, images = compiled_inference(model), ops.convert_to_tensor(images)
    labels = ops.convert_to_tensor(labels)
    constant = model.lipschitz_constant

    def certify() -> Any:
        bound = worst_case_pixel_accuracy(
            infer(images), labels, eps=eps, lipschitz_constant=constant, ignore_class=255
        )
        return ops.convert_to_numpy(bound)

    return median_seconds(certify, turns)


def smoothing_seconds(
    smoothing: SegCertify, images: Any, eps: float, *, turns: int
) -> dict[str, float]:
    """Seconds of sampling, of the statistics, and of the published statistics."""
    counts = smoothing.sample(images)
    return {
        "sampling": median_seconds(lambda: smoothing.sample(images), min(turns, 3)),
        "statistics": median_seconds(lambda: smoothing.certify(counts, eps=eps), turns),
        "published": _published_seconds(smoothing, ops.convert_to_numpy(images)[0], eps),
    }


def _published_seconds(smoothing: SegCertify, image: np.ndarray, eps: float) -> float:
    """Of a large image a part is timed."""
    infer = compiled_inference(smoothing.model)
    rows = min(ROWS, len(image))
    generator = np.random.default_rng(0)
    predictions = []
    for _ in range(smoothing.first_samples + smoothing.samples):
        noise = smoothing.sigma * generator.standard_normal(image.shape, "float32")
        logits = infer(ops.convert_to_tensor((image + noise)[None]))
        predictions.append(ops.convert_to_numpy(ops.argmax(logits[0, :rows], axis=-1)))
    start = time.perf_counter()
    certify_pixel_by_pixel(
        np.stack(predictions), smoothing.first_samples,
        probability_for(eps, smoothing.sigma), smoothing.alpha,
    )  # fmt: skip
    return (time.perf_counter() - start) * len(image) / rows
