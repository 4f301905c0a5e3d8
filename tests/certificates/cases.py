"""Logits that certificates may stumble over, small enough for exact arithmetic."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest


def adversarial_logits() -> dict[str, np.ndarray]:
    """Name to float32 logits `(1, H, W, K)`."""
    generator = np.random.default_rng(7)
    square = (1, 4, 4)  # One shape for most cases, so that few of them compile anew.
    one_large = np.full((1, 16, 16, 1), 0.1)
    one_large[0, 3, 3] = 1e4
    return {
        "random": generator.normal(size=(*square, 3)),
        "ties": generator.integers(0, 2, (*square, 3)),
        "zero": np.zeros((*square, 3)),
        "huge": 3e38 * generator.uniform(-1, 1, (*square, 3)),
        "cancelling": 1e4 + 1e-2 * generator.normal(size=(*square, 3)),
        "one class": np.tile([2.0, 0.0, -1.0], (*square, 1)),
        "mixed scales": 10.0 ** generator.uniform(-30, 30, (*square, 3)),
        "subnormal": 1e-40 * generator.normal(size=(*square, 3)),
        # Half of the smallest normal number: flushed to zero, its margin would double.
        "beside subnormal": np.tile([2.0**-126, 2.0**-127, -1.0], (*square, 1)),
        "nineteen classes": generator.normal(size=(1, 3, 4, 19)),
        "binary": generator.normal(size=(*square, 1)),
        "binary zero": np.tile([[0.0], [-0.0], [1.0], [-1.0]], (1, 4, 1, 1)),
        "one pixel": np.array([[[[0.5, 0.25]]]]),
        "one large among small": one_large * np.array([1.0, 0.0]),
    }


CASES = {name: np.asarray(logits, "float32") for name, logits in adversarial_logits().items()}


# Each is of a shape that no other case has, and a norm other than 2 makes any case one.
OWN_SHAPES = {"nineteen classes", "binary zero", "one pixel", "one large among small"}


def of_shared_shapes(parameters: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Parameters `(case, p, ...)`: on one backend only those that need a program of their own.

    For a certificate that shares its passes with another one, which is tried with all of them.
    """
    return [
        pytest.param(*given, marks=pytest.mark.one_backend)
        if given[0] in OWN_SHAPES or given[1] != 2
        else given
        for given in parameters
    ]


def in_a_corner(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A few pixels of two classes in an image of the common shape, where all others are void.

    A third class stands below both. Of the common shape nothing has to be compiled anew.
    """
    pixels = logits.reshape(-1, 2)
    image = np.zeros((1, 16, 3), "float32")
    image[0, : len(pixels)] = np.column_stack([pixels, pixels.min(axis=1) - 1])
    void = np.full((1, 16), 255, "int32")
    void[0, : len(pixels)] = labels.ravel()
    return image.reshape(1, 4, 4, 3), void.reshape(1, 4, 4)


def labels_for(logits: np.ndarray, seed: int = 0, ignore: int | None = None) -> np.ndarray:
    """Labels `(1, H, W)` that mostly agree with the prediction, some of them `ignore`."""
    generator = np.random.default_rng(seed)
    binary = logits.shape[-1] == 1
    predicted = (logits[..., 0] > 0) if binary else logits.argmax(-1)
    random = generator.integers(0, max(2, logits.shape[-1]), predicted.shape)
    labels = np.where(generator.random(predicted.shape) < 0.8, predicted, random).astype("int32")
    if ignore is not None:
        labels[generator.random(labels.shape) < 0.2] = ignore
    return labels
