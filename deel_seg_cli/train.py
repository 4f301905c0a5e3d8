"""deel-seg train: a network on a data set, by a settings file."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import click

from deel_seg_cli.loading import LibraryCommand
from deel_seg_cli.options import as_json, json_option
from deel_seg_cli.training.toml_file import check_keys, output_folder, read_toml


@click.command(cls=LibraryCommand)
@click.argument("config", type=click.Path())
@click.option("--out", type=click.Path(), help="Folder to write to, in place of the file's `out`.")
@json_option
def train(config: str, out: str | None, json_: bool) -> None:
    """Train a network as CONFIG says, and report its certificates on the test split.

    CONFIG is a TOML file. Its keys have the names of the options of examples/train.py: `data`,
    `size`, `model`, `config`, `temperature`, `epochs` and more, and `out`, the folder to write to.
    All have a default but `out`; docs/command_line.md lists them.

    \b
    OUT then holds
      arguments.json   what was asked for
      last.keras       model and optimiser after the last epoch
      best.keras       the epoch with the best monitored value on the validation split
      history.csv      one row an epoch
      results.json     the best model's metrics and certificates on the test split

    Stopped, the same command goes on after the last complete epoch, to the same network.

    \b
    Example: deel-seg train camvid.toml
    """
    values = read_toml(config)
    from deel_seg_cli.training.run import run_training
    from deel_seg_cli.training.settings import TrainingSettings

    check_keys(values, ["out", *(each.name for each in fields(TrainingSettings))], config)
    folder = output_folder(values, out, config)
    try:
        settings = TrainingSettings(**values)
    except ValueError as error:
        raise ValueError(f"{config}: {error}") from error
    results = run_training(settings, Path(folder), verbose=0 if json_ else 1)
    if json_:
        click.echo(as_json(results))
        return
    click.echo(as_json(results["metrics"]))
    click.echo(f"Written to {folder}: best.keras, history.csv, results.json.")
