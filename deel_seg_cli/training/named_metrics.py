"""Metrics by the names that a settings file gives them."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import keras

from deel_seg._checks import received
from deel_seg.certificates import (
    CRPA,
    CRS,
    CertifiedFNR,
    CertifiedIoU,
    CertifiedMeanIoU,
    FNRRadius,
    PixelAccuracy,
    StabilityRadius,
)

_PLAIN = ("pixel_accuracy", "mean_iou")
_OF_A_BUDGET = ("crpa", "crs", "certified_mean_iou", "certified_iou", "certified_fnr")
_OF_PERCENT = ("stability", "fnr_radius")
_OF_A_CLASS = ("certified_iou", "certified_fnr", "fnr_radius")


def metric_named(
    name: str, *, num_classes: int, ignore_class: int | None, positive_class: int | None = None
) -> keras.metrics.Metric:
    """A metric from its name, such as `pixel_accuracy`, `crpa@0.1` or `stability@50`.

    Args:
        name: `pixel_accuracy` or `mean_iou`; `crpa`, `crs`, `certified_mean_iou`, `certified_iou`
            or `certified_fnr`, each with `@` and a budget; `stability` or `fnr_radius` with `@` and
            percent.
        num_classes: Classes of the data.
        ignore_class: Label of the pixels left out.
        positive_class: Class of `certified_iou`, `certified_fnr` and `fnr_radius`.

    Raises:
        ValueError: If there is no such metric, or a metric of a class is not given one.

    Example:
    >>> from deel_seg_cli.training.named_metrics import metric_named
    >>> metric_named("crpa@0.1", num_classes=5, ignore_class=255).name
    'crpa@0_1'
    """
    kind, _, number = str(name).partition("@")
    known = (
        *_PLAIN, *(f"{each}@EPS" for each in _OF_A_BUDGET),
        *(f"{each}@PERCENT" for each in _OF_PERCENT),
    )  # fmt: skip
    with_number = kind in (*_OF_A_BUDGET, *_OF_PERCENT)
    if (not with_number and name not in _PLAIN) or (with_number and not _is_number(number)):
        raise ValueError(
            f"`objectives` must be among {', '.join(known)}. {received(objectives=name)}"
        )
    if kind in _OF_A_CLASS and positive_class is None:
        raise ValueError(f"`positive_class` must be given for {name}. {received(objectives=name)}")
    if positive_class is not None and not 0 <= positive_class < max(num_classes, 2):
        raise ValueError(
            f"`positive_class` must be a class of the data, below {max(num_classes, 2)}. "
            + received(positive_class=positive_class)
        )
    of_class: Any = positive_class
    share = Fraction(number) / 100 if kind in _OF_PERCENT else None
    common: dict[str, Any] = {"ignore_class": ignore_class, "name": str(name).replace(".", "_")}
    makers: dict[str, Callable[[], keras.metrics.Metric]] = {
        "pixel_accuracy": lambda: PixelAccuracy(**common),
        "mean_iou": lambda: keras.metrics.MeanIoU(num_classes, sparse_y_pred=False, **common),
        "crpa": lambda: CRPA(float(number), **common),
        "crs": lambda: CRS(float(number), **common),
        "certified_mean_iou": lambda: CertifiedMeanIoU(float(number), num_classes, **common),
        "certified_iou": lambda: CertifiedIoU(float(number), of_class, **common),
        "certified_fnr": lambda: CertifiedFNR(float(number), of_class, **common),
        "stability": lambda: StabilityRadius(share, **common),
        "fnr_radius": lambda: FNRRadius(share, of_class, **common),
    }
    return makers[kind]()


def _is_number(text: Any) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
