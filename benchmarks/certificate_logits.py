"""Logits and labels to time the certificates on, like those of a trained network."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

CELL = 32  # pixels between the values that a smooth field is drawn at
SHARPNESS = 4.0  # of the fields over the noise: most pixels have a clear winner
AGREEMENT = 0.85  # of prediction and label
_ROWS = 64  # rows drawn at once, so that drawing needs little memory beside the result


class Drawn(NamedTuple):
    """What all candidates are called with, and what follows from it."""

    logits: np.ndarray  # (batch, height, width, classes) float32, aligned for XLA
    labels: np.ndarray  # (batch, height, width) int32
    class_id: int  # the most frequent label
    budget: float  # what an attack needs to make the most uncertain quarter of image 0 wrong


def draw(
    size: tuple[int, int], classes: int, batch: int, *, kind: str = "smooth", seed: int = 0
) -> Drawn:
    """Draws logits that are `"smooth"` over the image, or `"iid"`, and labels that mostly agree.

    Smooth fields give regions with narrow uncertain borders, and wrong pixels that come in
    patches; noise a hundred times smaller keeps the margins from being alike.
    """
    if kind not in ("smooth", "iid"):
        raise ValueError(f"`kind` must be 'smooth' or 'iid'. Received: kind={kind!r}")
    generator = np.random.default_rng(seed)
    logits = _aligned_empty((batch, *size, classes))
    labels = np.empty((batch, *size), "int32")
    for image, image_labels in zip(logits, labels, strict=True):
        _fill(image, image_labels, kind, generator)
    best_two = np.concatenate(
        [np.partition(rows, -2, axis=-1)[..., -2:].reshape(-1, 2) for rows in _chunks(logits[0])]
    )
    margins = np.sort((best_two[:, 1] - best_two[:, 0]).astype("float64"))
    budget = np.sqrt(np.sum(margins[: len(margins) // 4] ** 2) / 2)
    return Drawn(logits, labels, int(np.argmax(np.bincount(labels[0].ravel()))), float(budget))


def _fill(image: np.ndarray, labels: np.ndarray, kind: str, generator: np.random.Generator) -> None:
    height, width, classes = image.shape
    noise = 0.04 if kind == "smooth" else 1.0
    fields = SHARPNESS * _grid(height, width, classes, generator) if kind == "smooth" else None
    for start, rows in zip(range(0, height, _ROWS), _chunks(image), strict=True):
        generator.standard_normal(out=rows, dtype="float32")
        rows *= noise
        if fields is not None:
            rows += _upsampled(fields, start, rows.shape[:2])
        labels[start : start + _ROWS] = rows.argmax(-1)
    wrongness = generator.random((height, width))
    if kind == "smooth":
        wrongness = _upsampled(_grid(height, width, 1, generator), 0, (height, width))[..., 0]
    wrong = wrongness > np.quantile(wrongness, AGREEMENT)
    labels[wrong] = (labels[wrong] + 1) % classes


def _grid(height: int, width: int, classes: int, generator: np.random.Generator) -> np.ndarray:
    shape = (height // CELL + 2, width // CELL + 2, classes)
    return generator.standard_normal(shape, dtype="float32")


def _upsampled(grid: np.ndarray, start: int, shape: tuple[int, int]) -> np.ndarray:
    """Some rows of the bilinear interpolation of a grid."""
    down, down_part = _position(start, shape[0])
    across, across_part = _position(0, shape[1])
    rows = grid[down] * (1 - down_part[:, None, None]) + grid[down + 1] * down_part[:, None, None]
    columns = across_part[:, None]
    return rows[:, across] * (1 - columns) + rows[:, across + 1] * columns


def _position(start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    at = np.arange(start, start + count)
    return at // CELL, ((at % CELL) / CELL).astype("float32")


def _chunks(image: np.ndarray) -> list[np.ndarray]:
    return [image[start : start + _ROWS] for start in range(0, len(image), _ROWS)]


def _aligned_empty(shape: tuple[int, ...], alignment: int = 64) -> np.ndarray:
    """Memory that TensorFlow can take over as it is: a copy of the largest would not fit."""
    size = 4 * int(np.prod(shape))
    raw = np.empty(size + alignment, "uint8")
    start = -raw.ctypes.data % alignment
    return raw[start : start + size].view("float32").reshape(shape)
