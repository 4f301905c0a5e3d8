"""Figures 1, 7 and 8 on drawn runway scenes, which may be published."""

from __future__ import annotations

from typing import Any

from benchmarks.paper.drawing import FIGURES
from benchmarks.paper.experiment import Context, Experiment
from benchmarks.paper.pictures import MANY, draw_all, show
from benchmarks.paper.runway_scenes import scenes
from benchmarks.paper.scales import Scale

RUN = "runway_fcn_lipschitz_strong"


def trainings(scale: Scale) -> dict[str, list[str]]:
    """The more robust network of the runway experiment."""
    return {RUN: scale.runway.arguments(RUN)}


def run(context: Context) -> dict[str, Any]:
    """Draws for the documentation, and returns the numbers in the figures."""
    asked = context.scale.runway
    images, labels = scenes(
        asked.test_split, MANY, asked.size,
        data=asked.data, root=context.roots.get(asked.data), options=asked.options,
    )  # fmt: skip
    found = draw_all(
        context.model(RUN), images, labels, asked.class_id, "runway", context.scale.pictures,
        context.folder / "pictures",
    )  # fmt: skip
    return {**found, "published": [f"{name}_runway_0" for name in FIGURES]}


EXPERIMENT = Experiment(
    "pictures_runway", "Figures 1, 7 and 8 on runway scenes", trainings, run, show,
    reads=("pictures", "runway"),
)  # fmt: skip
