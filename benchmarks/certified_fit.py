"""A training in `model.fit` that reports CRPA and stability@50, on whatever device there is.

    python benchmarks/certified_fit.py                       minutes on two cores
    KERAS_BACKEND=jax python benchmarks/certified_fit.py     where JAX has a GPU, on that

Config S on drawn shapes, which NumPy alone draws: TensorFlow is not needed. Writes
benchmarks/results/certified_fit_BACKEND.json; `benchmarks/report_performance.py` makes the table.
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

import deel_seg  # noqa: E402
from benchmarks.machine import describe_machine  # noqa: E402
from deel_seg.certificates import CRPA, PixelAccuracy, StabilityRadius  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
EPS = 0.1


class EpochSeconds(keras.callbacks.Callback):
    """Seconds of each epoch, its validation included."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.seconds.append(time.perf_counter() - self.start)


def draw(split: str, count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Images in [0, 1] and labels."""
    drawn = [deel_seg.data.shapes.render(index, size, split=split) for index in range(count)]
    images, labels = (np.stack(parts) for parts in zip(*drawn, strict=True))
    return (images / 255.0).astype("float32"), labels.astype("int32")


def measure(size: int, batch_size: int, images: int, epochs: int) -> list[dict[str, float]]:
    """What `model.fit` reports after each epoch, and its seconds."""
    keras.utils.set_random_seed(0)
    train, validation = draw("train", images, size), draw("val", images // 4, size)
    info = deel_seg.data.info("shapes")
    common = {"ignore_class": info.ignore_class}
    model = deel_seg.LipDeepLabV3("S", num_classes=info.num_classes)
    model.compile(
        keras.optimizers.AdamW(5e-3, weight_decay=1e-4),
        deel_seg.losses.TemperatureCrossentropy(20.0, **common),
        metrics=[PixelAccuracy(**common), CRPA(EPS, **common), StabilityRadius(0.5, **common)],
    )
    clock = EpochSeconds()
    history = model.fit(
        *train,
        batch_size=batch_size,
        epochs=epochs,
        validation_data=validation,
        validation_batch_size=batch_size,
        callbacks=[clock],
        verbose=2,
    ).history
    rows = [
        dict(zip(history, map(float, values), strict=True))
        for values in zip(*history.values(), strict=True)
    ]
    return [{**row, "seconds": taken} for row, taken in zip(rows, clock.seconds, strict=True)]


def main() -> None:
    """Trains, and writes down what was reported."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--size", type=int, default=128)
    add("--batch-size", type=int, default=8)
    add("--images", type=int, default=256)
    add("--epochs", type=int, default=5)
    backend = keras.backend.backend()
    add("--out", type=Path, default=RESULTS / f"certified_fit_{backend}.json")
    arguments = parser.parse_args()
    asked = {
        "size": arguments.size,
        "batch_size": arguments.batch_size,
        "images": arguments.images,
        "epochs": arguments.epochs,
    }
    rows = measure(**asked)
    found = {"machine": describe_machine(backend), "backend": backend, **asked, "history": rows}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
