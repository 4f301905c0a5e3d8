"""Table 5: training steps a second of the Lipschitz network and of its unconstrained twin."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np

import deel_seg
from benchmarks.certificate_candidates import Candidate
from benchmarks.paper import published
from benchmarks.paper.experiment import Context, Experiment
from benchmarks.paper.scales import Scale
from benchmarks.report import table
from benchmarks.turns import take_turns

NETWORKS = {"AllNet": "DeepLabV3", "LipNet": "LipDeepLabV3"}
CLASSES = 3  # Of Pets.


def trainings(scale: Scale) -> dict[str, list[str]]:
    """None: speed does not depend on what was learned."""
    return {}


def run(context: Context) -> dict[str, Any]:
    """Both networks by turns, for each batch size."""
    asked, found = context.scale.table_5, {}
    for batch_size in asked.batch_sizes:
        candidates = {
            name: Candidate(_step(kind, asked.config, asked.size, batch_size))
            for name, kind in NETWORKS.items()
        }
        # 1e6 seconds: as many turns of both.
        timed = take_turns(candidates, asked.repeats, 1e6, 0, partial(print, flush=True))
        found[str(batch_size)] = {
            name: {key: timed[name][key] for key in ("median", "lower", "upper")}
            for name in NETWORKS
        }
    config = asked.config if isinstance(asked.config, str) else dict(asked.config)
    return {"size": asked.size, "config": config, "repeats": asked.repeats, "seconds": found}


def _step(
    kind: str, config: Any, size: tuple[int, int], batch_size: int
) -> Callable[[], Any]:  # fmt: skip
    """A training step on images that are already there."""
    keras.utils.set_random_seed(0)
    model = getattr(deel_seg, kind)(config, num_classes=CLASSES)
    model.compile(
        keras.optimizers.AdamW(1e-3, weight_decay=1e-4),
        deel_seg.losses.TemperatureCrossentropy(5.0, ignore_class=255),
        jit_compile=False,
    )
    generator = np.random.default_rng(0)
    images = generator.random((batch_size, *size, 3), dtype="float32")
    labels = generator.integers(0, CLASSES, (batch_size, *size))
    return lambda: model.train_on_batch(images, labels)


def show(result: dict[str, Any]) -> str:
    """A row a batch size and network."""
    rows = []
    for batch_size, seconds in result["seconds"].items():
        fastest = seconds["AllNet"]["median"]
        for name in NETWORKS:
            median = seconds[name]["median"]
            spread = f"{1 / seconds[name]['upper']:.3g}-{1 / seconds[name]['lower']:.3g}"
            rows.append(
                [name, batch_size, f"{1 / median:.3g} ({spread})", f"{median / fastest:.2f}"]
            )
    of_paper = [
        [
            name,
            f"{batch_size}",
            f"{row[name]:.2f}",
            "1.00" if name == "AllNet" else f"{row['overhead']:.2f}",
        ]
        for batch_size, row in published.TABLE_5.items()
        for name in NETWORKS
    ]
    height, width = result["size"]
    config = result["config"] if isinstance(result["config"], str) else "of our own"
    header = ["network", "batch size", "steps a second", "times AllNet's time"]
    return f"""{table(header, rows)}

Config {config} at {height}x{width}, {result["repeats"]} turns each: medians (quartiles). Of the
paper, M1 at 128x128 on an A100:

{table(header, of_paper)}"""


EXPERIMENT = Experiment("table_5", "Table 5: speed of training", trainings, run, show)
