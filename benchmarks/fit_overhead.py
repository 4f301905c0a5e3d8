"""Times training steps with and without the certified metrics.

    python benchmarks/fit_overhead.py              about ten minutes on two cores
    python benchmarks/fit_overhead.py --size 32 --blocks 2 --steps 2 --out FILE

Two equal models, one compiled with the metrics and one without, train in `model.fit` by turns of a
few steps. As their difference is within the noise of a step, the update of the metrics is timed
alone as well. The file goes to benchmarks/results.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

import deel_seg  # noqa: E402
from benchmarks.machine import describe_machine  # noqa: E402
from deel_seg import certificates  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "fit_overhead.json"
METRICS: dict[str, dict[str, Any]] = {
    "CRPA": {"eps": 0.1},
    "CRS": {"eps": 0.1},
    "StabilityRadius": {},
    "CertifiedIoU": {"eps": 0.1, "class_id": 1},
}


class StepSeconds(keras.callbacks.Callback):
    """Seconds of each training step."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.seconds.append(time.perf_counter() - self.start)


def build_metrics() -> list[keras.metrics.Metric]:
    """The metrics that exist."""
    metrics = []
    for name, values in METRICS.items():
        if not hasattr(certificates, name):
            print(f"deel_seg.certificates has no {name}: left out.", file=sys.stderr)
            continue
        metrics.append(getattr(certificates, name)(**values))
    return metrics


def build_model(
    num_classes: int, metrics: list[keras.metrics.Metric], jit_compile: bool
) -> keras.Model:
    """Config S, compiled as examples/train.py does."""
    keras.utils.set_random_seed(0)
    model = deel_seg.LipDeepLabV3("S", num_classes=num_classes)
    model.compile(
        keras.optimizers.AdamW(5e-3, weight_decay=1e-4),
        deel_seg.losses.TemperatureCrossentropy(20.0, ignore_class=255),
        metrics=metrics,
        jit_compile=jit_compile,
    )
    return model


def draw_batches(size: int, batch_size: int, count: int) -> tf.data.Dataset:
    """Batches of drawn shapes, kept in memory."""
    batches = deel_seg.data.load(
        "shapes", "train", size, batch_size=batch_size, num_images=batch_size * count
    )
    images, labels = (np.stack(parts) for parts in zip(*batches.as_numpy_iterator(), strict=True))
    return tf.data.Dataset.from_tensor_slices((images, labels)).repeat()


def fit(model: keras.Model, batches: tf.data.Dataset, steps: int) -> list[float]:
    """Trains some steps; the first of a call to `fit`, which sets things up, is not reported."""
    seconds = StepSeconds()
    model.fit(batches, steps_per_epoch=steps + 1, shuffle=False, verbose=0, callbacks=[seconds])
    return seconds.seconds[1:]


def update_seconds(
    model: keras.Model, metrics: list[keras.metrics.Metric], batch: Any, repeats: int
) -> list[float]:
    """Times the update of the metrics on the logits of a batch, in a graph as `fit` does."""
    images, labels = batch
    logits = model(images)

    @tf.function
    def update() -> None:
        for metric in metrics:
            metric.update_state(labels, logits)

    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        update()
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def summary(values: Any) -> dict[str, float]:
    """Median and quartiles."""
    lower, median, upper = np.quantile(values, [0.25, 0.5, 0.75])
    return {"median": float(median), "lower": float(lower), "upper": float(upper)}


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Trains both models by turns."""
    num_classes = deel_seg.data.info("shapes").num_classes
    metrics = build_metrics()
    batches = draw_batches(arguments.size, arguments.batch_size, 4)
    certified = build_model(num_classes, metrics, arguments.jit_compile)
    plain = build_model(num_classes, [], arguments.jit_compile)
    for model in (certified, plain):
        fit(model, batches, 1)
    with_metrics, without = [], []
    for block in range(arguments.blocks):
        turns = [(certified, with_metrics), (plain, without)]
        for model, seconds in turns if block % 2 else reversed(turns):
            seconds += fit(model, batches, arguments.steps)
        print(f"block {block + 1} of {arguments.blocks}", file=sys.stderr, flush=True)
    updates = update_seconds(certified, metrics, next(iter(batches)), 4 * arguments.steps)
    return {
        "machine": describe_machine("tensorflow"),
        "metrics": [type(metric).__name__ for metric in metrics],
        "size": arguments.size,
        "batch_size": arguments.batch_size,
        "jit_compile": arguments.jit_compile,
        "pairs": len(without),
        "ratio": summary(np.divide(with_metrics, without)),
        "step": summary(without),
        "update": summary(updates),
    }


def main() -> None:
    """Measures and writes the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--size", type=int, default=128)
    add("--batch-size", type=int, default=8)
    add("--blocks", type=int, default=12, help="turns of each model")
    add("--steps", type=int, default=5, help="training steps of a turn")
    add("--jit-compile", action="store_true", help="XLA: slower on CPUs")
    add("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    result = measure(arguments)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
