"""Data, a curve over it, and what a curve should hold, in exact arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from deel_seg.certificates.callbacks import CertificateCurve
from tests.certificates.exact import SLACK, SMALLEST, image, share_left
from tests.certificates.metrics.example import LOGITS, VOID_LABELS

EPS = [0.1, 0.5]
# The batches have different sizes, and image 3 no pixel that counts.
DATA = [(LOGITS[:4], VOID_LABELS[:4]), (LOGITS[4:], VOID_LABELS[4:])]


def curve_over(data: Any = DATA, **options: Any) -> CertificateCurve:
    """A curve that shares its compiled functions with those of other tests."""
    return CertificateCurve(
        data, **{"eps": EPS, "ignore_class": 255, "lipschitz_constant": 1.0, **options}
    )


def exact_shares(labels: Any, eps: float, constant: Any = 1, **options: Any) -> list[Fraction]:
    """Exact worst case of each image with a pixel that counts: of accuracy, or of stability."""
    budget = Fraction(eps) * Fraction(constant)
    shares = []
    for i, reference in enumerate(labels):
        kept = VOID_LABELS[i] != 255
        if kept.any():
            whole = image(LOGITS[i], reference, mask=kept, **options)
            shares.append(share_left(whole, budget))
    return shares


def mean(values: Sequence[Fraction]) -> Fraction:
    return sum(values, Fraction(0)) / len(values)


def assert_curve_sound(columns: dict[str, list[Any]], constant: float = 1.0) -> None:
    """No certified mean is above the exact one, nor much below."""
    for name, labels in (("crpa", VOID_LABELS), ("crs", [None] * len(LOGITS))):
        for eps, value in zip(columns["eps"], columns[name], strict=True):
            assert Fraction(value) <= mean(exact_shares(labels, eps, constant)), "too much"
            wider = constant * (1 + SLACK) + float(SMALLEST)
            loose = mean(exact_shares(labels, eps, Fraction(wider)))
            assert Fraction(value) > loose - Fraction(1, 2**23), "far too little"


def exact_accuracy() -> Fraction:
    """Mean over images of the share of right pixels."""
    pairs = [
        (predicted[kept] == labels[kept])
        for predicted, labels in zip(LOGITS.argmax(-1), VOID_LABELS, strict=True)
        if (kept := labels != 255).any()
    ]
    return mean([Fraction(int(right.sum()), right.size) for right in pairs])


def exact_mean_iou() -> Fraction:
    """Mean of the class IoUs of the data set."""
    kept = VOID_LABELS != 255
    predicted, labels = LOGITS.argmax(-1)[kept], VOID_LABELS[kept]
    return mean(
        [
            Fraction(
                int(((predicted == k) & (labels == k)).sum()),
                int(((predicted == k) | (labels == k)).sum()),
            )
            for k in range(3)
        ]
    )


def is_float_below(value: float, exact: Fraction) -> bool:
    """Whether a float is not above an exact value, and within three roundings to float32."""
    return exact * (1 - Fraction(3, 2**24)) - Fraction(1, 2**24) <= Fraction(value) <= exact


def is_nan(values: Any) -> bool:
    return all(math.isnan(value) for value in np.ravel(values))
