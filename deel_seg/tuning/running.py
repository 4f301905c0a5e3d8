"""A search over hyperparameters that is kept in a folder and gone on with."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from deel_seg._checks import check_choice, check_integer, received
from deel_seg._parts import PartsFolder
from deel_seg.tuning.kept_trials import KeptTrials
from deel_seg.tuning.objectives import certified_objective
from deel_seg.tuning.sweep_result import SweepResult
from deel_seg.tuning.tuner_library import keras_tuner

SEARCHES = ("grid", "random")


def sweep(
    hypermodel: Any,
    stream: Callable[[int], Any],
    validation: Any,
    *,
    objectives: Sequence[Any],
    epochs: int,
    steps_per_epoch: int,
    folder: str | os.PathLike[str],
    search: str = "grid",
    max_trials: int | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    verbose: int = 1,
) -> SweepResult:
    """Trains a network for each choice of the hyperparameters, and finds the Pareto front.

    The order of the trials is that of keras-tuner's grid or random search. A trial's values are
    those on the validation data after its last epoch. keras-tuner takes the sum of several
    objectives; here none is weighed against another: all trials are compared in all of them.

    A trial is kept in a folder of its own after each epoch. The same call goes on where it was
    stopped, and finds the same as one that was not: the seed of each trial is made from `seed` and
    its hyperparameters, and the search is gone through again with the trials that are there. A
    list of values may be made longer, and `max_trials` larger, and what is there is used; other
    settings need another folder. That the data are the same is not looked at: say in `settings`
    what they are.

    That two runs are the same takes a device that computes the same twice: a GPU may sum in another
    order, unless `tf.config.experimental.enable_op_determinism()` is called first.

    Args:
        hypermodel: A `SegmentationHyperModel`, or another `keras_tuner.HyperModel` whose networks
            are compiled, can be saved and loaded, and whose optimiser makes a step a batch.
        stream: From an epoch's number to endless batches from that epoch on, such as
            `lambda epoch: deel_seg.data.load(..., repeat=True, initial_epoch=epoch)`. Each trial
            begins with epoch 0.
        validation: Batches `(images, labels)`, measured after each epoch.
        objectives: One or more, each a metric (see `certified_objective`) or a
            `keras_tuner.Objective` named after a value on the validation data.
        epochs: Of each trial.
        steps_per_epoch: Batches an epoch.
        folder: Where everything is kept.
        search: `"grid"`, every combination (ten values of a range without `step`), or `"random"`.
        max_trials: The most trials; by default all of a grid, and 10 of a random search.
        seed: Of the search and of the trials.
        settings: What else the trials depend on, such as the data and its size, as JSON has it. A
            folder that was begun with others is refused.
        verbose: 1 for a line after each epoch with the time left, 0 for none.

    Returns:
        What was found. A trial whose loss became no number is in it, without values.

    Raises:
        ValueError: If an argument is out of range, nothing is searched, an objective is not among
            what is measured, or the folder holds another sweep.
        ImportError: If keras-tuner is not installed.

    Example:
    >>> import tempfile
    >>> import deel_seg
    >>> from deel_seg.certificates import PixelAccuracy, StabilityRadius
    >>> from deel_seg.tuning import SegmentationHyperModel, sweep
    >>> data = {"size": 8, "num_images": 2, "batch_size": 2}
    >>> metrics = [PixelAccuracy(ignore_class=255), StabilityRadius(0.5, ignore_class=255)]
    >>> hypermodel = SegmentationHyperModel(
    ...     num_classes=5, metrics=metrics, steps=1, ignore_class=255, temperature=[20.0],
    ...     model=deel_seg.LipFCN, config={"widths": [4], "convolutions": 1})
    >>> found = sweep(
    ...     hypermodel,
    ...     lambda epoch: deel_seg.data.load(
    ...         "shapes", "train", **data, repeat=True, initial_epoch=epoch),
    ...     deel_seg.data.load("shapes", "val", **data),
    ...     objectives=metrics, epochs=1, steps_per_epoch=1, folder=tempfile.mkdtemp(), verbose=0)
    >>> [trial.name for trial in found.trials]
    ['temperature 20']
    """
    check_choice("search", search, SEARCHES)
    if max_trials is not None:
        check_integer("max_trials", max_trials, minimum=1)
    seed = check_integer("seed", seed, minimum=0)
    wanted = _objectives(objectives)
    fixed = {
        **(settings or {}),
        "hypermodel": _settings(hypermodel),
        "epochs": check_integer("epochs", epochs, minimum=1),
        "steps_per_epoch": check_integer("steps_per_epoch", steps_per_epoch, minimum=1),
        "seed": seed,
    }
    _check_measured(hypermodel, wanted)
    with tempfile.TemporaryDirectory() as scratch:
        oracle = _oracle(search, wanted, max_trials, seed)
        tuner = _KeptTuner(oracle, hypermodel, scratch)
        count = _count(oracle, search, max_trials)
        PartsFolder(folder, "the sweep", fixed)
        trials = KeptTrials(
            Path(folder) / "trials", hypermodel, stream, validation,
            steps=steps_per_epoch, epochs=epochs, needed=[each.name for each in wanted],
            seed=seed, count=count, verbose=verbose,
        )  # fmt: skip
        tuner.go_through(trials)
    return SweepResult({each.name: each.direction for each in wanted}, tuple(trials.found))


class _KeptTuner(keras_tuner.Tuner):
    """Takes the hyperparameters from an oracle, and the trials from where they are kept.

    keras-tuner's own files, which it goes on from, are not whole after every kill, and those of
    its grid search do not tell how far it was. They are written to a folder that is thrown away:
    what an oracle asks for follows from its seed, and a trial that is there is read.
    """

    def __init__(self, oracle: Any, hypermodel: Any, directory: str) -> None:
        super().__init__(
            oracle=oracle, hypermodel=hypermodel, directory=directory, project_name="search"
        )
        self._trials: KeptTrials | None = None
        self._error: Exception | None = None

    def go_through(self, trials: KeptTrials) -> None:
        """Runs the search."""
        self._trials = trials
        try:
            self.search(verbose=0)
        except keras_tuner.errors.FatalRuntimeError as error:
            raise self._error or error from None

    def run_trial(self, trial: Any, **kwargs: Any) -> dict[str, float]:
        try:
            metrics = dict(self._trials.run(trial.hyperparameters).metrics)  # type: ignore[union-attr]
        except Exception as error:
            # Other errors would be taken for a failure of this trial alone.
            self._error = error
            raise keras_tuner.errors.FatalRuntimeError(str(error)) from error
        objective = self.oracle.objective
        if not metrics or not math.isfinite(objective.get_value(metrics)):
            raise keras_tuner.errors.FailedTrialError("The loss or an objective is no number.")
        return {**metrics, objective.name: objective.get_value(metrics)}


def _objectives(objectives: Sequence[Any]) -> list[Any]:
    found = [
        each if isinstance(each, keras_tuner.Objective) else certified_objective(each)
        for each in objectives
    ]
    names = [each.name for each in found]
    if not found or len(set(names)) != len(names):
        raise ValueError(
            f"`objectives` must be one or more, of different names. {received(objectives=names)}"
        )
    return found


def _check_measured(hypermodel: Any, wanted: Sequence[Any]) -> None:
    """Refuses at once what would be found missing after the first trial."""
    metrics = getattr(hypermodel, "metrics", None)
    if metrics is None:
        return
    known = ["val_loss", *(f"val_{metric.name}" for metric in metrics)]
    for objective in wanted:
        if objective.name not in known:
            raise ValueError(
                f"`objectives` must be among what is measured: {known}. "
                + received(objectives=objective.name)
            )


def _settings(hypermodel: Any) -> Any:
    if not isinstance(hypermodel, keras_tuner.HyperModel):
        raise ValueError(
            f"`hypermodel` must be a keras_tuner.HyperModel. {received(hypermodel=hypermodel)}"
        )
    told = getattr(hypermodel, "settings", None)
    return told() if callable(told) else type(hypermodel).__name__


def _oracle(search: str, wanted: list[Any], max_trials: int | None, seed: int) -> Any:
    common = {
        "objective": wanted if len(wanted) > 1 else wanted[0],
        "seed": seed + 1,  # 0 would be taken for none.
        # A network that comes to no number is a finding; the others are trained all the same.
        "max_consecutive_failed_trials": None,
    }
    if search == "grid":
        return keras_tuner.oracles.GridSearchOracle(max_trials=max_trials, **common)
    return keras_tuner.oracles.RandomSearchOracle(max_trials=max_trials or 10, **common)


def _count(oracle: Any, search: str, max_trials: int | None) -> int | None:
    space = oracle.get_space().space
    if not space:
        raise ValueError(
            "Nothing is searched: give a list or a range for at least one hyperparameter."
        )
    if search == "random":
        return max_trials or 10
    count = math.prod(len(list(hp.values)) for hp in space)
    return min(count, max_trials or count)
