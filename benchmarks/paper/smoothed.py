"""SegCertify in the experiments: its samples, and how sigma is chosen on held-out images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

import deel_seg
from deel_seg.evaluation import Evaluation
from deel_seg.smoothing import SegCertify, fewest_samples


def segcertify(
    model: keras.Model,
    num_classes: int,
    sigma: float,
    *,
    passes: int,
    alpha: float,
    batch_size: int,
) -> SegCertify:
    """As the paper runs it: a tenth of the passes of an image vote, the others test."""
    voting = passes // 10
    return SegCertify(
        model, num_classes, sigma, first_samples=voting, samples=passes - voting, alpha=alpha,
        batch_size=batch_size,
    )  # fmt: skip


def possible(
    sigmas: Sequence[float], eps: float, *, passes: int, pixels: int, alpha: float
) -> list[float]:
    """The deviations of the noise with which so many passes can certify a pixel at all."""
    testing = passes - passes // 10
    return [
        sigma
        for sigma in sigmas
        if fewest_samples(eps, sigma, pixels=pixels, alpha=alpha) <= testing
    ]


def evaluate_smoothing(
    smoothing: SegCertify,
    data: Any,
    eps: float,
    folder: Path,
    *,
    ignore_class: int,
    seeds: Sequence[int] = (0,),
) -> Evaluation:
    """What SegCertify certifies of a model, kept in a folder batch by batch."""
    return deel_seg.evaluate(
        smoothing.model, data, eps=[eps], ignore_class=ignore_class, smoothing=smoothing,
        smoothing_seeds=seeds, folder=folder, verbose=0,
    )  # fmt: skip


def best_sigma(
    sigmas: Sequence[float], crpa_of: Callable[[float], float]
) -> tuple[float | None, dict[str, float]]:
    """The deviation with the best CRPA on held-out images, and that of each one."""
    found = {sigma: crpa_of(sigma) for sigma in sigmas}
    for sigma, crpa in found.items():
        print(f"    sigma {sigma:g}: {crpa:.3f} on held-out images", flush=True)
    best = max(found, key=lambda sigma: found[sigma], default=None)
    return best, {f"{sigma:g}": crpa for sigma, crpa in found.items()}
