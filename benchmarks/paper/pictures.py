"""Figures 1, 7 and 8: regions and their budgets, worst misses, and vanishing, on polyps.

The photographs may not be published: the figures stay in the folder of the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops

from benchmarks.paper.drawing import FIGURES, Pictured
from benchmarks.paper.experiment import Context, Experiment
from benchmarks.paper.networks import lipschitz, polyps_lipnet
from benchmarks.paper.scales import Pictures, Scale
from benchmarks.report import table
from deel_seg._inference import compiled_inference

POLYP = 1
MANY = 32  # Images to choose from.


def trainings(scale: Scale) -> dict[str, list[str]]:
    """The network of Table 2, or the smaller one that the paper draws with."""
    config = scale.pictures.config
    if config is None:
        return polyps_lipnet(scale)
    return {"polyps_pictures": lipschitz(scale.polyps, config=config)}


def run(context: Context) -> dict[str, Any]:
    """Draws, and returns the numbers in the figures."""
    (name,) = trainings(context.scale)
    data = context.data("polyps", images=MANY)
    images, labels = (np.concatenate(parts) for parts in zip(*_arrays(data), strict=True))
    return draw_all(
        context.model(name), images, labels, POLYP,
        context.info("polyps").class_names[POLYP], context.scale.pictures,
        context.folder / "pictures",
    )  # fmt: skip


def draw_all(
    model: Any, images: np.ndarray, labels: np.ndarray, class_id: int, class_name: str,
    asked: Pictures, folder: Path,
) -> dict[str, Any]:  # fmt: skip
    """The three figures of the images on which the class is the largest part that fits.

    Args:
        model: A Lipschitz network.
        images: `(images, H, W, 3)`.
        labels: `(images, H, W)`.
        class_id: The class that must not be missed.
        class_name: Its name.
        asked: Budgets and so on.
        folder: Where to write PNG files.
    """
    infer = compiled_inference(model)
    folder.mkdir(parents=True, exist_ok=True)
    chosen = _found_best(infer, images, labels, class_id)[: asked.images]
    rows = []
    for number, index in enumerate(chosen):
        logits = infer(ops.convert_to_tensor(images[index : index + 1]))
        pictured = Pictured(
            images[index], labels[index], logits, model.lipschitz_constant, class_id, class_name
        )
        row: dict[str, Any] = {}
        for name, draw in FIGURES.items():
            figure, numbers = draw(pictured, asked)
            figure.savefig(folder / f"{name}_{class_name}_{number}.png", dpi=110)
            row |= numbers
        rows.append(row)
    return {"class_name": class_name, "eps": asked.eps, "fraction": asked.fraction, "rows": rows}


def _found_best(
    infer: Any, images: np.ndarray, labels: np.ndarray, class_id: int
) -> np.ndarray:  # fmt: skip
    """The images, those first whose class is found best."""
    shares = []
    for image, label in zip(images, labels, strict=True):
        logits = infer(ops.convert_to_tensor(image[None]))
        found = Pictured(image, label, logits, 1.0, class_id, "").found
        wanted = label == class_id
        either = np.sum(found | wanted)
        shares.append(np.sum(found & wanted) / either if either else 0.0)
    return np.argsort(shares, kind="stable")[::-1]


def _arrays(data: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for images, labels in data:
        yield ops.convert_to_numpy(images), ops.convert_to_numpy(labels)


def show(result: dict[str, Any]) -> str:
    """The numbers in the figures."""
    rows = [
        [
            str(number), f"{row['fnr']:.3f}", f"{row['certified_fnr']:.3f}",
            f"{100 * row['vanishing_left']:.1f}" if row["vanishing_left"] >= 0 else "nothing found",
            ", ".join(f"{budget:.2f}" for budget in row["region_budgets"]),
        ]
        for number, row in enumerate(result["rows"])
    ]  # fmt: skip
    eps, name = result["eps"], result["class_name"]
    header = [
        "image", "FNR", f"certified FNR at {eps:g}", f"of the {name} found, left at {eps:g}, %",
        f"budgets that change {100 * result['fraction']:g} % of a region",
    ]  # fmt: skip
    return f"""{table(header, rows)}

The images on which {name} is found best."""


EXPERIMENT = Experiment(
    "pictures", "Figures 1, 7 and 8: regions, misses, vanishing", trainings, run, show
)
