"""SegCertify in the experiments: its samples, and how sigma is chosen on held-out images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import keras

import deel_seg
from deel_seg.evaluation import Evaluation
from deel_seg.smoothing import SegCertify, fewest_samples

Choice = TypeVar("Choice")


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


def best_choice(
    choices: Sequence[Choice], crpa_of: Callable[[Choice], float]
) -> tuple[Choice | None, list[tuple[Choice, float]]]:
    """What gives the best CRPA on images that are not reported, and that of every choice."""
    found = []
    for choice in choices:
        crpa = crpa_of(choice)
        print(f"    {choice}: {crpa:.3f} on images that are not reported", flush=True)
        found.append((choice, crpa))
    best = max(found, key=lambda pair: pair[1], default=None)
    return None if best is None else best[0], found
