"""The networks that `benchmarks/trainings.py` has trained, with images to look at them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

import deel_seg
from benchmarks.trainings import RESULTS, ROOT


def best_checkpoint(name: str, folder: Path, images: int) -> tuple[keras.Model, np.ndarray]:
    """The best checkpoint of a run, and the first images of its test split."""
    arguments = arguments_of(name)
    model = keras.models.load_model(folder / name / "best.keras", compile=False)
    data = deel_seg.data.load(arguments["data"], "test", arguments["size"], batch_size=images)
    return model, np.asarray(next(iter(data))[0])


def spread_images(name: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of a run's test split, equally far apart, and their labels."""
    arguments = arguments_of(name)
    data = deel_seg.data.load(arguments["data"], "test", arguments["size"]).unbatch()
    total = deel_seg.data.steps_per_epoch(arguments["data"], "test", batch_size=1)
    rows = set(np.linspace(0, total - 1, count).astype(int).tolist())
    pairs = [pair for row, pair in enumerate(data.as_numpy_iterator()) if row in rows]
    images, labels = zip(*pairs, strict=True)
    return np.stack(images), np.stack(labels)


def arguments_of(name: str) -> dict[str, Any]:
    """What a run was trained with."""
    return json.loads((RESULTS / name / "results.json").read_text())["arguments"]


def for_each_run(
    look: Callable[[str, Path], dict[str, Any]], file: str, names: Sequence[str], description: str
) -> None:
    """Looks at the runs that the command line names, and keeps what was found of each in `file`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("names", nargs="*", default=list(names), help="names of runs")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs", help="folder of the runs")
    arguments = parser.parse_args()
    for name in arguments.names:
        if not (arguments.runs / name / "best.keras").exists():
            print(f"{name}: no checkpoint in {arguments.runs}", flush=True)
            continue
        print(name, flush=True)
        found = look(name, arguments.runs)
        (RESULTS / name / file).write_text(json.dumps(found, indent=1) + "\n")
