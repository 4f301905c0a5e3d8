"""Measures the named models: size, speed, and how near the observed ratios come to the constant.

    python benchmarks/models.py            all rows, tens of minutes on two cores
    python benchmarks/models.py S M1       some of them

Each row goes to benchmarks/results/models.json as soon as it is there, and a row that is there is
not measured again. `benchmarks/report.py` makes the table of it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import deel_seg

RESULTS = Path(__file__).parent / "results" / "models.json"
CONFIGS = ("S", "M1", "M2", "L", "R")
PIXELS = 64
STEPS = 10
PAIRS = 64
ITERATIONS = 20


def train_some_steps(model: keras.Model, size: int, steps: int, jit_compile: bool) -> float:
    """Trains on drawn shapes; returns the median seconds of a step after the first."""
    model.compile(
        keras.optimizers.AdamW(5e-3, weight_decay=1e-4),
        deel_seg.losses.TemperatureCrossentropy(20.0, ignore_class=255),
        jit_compile=jit_compile,
    )
    batches = deel_seg.data.load(
        "shapes", "train", size, batch_size=2, num_images=2 * steps, augment=True
    )
    seconds = []
    for images, labels in batches:
        start = time.perf_counter()
        loss = model.train_on_batch(images, labels)
        seconds.append(time.perf_counter() - start)
    if not np.isfinite(loss):
        raise RuntimeError(f"The loss of {model.name} is {loss}.")
    return float(np.median(seconds[1:]))


def largest_ratio(model: keras.Model, pairs: int) -> float:
    """Largest change of the logits over that of the image, over pairs near and far, in float64."""
    images, _ = next(iter(deel_seg.data.load("shapes", "test", PIXELS, batch_size=8, num_images=8)))
    images = np.asarray(images)
    generator = np.random.default_rng(0)
    largest = 0.0
    for start in range(0, pairs, len(images)):
        scale = 10.0 ** generator.uniform(-2, 0.5)
        if start % 3:
            change = scale * generator.normal(size=images.shape) / PIXELS
        else:  # smooth changes: those that a network of strided layers lets through best
            change = scale * generator.normal(size=(len(images), 1, 1, 3)) * np.ones_like(images)
        other = (images + change).astype("float32")
        difference = model(other).numpy().astype("float64") - model(images).numpy()
        moved = other.astype("float64") - images
        ratios = np.linalg.norm(difference.reshape(len(images), -1), axis=1)
        largest = max(
            largest, float(np.max(ratios / np.linalg.norm(moved.reshape(len(images), -1), axis=1)))
        )
    return largest


def largest_singular_value(model: keras.Model, iterations: int) -> float:
    """Norm of the Jacobian at a drawn image, by power iteration: a lower estimate."""
    image, _ = next(iter(deel_seg.data.load("shapes", "test", PIXELS, batch_size=1, num_images=1)))

    @tf.function
    def step(direction: Any) -> tuple[Any, Any]:
        with tf.autodiff.ForwardAccumulator(image, direction) as accumulator:
            logits = model(image)
        pushed = accumulator.jvp(logits)
        with tf.GradientTape() as tape:
            tape.watch(image)
            logits = model(image)
        return pushed, tape.gradient(logits, image, pushed)

    direction = tf.random.stateless_normal(image.shape, (0, 0))
    largest = 0.0
    for _ in range(iterations):
        direction = direction / tf.norm(direction)
        pushed, direction = step(direction)
        largest = max(largest, float(np.linalg.norm(pushed.numpy().astype("float64"))))
    return largest


def measure(name: str) -> dict[str, Any]:
    """One row."""
    keras.utils.set_random_seed(0)
    model = deel_seg.LipDeepLabV3(name, num_classes=19)
    row: dict[str, Any] = {
        "parameters": int(sum(np.prod(weight.shape) for weight in model.trainable_weights)),
        "train_step_seconds_64": train_some_steps(model, PIXELS, STEPS, jit_compile=False),
        "lipschitz_constant": model.lipschitz_constant,
        "training_steps": STEPS,
        "pairs": PAIRS,
        "power_iterations": ITERATIONS,
    }
    model.condense()
    row["largest_ratio"] = largest_ratio(model, PAIRS)
    row["largest_singular_value"] = largest_singular_value(model, ITERATIONS)
    if name == "M2":
        image = np.zeros((1, 1024, 1024, 3), "float32")
        start = time.perf_counter()
        logits = model.predict(image, verbose=0)
        row["first_forward_seconds_1024"] = time.perf_counter() - start
        start = time.perf_counter()
        model.predict(image, verbose=0)
        row["forward_seconds_1024"] = time.perf_counter() - start
        if logits.shape != (1, 1024, 1024, 19) or not np.all(np.isfinite(logits)):
            raise RuntimeError("The forward pass at 1024x1024 failed.")
        row["train_step_seconds_256_jit"] = train_some_steps(model, 256, 3, jit_compile=True)
    return row


def main() -> None:
    """Measures what is not there yet."""
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in sys.argv[1:] or CONFIGS:
        if name in rows:
            continue
        print(f"{name} ...", flush=True)
        rows[name] = measure(name)
        print(json.dumps(rows[name], indent=1), flush=True)
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
