"""The networks that every attack is tried on, with their images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from benchmarks.paper.experiment import Context
from benchmarks.paper.networks import pets_lipnet, pets_name, polyps_lipnet, scenes_lipnet
from benchmarks.paper.runway_scenes import scenes
from benchmarks.paper.scales import Scale

RUNWAY = ("runway_fcn_lipschitz_strong", "runway_unet_lipschitz_strong")


class Case(NamedTuple):
    """A network, its images, and the class whose pixels are to vanish."""

    run: str
    images: np.ndarray
    labels: np.ndarray
    class_id: int
    ignore_class: int
    temperature: float


def trainings(scale: Scale) -> dict[str, list[str]]:
    """A Lipschitz network of each data set and architecture."""
    runway = {run: scale.runway.arguments(run) for run in RUNWAY}
    return {**scenes_lipnet(scale), **pets_lipnet(scale), **polyps_lipnet(scale), **runway}


def cases(context: Context) -> Iterator[Case]:
    """The networks with the images that they are attacked on."""
    scale, count = context.scale, context.scale.every_attack.images
    temperature = scale.pets.temperature
    runs = {"scenes": "scenes_lipnet", "pets": pets_name(temperature), "polyps": "polyps_lipnet"}
    for name, run in runs.items():
        batches = context.data(name, images=count, batch_size=count)
        images, labels = (np.asarray(part) for part in next(iter(batches)))
        info, task = context.info(name), context.task(name)
        wanted = {"scenes": scale.table_3.class_name}.get(name)
        class_id = info.class_names.index(wanted) if wanted else 1
        yield Case(run, images, labels, class_id, info.ignore_class, task.temperature)
    runway = scale.runway
    for run in RUNWAY:
        images, labels = scenes(
            runway.test_split, count, runway.size, data=runway.data, options=runway.options,
            root=context.roots.get(runway.data),
        )  # fmt: skip
        temperature = runway.networks[run].temperature
        yield Case(run, images, labels, runway.class_id, 255, temperature)
