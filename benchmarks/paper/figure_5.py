"""Figure 5: the temperature moves a network between accuracy and robustness."""

from __future__ import annotations

from typing import Any

import deel_seg
from benchmarks.paper.experiment import Context, Experiment
from benchmarks.paper.networks import lipschitz, pets_name
from benchmarks.paper.scales import Scale
from benchmarks.report import table
from deel_seg.visualize import pareto_figure

EPS = 0.1


def trainings(scale: Scale) -> dict[str, list[str]]:
    """A network for each temperature."""
    return {
        pets_name(temperature): lipschitz(scale.pets, temperature=temperature)
        for temperature in scale.figure_5.temperatures
    }


def run(context: Context) -> dict[str, Any]:
    """Accuracy, mIoU and stability of each."""
    asked, points = context.scale.figure_5, []
    for temperature in asked.temperatures:
        found = deel_seg.evaluate(
            context.model(pets_name(temperature)), context.data("pets"), eps=[EPS],
            fractions=[asked.fraction], ignore_class=context.info("pets").ignore_class, verbose=0,
        ).rows()[0]  # fmt: skip
        stability = found[f"stability@{100 * asked.fraction:g}"]
        values = {key: found[key] for key in ("accuracy", "mean_iou", "crpa", "images")}
        points.append({"temperature": temperature, "stability": stability, **values})
    return {"size": context.scale.pets.size, "fraction": asked.fraction, "points": points}


def show(result: dict[str, Any]) -> str:
    """A row a temperature; the paper gives the figure only."""
    rows = [
        [
            f"{point['temperature']:g}", f"{100 * point['accuracy']:.2f}",
            f"{100 * point['mean_iou']:.2f}", f"{point['stability']:.3f}",
            f"{100 * point['crpa']:.2f}",
        ]
        for point in result["points"]
    ]  # fmt: skip
    height, width = result["size"]
    header = [
        "temperature", "pixel accuracy, %", "mIoU, %",
        f"stability@{100 * result['fraction']:g}", f"CRPA({EPS:g}), %",
    ]  # fmt: skip
    return f"""{table(header, rows)}

{result["points"][0]["images"]:.0f} images of {height}x{width}. The paper's figure gives no
numbers."""


def draw(result: dict[str, Any]) -> dict[str, Any]:
    """MIoU against stability."""
    points = result["points"]
    figure = pareto_figure(
        [point["stability"] for point in points],
        [point["mean_iou"] for point in points],
        names=[f"temperature {point['temperature']:g}" for point in points],
        robustness_name=f"stability@{100 * result['fraction']:g}, l2",
    )
    return {"paper_figure_5": figure}


EXPERIMENT = Experiment(
    "figure_5", "Figure 5: temperature, accuracy and robustness", trainings, run, show, draw
)
