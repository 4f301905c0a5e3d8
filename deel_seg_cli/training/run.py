"""A training in a folder, from its settings to the results on the test split."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

import deel_seg
from deel_seg._checks import received
from deel_seg._fitting import TellTimeLeft, fit_in_folder, read_history
from deel_seg._json import as_json
from deel_seg._parts import whole
from deel_seg_cli.training.networks import compile_for_test, network_of
from deel_seg_cli.training.settings import TrainingSettings
from deel_seg_cli.training.team import Team


def run_training(settings: TrainingSettings, out: Path, *, verbose: int = 1) -> dict[str, Any]:
    """Trains, or goes on, and evaluates the best model on the test split.

    Args:
        settings: What to train.
        out: The folder of the run. It then holds `arguments.json`, what was asked for;
            `last.keras`, model and optimiser after the last epoch; `best.keras`, the epoch with
            the best monitored value; `history.csv`, one row an epoch; and `results.json`.
        verbose: 1 to show progress, 0 for nothing.

    Returns:
        What `results.json` holds.

    Raises:
        ValueError: If the folder holds a run with other arguments, or the loss was no number from
            the first epoch on.
    """
    team = Team(settings.strategy)
    if team.is_chief:
        claim_folder(out, settings.arguments())
    team.wait()
    if not team.is_chief:  # Compares its arguments with the chief's.
        claim_folder(out, settings.arguments())
    keras.utils.set_random_seed(settings.seed)
    train(settings, out, team, verbose)
    team.wait()  # The chief may still be saving what all of them read now.
    results = evaluate(settings, out, team, verbose)
    if team.is_chief:
        _write(out / "results.json", results)
    return results


def claim_folder(out: Path, wanted: Mapping[str, Any]) -> None:
    """Writes the arguments down, or refuses a folder that holds a run with others."""
    path = out / "arguments.json"
    if path.exists():
        found = json.loads(path.read_text())
        changed = sorted(key for key in {**wanted, **found} if wanted.get(key) != found.get(key))
        if changed:
            raise ValueError(
                f"`out` holds a run with other arguments: {changed}. Choose another folder. "
                + received(out=str(out))
            )
        return
    out.mkdir(parents=True, exist_ok=True)
    _write(path, wanted)


def train(settings: TrainingSettings, out: Path, team: Team, verbose: int) -> None:
    """Trains up to the last epoch, from where the folder's run stands."""
    splits, source = settings.splits(), settings.source()
    steps = deel_seg.data.steps_per_epoch(settings.data, splits["train"], **source)

    left = TellTimeLeft(settings.epochs)

    def on_start(model: keras.Model, epoch: int) -> None:
        if isinstance(model, deel_seg.LipschitzModel):
            model.remat_parts = settings.remat_parts
        left.start(epoch)
        if epoch and verbose:
            print(f"Going on after epoch {epoch} of {settings.epochs}.", flush=True)

    validation = settings.validation_stream()
    value = "crpa" if settings.model.startswith("Lip") else "pixel_accuracy"
    fit_in_folder(
        out,
        lambda: network_of(settings, steps),
        settings.training_stream,
        steps=steps,
        epochs=settings.epochs,
        validation=validation,
        monitor=("val_" if validation else "") + value,
        callbacks=[left] if verbose and team.is_chief else [],
        on_start=on_start,
        scope=team.scope,
        writes=team.is_chief,
        verbose="auto" if verbose else 0,
    )
    rows = read_history(out / "history.csv")
    if verbose and rows and not math.isfinite(float(rows[-1]["loss"])):
        print(f"The loss was no number in epoch {len(rows)}, and the training ended.", flush=True)


def evaluate(settings: TrainingSettings, out: Path, team: Team, verbose: int) -> dict[str, Any]:
    """Metrics and certificates of the best model on the test split."""
    best = out / "best.keras"
    if not best.exists():
        raise ValueError(
            "The loss was no number in the first epoch. A lower `learning_rate` may help. "
            + received(learning_rate=settings.learning_rate)
        )
    with team.scope():
        model = keras.models.load_model(best, compile=False)
        compile_for_test(model, settings)
    split = settings.splits()["test"]
    test = deel_seg.data.load(settings.data, split, settings.size, **settings.source())
    values = model.evaluate(test, return_dict=True, verbose="auto" if verbose else 0)
    seconds = [float(row["seconds"]) for row in read_history(out / "history.csv")]
    constant = model.lipschitz_constant if isinstance(model, deel_seg.LipschitzModel) else None
    return {
        "arguments": json.loads((out / "arguments.json").read_text()),
        "split": split,
        "parameters": sum(math.prod(weight.shape) for weight in model.trainable_weights),
        "lipschitz_constant": constant,
        "epochs": len(seconds),
        "training_seconds": sum(seconds),
        "metrics": values,
    }


def _write(path: Path, value: Mapping[str, Any]) -> None:
    with whole(path) as file:
        file.write(f"{as_json(value)}\n".encode())
