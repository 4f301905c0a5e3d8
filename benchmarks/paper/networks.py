"""The arguments of examples/train.py that the experiments' networks are trained with."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.paper.scales import SEED, Config, Scale, Task


def lipschitz(task: Task, **changes: Any) -> list[str]:
    """A Lipschitz network.

    Args:
        task: What it is trained on.
        changes: Options of examples/train.py in place of the task's, with `_` for `-`.
    """
    return _arguments(
        task,
        {"temperature": task.temperature, "learning_rate": task.learning_rate, **changes},
    )


def unconstrained(task: Task, **changes: Any) -> list[str]:
    """Its unconstrained twin."""
    return _arguments(
        task, {"model": "DeepLabV3", "temperature": 1.0, "learning_rate": 1e-3, **changes}
    )


def scenes_lipnet(scale: Scale) -> dict[str, list[str]]:
    """The Lipschitz network of Tables 1 and 3."""
    return {"scenes_lipnet": lipschitz(scale.scenes)}


def pets_name(temperature: float) -> str:
    """Name of the run on pets with a temperature."""
    return f"pets_temperature_{temperature:g}"


def pets_lipnet(scale: Scale) -> dict[str, list[str]]:
    """The Lipschitz network of Figures 2 and 3."""
    return {pets_name(scale.pets.temperature): lipschitz(scale.pets)}


def polyps_lipnet(scale: Scale) -> dict[str, list[str]]:
    """The Lipschitz network of Table 2."""
    return {"polyps_lipnet": lipschitz(scale.polyps)}


def _arguments(task: Task, changes: dict[str, Any]) -> list[str]:
    options: dict[str, Any] = {
        "data": task.data,
        "size": task.size,
        "config": task.config,
        "epochs": task.epochs,
        "batch_size": task.batch_size,
        "seed": SEED,
        **changes,
    }
    if task.options:
        options["options"] = dict(task.options)
    if task.augmentation:
        options["augmentation"] = dict(task.augmentation)
    if task.validation_split == "train":
        options["validation_split"] = ""
    found: list[str] = []
    for name, value in options.items():
        found += [f"--{name.replace('_', '-')}", *_words(value)]
    return found


def _words(value: Config | tuple[int, int] | float) -> list[str]:
    if isinstance(value, dict):
        return [json.dumps(value)]
    return [f"{each:g}" if isinstance(each, float) else str(each) for each in
            (value if isinstance(value, tuple) else (value,))]  # fmt: skip
