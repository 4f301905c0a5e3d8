"""Table 4: what Lipschitz blocks can express beside ordinary ones, trained to be accurate."""

from __future__ import annotations

import math
from typing import Any

import deel_seg
from benchmarks.paper import published
from benchmarks.paper.experiment import Context, Experiment
from benchmarks.paper.networks import lipschitz, unconstrained
from benchmarks.paper.scales import Scale
from benchmarks.report import table

RUNS = {"LipNet": "scenes_cosine", "AllNet": "scenes_allnet"}


def trainings(scale: Scale) -> dict[str, list[str]]:
    """Both networks."""
    accurate = lipschitz(scale.scenes, loss="cosine")
    return {RUNS["LipNet"]: accurate, RUNS["AllNet"]: unconstrained(scale.scenes)}


def run(context: Context) -> dict[str, Any]:
    """Accuracy and mIoU of both."""
    found = {}
    for name, run_name in RUNS.items():
        model = context.model(run_name)
        row = deel_seg.evaluate(
            model, context.data("scenes"), eps=[0.1], verbose=0,
            ignore_class=context.info("scenes").ignore_class,
        ).rows()[0]  # fmt: skip
        found[name] = {
            "parameters": sum(math.prod(weight.shape) for weight in model.trainable_weights),
            **{key: row.get(key) for key in ("accuracy", "mean_iou", "crpa")},
        }
    return {"size": context.scale.scenes.size, "eps": 0.1, "networks": found}


def show(result: dict[str, Any]) -> str:
    """A row a network."""
    rows = []
    for name, row in result["networks"].items():
        accuracy, mean_iou = published.TABLE_4[name]
        rows.append(
            [
                name, f"{row['parameters'] / 1e6:.2f} M", f"{100 * row['accuracy']:.2f}",
                f"{100 * row['mean_iou']:.2f}",
                "none" if row["crpa"] is None else f"{100 * row['crpa']:.2f}",
                f"{accuracy:.2f}", f"{mean_iou:.2f}",
            ]
        )  # fmt: skip
    height, width = result["size"]
    header = [
        "network", "weights", "pixel accuracy, %", "mIoU, %", f"CRPA({result['eps']:g}), %",
        "paper: pixel accuracy, %", "paper: mIoU, %",
    ]  # fmt: skip
    return f"""{table(header, rows)}

{height}x{width} pixels. LipNet is trained with the cosine loss, AllNet with cross-entropy, on the
same images for as many epochs."""


EXPERIMENT = Experiment(
    "table_4", "Table 4: Lipschitz and unconstrained blocks", trainings, run, show
)
