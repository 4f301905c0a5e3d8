"""The runway experiment of the slides: a vanishing attack on ordinary and Lipschitz networks.

    python benchmarks/paper/run.py small runway

The slides attack an FCN, and mention a U-Net, that segment the runways of LARD. Here the scenes are
drawn, or they are images and masks of one's own: see `benchmarks/paper/runway_folder.py`.
"""

from __future__ import annotations

from typing import Any

from benchmarks.paper.experiment import Context, Experiment
from benchmarks.paper.runway_measure import measure
from benchmarks.paper.runway_scenes import scenes
from benchmarks.paper.runway_table import show
from benchmarks.paper.scales import Scale


def trainings(scale: Scale) -> dict[str, list[str]]:
    """An ordinary network and two Lipschitz ones, of two architectures."""
    return {run: scale.runway.arguments(run) for run in scale.runway.networks}


def run(context: Context) -> dict[str, Any]:
    """IoU of the runway, clean, under attack and certified, of every network."""
    settings = context.scale.runway
    images, labels = scenes(
        settings.test_split, settings.images, settings.size,
        data=settings.data, root=context.roots.get(settings.data), options=settings.options,
    )  # fmt: skip
    networks = {
        name: measure(
            context.model(name), images, labels, settings=settings,
            temperature=network.temperature, folder=context.folder_of("runway"), name=name,
        )
        for name, network in settings.networks.items()
    }  # fmt: skip
    return {"settings": settings.to_dict(), "budgets": settings.budgets, "images": len(images),
            "networks": networks}  # fmt: skip


EXPERIMENT = Experiment(
    "runway", "Runway: clean and robust IoU under a vanishing attack", trainings, run, show
)
