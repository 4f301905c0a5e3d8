"""What a sweep is, from the settings of a training and what is searched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import keras

import deel_seg
from deel_seg._checks import check_choice, check_integer, received
from deel_seg.tuning import SegmentationHyperModel, SweepResult, sweep
from deel_seg.tuning.running import SEARCHES
from deel_seg_cli.training.named_metrics import metric_named
from deel_seg_cli.training.settings import TrainingSettings

# What a sweep has no use for: it tests nothing, and compares temperatures of one loss.
_LEFT_OUT = {
    "alpha", "eps", "loss", "min_margin", "monitor_eps", "remat_parts", "strategy", "test_split",
}  # fmt: skip
TRAINING_KEYS = tuple(
    each.name for each in fields(TrainingSettings) if each.name not in _LEFT_OUT
)  # fmt: skip
_OF_DATA = (
    "data", "root", "options", "size", "batch_size", "train_split", "validation_split",
    "augmentation", "noise", "dtype",
)  # fmt: skip
SEARCHED = ("temperature", "learning_rate", "width")


@dataclass(frozen=True, kw_only=True)
class SweepOptions:
    """What is searched, and for what.

    Attributes:
        objectives: Names of what is to be good, such as `pixel_accuracy` and `stability@50`.
        temperature: A list of numbers, or a range `{min, max, step, sampling}`; None: not searched.
        learning_rate: Likewise.
        width: Likewise, factors to the widths of the config.
        search: `grid` or `random`.
        max_trials: The most trials.
        positive_class: Class of the objectives that are of a class.
    """

    objectives: tuple[str, ...] = ("pixel_accuracy", "stability@50")
    temperature: Any = None
    learning_rate: Any = None
    width: Any = None
    search: str = "grid"
    max_trials: int | None = None
    positive_class: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.objectives, (tuple, list)) or not self.objectives:
            raise ValueError(
                f"`objectives` must be a list of names. {received(objectives=self.objectives)}"
            )
        check_choice("search", self.search, SEARCHES)
        if self.max_trials is not None:
            check_integer("max_trials", self.max_trials, minimum=1)
        if self.positive_class is not None:
            check_integer("positive_class", self.positive_class, minimum=0)
        if all(getattr(self, name) is None for name in SEARCHED):
            raise ValueError(
                "[sweep] must hold a list or a range for `temperature`, `learning_rate` or `width`."
            )
        for name in SEARCHED:
            if not isinstance(getattr(self, name), (list, tuple, Mapping, type(None))):
                raise ValueError(
                    f"`{name}` must be a list of numbers or a range with min and max. "
                    + received(**{name: getattr(self, name)})
                )


SWEEP_KEYS = tuple(each.name for each in fields(SweepOptions))


def run_sweep(
    settings: TrainingSettings, options: SweepOptions, out: str, *, verbose: int = 1
) -> SweepResult:
    """Runs a sweep, or goes on with one."""
    info, splits, source = settings.info(), settings.splits(), settings.source()
    if not splits["validation"]:
        raise ValueError(
            "`validation_split` must name a split: what is compared is measured on it. "
            + received(data=settings.data, validation_split=settings.validation_split)
        )
    steps = deel_seg.data.steps_per_epoch(settings.data, splits["train"], **source)
    metrics = _metrics(options, info)
    searched = {
        name: getattr(options, name) for name in SEARCHED if getattr(options, name) is not None
    }
    hypermodel = SegmentationHyperModel(
        num_classes=info.num_classes, metrics=metrics, steps=steps * settings.epochs,
        model=getattr(deel_seg, settings.model), config=settings.config_values(),
        weight_decay=settings.weight_decay, ignore_class=info.ignore_class,
        jit_compile=settings.jit_compile or "auto", dtype=settings.dtype,
        **{
            "temperature": settings.temperature, "learning_rate": settings.learning_rate,
            **searched, **settings.model_options,
        },
    )  # fmt: skip

    return sweep(
        hypermodel,
        settings.training_stream,
        deel_seg.data.load(settings.data, splits["validation"], settings.size, **source),
        objectives=metrics, epochs=settings.epochs, steps_per_epoch=steps, folder=out,
        settings={name: settings.arguments()[name] for name in _OF_DATA},
        search=options.search, max_trials=options.max_trials, seed=settings.seed,
        verbose=verbose,
    )  # fmt: skip


def _metrics(options: SweepOptions, info: Any) -> list[keras.metrics.Metric]:
    return [
        metric_named(
            name,
            num_classes=info.num_classes,
            ignore_class=info.ignore_class,
            positive_class=options.positive_class,
        )
        for name in options.objectives
    ]
