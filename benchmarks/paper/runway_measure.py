"""Clean, attacked and certified IoU of one network, kept batch by batch."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

import deel_seg
from benchmarks.paper.runway_attack import (
    Certificates,
    attacked_counts,
    data_set_iou,
    least_data_set_iou,
    refuse_below,
    up_to_budget,
)
from benchmarks.paper.runway_settings import Runway
from deel_seg._inference import compiled_inference


def measure(
    model: keras.Model,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    settings: Runway,
    temperature: float,
    folder: Path,
    name: str = "network",
) -> dict[str, Any]:
    """IoU of the class over the scenes: clean, under attack, and certified.

    Args:
        model: The network; one with a proved constant is certified.
        images: `(images, H, W, channels)`.
        labels: `(images, H, W)`.
        settings: The numbers.
        temperature: That of its training.
        folder: Where batches are kept. Those of other weights, numbers or scenes are not used.
        name: Its name in what is printed.

    Returns:
        Values of each budget, in the order of `settings.budgets`, and gradients of an image.

    Raises:
        RuntimeError: If an attack went below a certificate.
    """
    info = deel_seg.data.info(settings.data, **settings.options)
    model.compile(jit_compile=False)
    network = compiled_inference(model)
    certificates = None
    if isinstance(model, deel_seg.LipschitzModel):
        model.condense()  # Before anything is hashed: it changes the kernels that are stored.
        certificates = Certificates(
            network, model.proved_constant(), settings.budgets, num_classes=info.num_classes,
            class_id=settings.class_id, ignore_class=info.ignore_class,
        )  # fmt: skip
    parts = folder / f"{name}_{_key(model, images, labels, settings)}"
    parts.mkdir(parents=True, exist_ok=True)
    attacks, found = settings.attacks(temperature), []
    start = time.perf_counter()
    for first in range(0, len(images), settings.batch_size):
        batch = slice(first, first + settings.batch_size)
        path = parts / f"images_{first:05}.npy"
        if not path.exists():
            points = attacked_counts(
                model, network, images[batch], labels[batch], attacks=attacks,
                eps=settings.budgets, class_id=settings.class_id,
                ignore_class=info.ignore_class, seed=settings.seed + first,
            )  # fmt: skip
            _write(path, points)
        found.append(np.load(path))
        if certificates is not None:
            certificates.check(images[batch], labels[batch], found[-1])
        done, seconds = first + found[-1].shape[1], time.perf_counter() - start
        print(f"  {name}: {done} of {len(images)} scenes, {seconds:.0f} s", flush=True)
    points, budgets = np.concatenate(found, axis=1), len(settings.budgets)
    robust = [least_data_set_iou(up_to_budget(points, index, budgets)) for index in range(budgets)]
    result = {
        "clean_iou": data_set_iou(points[0]),
        "robust_iou": robust,
        "certified_iou": None,
        "lipschitz_constant": None,
        "gradients": sum(attack.steps for attack in attacks),
    }
    if certificates is not None:
        certified = certificates.curve.result().iou[0]
        refuse_below("IoU of the data set", np.array(robust), certified)
        result["certified_iou"] = certified.tolist()
        result["lipschitz_constant"] = certificates.curve.lipschitz_constant
    return result


def _write(path: Path, counts: np.ndarray) -> None:
    """Writes a part; a kill while writing leaves none."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.save(file, counts, allow_pickle=False)
    partial.replace(path)


def _key(model: keras.Model, images: np.ndarray, labels: np.ndarray, settings: Runway) -> str:
    """A short name of all that the counts depend on."""
    found = hashlib.sha256(json.dumps(settings.to_dict(), sort_keys=True).encode())
    for array in (*model.get_weights(), images, labels):
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:12]
