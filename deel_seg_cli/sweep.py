"""deel-seg sweep: networks at several temperatures, widths and learning rates, by a file."""

from __future__ import annotations

import click

from deel_seg_cli.loading import LibraryCommand
from deel_seg_cli.options import json_option
from deel_seg_cli.training.toml_file import check_keys, output_folder, read_toml


@click.command(cls=LibraryCommand)
@click.argument("config", type=click.Path())
@click.option("--out", type=click.Path(), help="Folder to write to, in place of the file's `out`.")
@json_option
def sweep(config: str, out: str | None, json_: bool) -> None:
    """Train a network for each of several temperatures, and show which ones are worth having.

    CONFIG is a TOML file with the keys of `deel-seg train` that a sweep has a use for, and a table
    [sweep]: `objectives`, and lists or ranges for `temperature`, `learning_rate` or `width`;
    docs/command_line.md lists them.

    \b
    OUT then holds
      sweep.csv      a row for each trial: hyperparameters, values on the validation split,
                     and whether it is on the Pareto front; sweep.md and sweep.json likewise
      pareto.png     the front, for two objectives, where matplotlib is installed
      trials/        of each trial its network, last.keras, and history.csv

    Stopped, the same command goes on: no epoch that was complete is trained again, and the tables
    are the same to the last byte. Needs keras-tuner: pip install 'deel_seg[tuner]'.

    \b
    Example: deel-seg sweep temperatures.toml
    """
    values = read_toml(config)
    from deel_seg_cli.training.settings import TrainingSettings
    from deel_seg_cli.training.sweep_settings import (
        SWEEP_KEYS,
        TRAINING_KEYS,
        SweepOptions,
        run_sweep,
    )

    check_keys(values, ["out", "sweep", *TRAINING_KEYS], config)
    table = values.pop("sweep", None)
    if not isinstance(table, dict):
        raise ValueError(f"{config} must have a table [sweep]. Received: sweep={table!r}")
    check_keys(table, SWEEP_KEYS, f"{config}, [sweep],")
    folder = output_folder(values, out, config)
    try:
        settings, options = TrainingSettings(**values), SweepOptions(**table)
    except ValueError as error:
        raise ValueError(f"{config}: {error}") from error
    found = run_sweep(settings, options, folder, verbose=0 if json_ else 1)
    files = found.save(folder)
    if json_:
        click.echo(found.to_json(), nl=False)
        return
    click.echo(str(found), nl=False)
    click.echo("On the Pareto front: " + "; ".join(trial.name for trial in found.front()) + ".")
    click.echo(f"Written to {folder}: {', '.join(file.name for file in files)}, trials/.")
