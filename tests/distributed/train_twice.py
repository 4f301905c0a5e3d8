"""Trains a network on one device and on two, and prints how far they are from each other."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

import deel_seg
from deel_seg.certificates import (
    CRPA,
    CertificateCurve,
    CertifiedCheckpoint,
    LipschitzMonitor,
    PixelAccuracy,
)
from deel_seg.layers import batch_centering
from deel_seg.losses import TemperatureCrossentropy
from tests.distributed.devices import split_processor

IS_TENSORFLOW = keras.backend.backend() == "tensorflow"
# Batches of four: on two replicas the last of nine leaves one of them without an image. JAX shares
# out whole batches only.
IMAGES = 9 if IS_TENSORFLOW else 8
RANDOM = np.random.default_rng(0)
images = RANDOM.uniform(size=(IMAGES, 8, 8, 3)).astype("float32")
labels = RANDOM.integers(0, 3, size=(IMAGES, 8, 8)).astype("int32")
# What the replicas see differs in its mean, and in its number of pixels.
images[:2] += 1.0
labels[0, :6] = 255
labels[4] = 255


@functools.cache
def mirrored() -> Any:
    """The strategy on both devices."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def two_devices() -> Any:
    """Scope of a model on both devices."""
    if IS_TENSORFLOW:
        return mirrored().scope()
    return keras.distribution.DataParallel(devices=keras.distribution.list_devices("cpu")).scope()


def compiled_model() -> keras.Model:
    model = deel_seg.LipFCN({"widths": [4], "convolutions": 1}, 3)
    common = {"ignore_class": 255}
    model.compile(
        # No optimiser that divides by the size of gradients, which would make zeros of rounding.
        keras.optimizers.SGD(0.5, momentum=0.9),
        TemperatureCrossentropy(5.0, **common),
        metrics=[PixelAccuracy(**common), CRPA(0.1, **common)],
        jit_compile=not IS_TENSORFLOW,
    )
    return model


def fitted(scope: Any, folder: Path | None) -> tuple[Any, dict[str, list[float]]]:
    """A trained model and its history; with a folder also under all callbacks, and validated."""
    keras.utils.set_random_seed(0)
    callbacks: list[Any] = []
    options: dict[str, Any] = {}
    if folder is not None:
        pairs = [(images[i : i + 4], labels[i : i + 4]) for i in range(0, IMAGES, 4)]
        callbacks = [
            CertificateCurve(pairs, eps=[0.0, 0.1], ignore_class=255, csv_path=folder / "c.csv"),
            LipschitzMonitor(),
            CertifiedCheckpoint(folder / "best.keras", "val_crpa@0_1"),
        ]
        options = {"validation_data": (images, labels), "validation_batch_size": 4}
    with scope:
        model = compiled_model()
        found = model.fit(
            images, labels, batch_size=4, epochs=2, shuffle=False, verbose=0,
            callbacks=callbacks, **options,
        )  # fmt: skip
    history = {name: each for name, each in found.history.items() if "seconds" not in name}
    return model, history


def arrays(variables: list[Any]) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


def weights(model: keras.Model) -> list[np.ndarray]:
    """All that a model keeps, moving means and the optimiser's state too."""
    return arrays([*model.variables, *model.optimizer.variables])


def distance(first: list[Any], second: list[Any]) -> float:
    pairs = zip(first, second, strict=True)
    return max(float(np.max(np.abs(np.asarray(a) - np.asarray(b)))) for a, b in pairs)


def compare(folder: Path) -> dict[str, Any]:
    folders = [folder / "one", folder / "two"]
    for each in folders:
        each.mkdir()
    one, expected = fitted(contextlib.nullcontext(), folders[0])
    two, history = fitted(two_devices(), folders[1])
    again = gone_on(folders[1] / "best.keras")
    records = [json.loads((each / "best.keras.json").read_text()) for each in folders]
    keras.utils.set_random_seed(0)
    starts = compiled_model().trainable_variables
    # JAX has one global batch, and no replicas.
    broken = distance(weights(one), weights(without_replica_sum())) if IS_TENSORFLOW else None
    return {
        "broken": broken,
        "names": sorted(history) == sorted(expected),
        "history": {name: distance(expected[name], history[name]) for name in expected},
        "weights": distance(weights(one), weights(two)),
        "moved": distance(arrays(starts), arrays(one.trainable_variables)),
        "resumed": again[0],
        "epochs": [record["epoch"] for record in records],
        "iterations": again[1],
    }


def gone_on(path: Path) -> tuple[float | None, int]:
    """How far two devices and one are apart after going on from a file, and after how many steps.

    A file written on two devices is one of one device. Compiling it takes JAX half a minute.
    """
    if not IS_TENSORFLOW and "DEEL_SEG_ALL" not in os.environ:
        return None, 0
    loaded = keras.models.load_model(path)
    with two_devices():
        again = keras.models.load_model(path)
        again.remat_parts = 2  # The same training, whatever is computed twice.
        again.fit(images[:8], labels[:8], batch_size=4, shuffle=False, verbose=0)
    loaded.fit(images[:8], labels[:8], batch_size=4, shuffle=False, verbose=0)
    iterations = int(keras.ops.convert_to_numpy(again.optimizer.iterations))
    return distance(weights(loaded), weights(again)), iterations


def without_replica_sum() -> Any:
    """A model of replicas that each subtract the mean of their own images."""
    batch_centering.replica_sum = lambda tensor: tensor
    return fitted(two_devices(), None)[0]


if __name__ == "__main__":
    split_processor()
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(compare(Path(name))))
