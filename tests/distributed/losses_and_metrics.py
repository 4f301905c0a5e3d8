"""Losses, gradients and metrics on one device and on two replicas."""

from __future__ import annotations

import functools
import json
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from deel_seg.certificates import (
    CRPA,
    CertifiedMeanIoU,
    FNRRadius,
    PixelAccuracy,
)
from deel_seg.losses import HKR, CosineSimilarity, TemperatureCrossentropy
from deel_seg.losses import pixel_loss as pixel_loss_module
from tests.distributed.devices import split_processor

RANDOM = np.random.default_rng(0)
logits = RANDOM.normal(size=(5, 6, 6, 3)).astype("float32")
labels = RANDOM.integers(0, 3, size=(5, 6, 6)).astype("int32")
# Accurate enough that a part of each certificate is neither 0 nor 1.
logits += 1.5 * np.eye(3, dtype="float32")[labels]
labels[0, :5] = 255
pixels = RANDOM.uniform(size=(5, 6, 6)).astype("float32")
pixels[3] = 0.0
SPLITS = ((slice(0, 3), slice(3, 5)), (slice(0, 5), slice(5, 5)))


@functools.cache
def two() -> Any:
    """The strategy on both devices."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def replicas(parts: tuple[slice, slice], array: Any) -> Any:
    """An array's parts, one for each replica."""
    return two().experimental_distribute_values_from_function(
        lambda context: tf.constant(array[parts[context.replica_id_in_sync_group]])
    )


def value_and_gradient(loss: Any, logits: Any, *given: Any) -> tuple[Any, Any]:
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = loss(given[0], logits, *given[1:])
    return value, tape.gradient(value, logits)


def on_replicas(loss: Any, parts: tuple[slice, slice], weights: Any) -> tuple[list[Any], Any]:
    given = [labels] if weights is None else [labels, weights]
    arguments = [replicas(parts, array) for array in (logits, *given)]
    # In a graph, as in `fit`: Keras refuses the largest of nothing elsewhere.
    step = tf.function(lambda *each: two().run(value_and_gradient, args=(loss, *each)))
    found = step(*arguments)
    values, gradients = (two().experimental_local_results(part) for part in found)
    return [2 * float(value) for value in values], np.concatenate(gradients)


def compare_losses() -> dict[str, list[float]]:
    """How far values and gradients are off, and how large gradients are, of each loss."""
    common: dict[str, Any] = {"ignore_class": 255}
    losses = {
        "crossentropy": (TemperatureCrossentropy(5.0, **common), None),
        "of pixels": (TemperatureCrossentropy(5.0, **common), pixels),
        "of images": (
            TemperatureCrossentropy(5.0, reduction="mean_with_sample_weight", **common),
            pixels[:, 0, 0] + 0.1,
        ),
        "sum": (TemperatureCrossentropy(5.0, reduction="sum", **common), None),
        "cosine": (CosineSimilarity(**common), pixels),
        "hkr": (HKR(2.0, **common), None),
    }
    found = {}
    for name, (loss, weights) in losses.items():
        given = [labels] if weights is None else [labels, weights]
        value, gradient = value_and_gradient(loss, tf.constant(logits), *given)
        # One of the replicas may have no image; what it shares does not depend on the loss.
        for number, parts in enumerate(SPLITS if name in ("cosine", "hkr") else SPLITS[:1]):
            values, gradients = on_replicas(loss, parts, weights)
            far = np.abs(np.array(values) - float(value)).max() / max(1.0, abs(float(value)))
            off = np.abs(gradients - gradient).max()
            found[f"{name} {number}"] = [float(each) for each in (far, off, np.abs(gradient).max())]
    return found


def broken_loss() -> float:
    """How far the gradient is where each replica takes a mean of its own."""
    loss = TemperatureCrossentropy(5.0, ignore_class=255)
    _, gradient = value_and_gradient(loss, tf.constant(logits), labels)
    kept = pixel_loss_module.replica_sum, pixel_loss_module.num_replicas
    pixel_loss_module.replica_sum, pixel_loss_module.num_replicas = lambda x: x, lambda: 1
    _, found = on_replicas(loss, SPLITS[0], None)
    pixel_loss_module.replica_sum, pixel_loss_module.num_replicas = kept
    return float(np.abs(found - gradient).max())


def metrics() -> list[keras.metrics.Metric]:
    """One of each kind of state: means over pixels, over images, of radii, sums of a data set."""
    common: dict[str, Any] = {"ignore_class": 255}
    certified = {**common, "lipschitz_constant": 1.0}
    return [
        PixelAccuracy(**common),
        PixelAccuracy(average="pixel", name="of_pixels", **common),
        CRPA(0.5, **certified),
        FNRRadius(0.5, 1, **certified),
        CertifiedMeanIoU(0.5, 3, **certified),
    ]


def measured(strategy: Any, passes: int) -> tuple[list[Any], list[list[float]]]:
    """Metrics, and their values after each pass over batches of four images, and of one."""
    with strategy.scope():
        found = metrics()
    data = tf.data.Dataset.from_tensor_slices((logits, labels)).batch(4)
    data = strategy.experimental_distribute_dataset(data)

    def update(logits: Any, labels: Any) -> None:
        for metric in found:
            metric.update_state(labels, logits)

    # From within the graph, as Keras does: there batches have no size known beforehand.
    step = tf.function(lambda iterator: strategy.run(update, args=next(iterator)))
    values = []
    for _ in range(passes):
        for metric in found:
            metric.reset_state()
        iterator = iter(data)
        for _ in range(2):
            step(iterator)
        values.append([float(metric.result()) for metric in found])
    return found, values


def compare_metrics() -> dict[str, list[float]]:
    _, (one,) = measured(tf.distribute.get_strategy(), 1)
    mirrored, (first, second) = measured(two(), 2)
    # What is left if only one of the replicas is read.
    alone = []
    for metric in mirrored:
        for variable in metric.variables:
            if variable.aggregation == "sum":
                variable.assign(2 * variable.value.values[0])
        alone.append(float(metric.result()))
    names = [metric.name for metric in mirrored]
    rows = zip(one, first, second, alone, strict=True)
    return {name: list(row) for name, row in zip(names, rows, strict=True)}


def refusal() -> str:
    metric = CRPA(0.5, lipschitz_constant=1.0, ignore_class=255)
    arguments = [replicas(SPLITS[0], array) for array in (labels, logits)]
    try:
        two().run(metric.update_state, args=arguments)
    except ValueError as error:
        return str(error)
    return "none"


if __name__ == "__main__":
    split_processor()
    print(
        json.dumps(
            {
                "losses": compare_losses(),
                "broken_loss": broken_loss(),
                "metrics": compare_metrics(),
                "refusal": refusal(),
            }
        )
    )
