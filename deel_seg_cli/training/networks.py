"""The network, loss and metrics of a training."""

from __future__ import annotations

from typing import Any

import keras

import deel_seg
from deel_seg._fitting import cosine_adamw
from deel_seg.certificates import CRPA, CRS, PixelAccuracy, StabilityRadius
from deel_seg.losses import HKR, CosineSimilarity, TemperatureCrossentropy
from deel_seg_cli.training.settings import TrainingSettings


def loss_of(settings: TrainingSettings) -> keras.losses.Loss:
    """The loss asked for."""
    common: dict[str, Any] = {"ignore_class": settings.info().ignore_class}
    if settings.loss == "cosine":
        return CosineSimilarity(**common)
    if settings.loss == "hkr":
        return HKR(settings.alpha, settings.min_margin, **common)
    return TemperatureCrossentropy(settings.temperature, **common)


def network_of(settings: TrainingSettings, steps: int) -> keras.Model:
    """A compiled model for so many steps an epoch."""
    info = settings.info()
    model = settings.network()
    common: dict[str, Any] = {"ignore_class": info.ignore_class}
    metrics: list[keras.metrics.Metric] = [PixelAccuracy(**common)]
    if isinstance(model, deel_seg.LipschitzModel):
        metrics.append(CRPA(settings.monitor_eps, **common))
    model.compile(
        cosine_adamw(settings.learning_rate, settings.epochs * steps, settings.weight_decay),
        loss_of(settings),
        metrics=metrics,
        jit_compile=settings.jit_compile or "auto",
    )
    return model


def compile_for_test(model: keras.Model, settings: TrainingSettings) -> None:
    """Gives a model the metrics and certificates of the test."""
    info = settings.info()
    common: dict[str, Any] = {"ignore_class": info.ignore_class}
    metrics: list[keras.metrics.Metric] = [PixelAccuracy(**common)]
    if info.num_classes > 1:
        metrics.append(
            keras.metrics.MeanIoU(info.num_classes, sparse_y_pred=False, name="mean_iou", **common)
        )
    if isinstance(model, deel_seg.LipschitzModel):
        metrics += [StabilityRadius(0.5, **common)]
        for eps in settings.eps:
            suffix = f"{eps:g}".replace(".", "_")  # Keras' format strings take no dot in a name.
            metrics += [
                CRPA(eps, name=f"crpa@{suffix}", **common),
                CRS(eps, name=f"crs@{suffix}", **common),
            ]
    model.compile(
        loss=loss_of(settings), metrics=metrics, jit_compile=settings.jit_compile or "auto"
    )
