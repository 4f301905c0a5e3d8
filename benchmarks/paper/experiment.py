"""What an experiment is, and what it is given."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import keras

import deel_seg
from benchmarks.paper.scales import Scale, Task

PIXELS = 2**21  # Of a batch, at most, unless a single image has more.


class Experiment(NamedTuple):
    """One table or figure of the paper.

    Attributes:
        name: Name of its result, and of its numbers in `Scale`, if it has some.
        title: What it is, in words.
        trainings: From a scale to its trainings: name of the run, arguments of examples/train.py.
        run: What is measured, as JSON has it.
        table: The Markdown of a result.
        figures: The matplotlib figures of a result, by name; None where there are none.
        reads: Parts of the scale that it reads beside the tasks and the part of its own name.
    """

    name: str
    title: str
    trainings: Callable[[Scale], dict[str, list[str]]]
    run: Callable[[Context], dict[str, Any]]
    table: Callable[[dict[str, Any]], str]
    figures: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Context:
    """What an experiment may use.

    Args:
        scale: Its numbers.
        folder: Folder of all runs and results.
        roots: Folders of data sets, by name; others are looked for in `DEEL_SEG_DATA`.
        key: Of the numbers and weights of this experiment: parts that were found with others are
            in other folders.
        kept: Images that were read before.
    """

    scale: Scale
    folder: Path
    roots: Mapping[str, str]
    key: str = "all"
    kept: dict[Any, Any] = field(default_factory=dict)

    def run_folder(self, run: str) -> Path:
        """Where a run is trained."""
        return self.folder / "runs" / run

    def model(self, run: str) -> keras.Model:
        """The best network of a run; a Lipschitz one condensed, so that its constant is exact."""
        path = self.run_folder(run) / "best.keras"
        if not path.exists():
            raise FileNotFoundError(f"There is no trained network {path}.")
        model = keras.models.load_model(path, compile=False)
        if isinstance(model, deel_seg.LipschitzModel):
            model.condense()
        return model

    def task(self, name: str) -> Task:
        """A task of the scale."""
        if name not in self.scale.tasks:
            raise ValueError(f"`name` must be one of {list(self.scale.tasks)}. Received: {name=}")
        return self.scale.tasks[name]

    def info(self, name: str) -> deel_seg.data.DatasetInfo:
        """Classes of a task's data set."""
        task = self.task(name)
        return deel_seg.data.info(task.data, **task.options)

    def data(
        self,
        name: str,
        split: str = "test",
        *,
        images: int | None = None,
        batch_size: int | None = None,
    ) -> Any:
        """Batches of a task, in a fixed order.

        Args:
            name: Name of the task.
            split: `"validation"` or `"test"`, of the task; or one of the data set.
            images: How many, spread evenly over the split; None for all.
            batch_size: Images of a batch; by default 8, and fewer of large images.
        """
        task = self.task(name)
        split = {"validation": task.validation_split, "test": task.test_split}.get(split, split)
        batch_size = batch_size or max(1, min(8, PIXELS // (task.size[0] * task.size[1])))
        source = {"root": self.roots.get(task.data), **task.options}
        data = deel_seg.data.load(
            task.data, split, task.size, batch_size=batch_size, shuffle=False, **source
        )
        there = deel_seg.data.steps_per_epoch(task.data, split, batch_size=1, **source)
        if images is None or images >= there:
            return data
        key = (name, split, images, batch_size)
        if key not in self.kept:
            # Files in between are read too, once: these are asked for again and again.
            chosen = data.unbatch().shard(there // images, 0).take(images).batch(batch_size)
            self.kept[key] = list(chosen.as_numpy_iterator())
        return self.kept[key]

    def folder_of(self, experiment: str) -> Path:
        """Where an experiment keeps parts, so that it can go on."""
        folder = self.folder / "parts" / experiment / self.key
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def fingerprint(experiment: Experiment, scale: Scale, folder: Path) -> dict[str, Any]:
    """What a result depends on: the numbers, the trainings, and the weights that came of them."""
    trainings = experiment.trainings(scale)
    found = {
        "settings": scale.settings_of(experiment.name, *experiment.reads),
        "trainings": trainings,
        "weights": {run: _hash(folder / "runs" / run / "best.keras") for run in trainings},
    }
    return json.loads(json.dumps(found))


def key_of(found: Mapping[str, Any]) -> str:
    """A short name of a fingerprint."""
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:12]


def _hash(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None
