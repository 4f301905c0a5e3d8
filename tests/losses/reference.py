"""The losses in float64 NumPy, pixel by pixel from their formulas, and data to try them on."""

from __future__ import annotations

from typing import Any

import numpy as np

LOGITS = np.random.default_rng(0).normal(size=(3, 4, 5, 4)).astype("float32")
LABELS = np.random.default_rng(1).integers(0, 4, (3, 4, 5)).astype("int32")
VOID_LABELS = np.where(np.random.default_rng(2).random(LABELS.shape) < 0.25, 255, LABELS)
BINARY_LOGITS, BINARY_LABELS = LOGITS[..., :1], LABELS % 2


def crossentropy(logits: np.ndarray, labels: np.ndarray, temperature: float) -> np.ndarray:
    """-log softmax(t z)_y / t of each pixel, labels all valid."""
    scaled = temperature * logits.astype("float64")
    if scaled.shape[-1] == 1:
        scaled = np.concatenate([np.zeros_like(scaled), scaled], -1)
    chosen = np.take_along_axis(scaled, labels[..., None], -1)[..., 0]
    return (np.log(np.exp(scaled).sum(-1)) - chosen) / temperature


def cosine(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """-z_y / |z| of each pixel."""
    wide = logits.astype("float64")
    chosen = np.take_along_axis(wide, labels[..., None], -1)[..., 0]
    return -chosen / np.linalg.norm(wide, axis=-1)


def hkr(
    logits: np.ndarray, labels: np.ndarray, kept: np.ndarray, alpha: float, margin: float
) -> float:
    """Mean loss: difference of the means inside and outside each class, and the hinge."""
    wide, classes = logits.astype("float64")[kept], logits.shape[-1]
    total = 0.0
    for k in range(classes):
        inside = labels[kept] == (1 if classes == 1 else k)
        z = wide[:, k]
        weight = np.where(inside, max(classes - 1, 1), 1)
        hinge = np.mean(weight * np.maximum(0, margin / 2 - np.where(inside, z, -z)))
        total += alpha * hinge - (z[inside].mean() - z[~inside].mean())
    return total / classes


def mean(losses: np.ndarray, kept: np.ndarray, weights: Any = 1.0) -> float:
    """Weighted sum over the kept pixels, over their number."""
    return float((losses * weights * np.ones_like(losses))[kept].sum() / kept.sum())
