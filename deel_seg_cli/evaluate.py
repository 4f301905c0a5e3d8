"""deel-seg evaluate: a model on a data set, beside attacks and smoothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deel_seg_cli.loading import LibraryCommand
from deel_seg_cli.options import Numbers, Size, json_option

TEST_SPLITS = {"cityscapes": "val"}  # The labels of its test split are not public.


@click.command(cls=LibraryCommand)
@click.argument("model", type=click.Path())
@click.option("--data", default="shapes", help="Data set, as deel_seg.data.load names it.")
@click.option("--root", type=click.Path(), help="Its folder; by default below DEEL_SEG_DATA.")
@click.option("--split", help="By default the test split.")
@click.option("--size", type=Size(), default="64", help="Size that images are brought to.")
@click.option("--images", type=click.IntRange(min=1), help="How many; by default all.")
@click.option("--batch-size", type=int, default=8)
@click.option("--eps", type=Numbers(), default="0,0.1,0.25,0.5", help="Budgets in l2.")
@click.option("--positive-class", type=int, help="Class whose false negative rate is certified.")
@click.option("--attacks", type=click.Choice(["none", "fast", "strong"]), default="none")
@click.option("--temperature", type=float, default=1.0, help="Of the losses of attacks.")
@click.option("--sigma", type=float, help="Noise of SegCertify; without it there is none.")
@click.option("--samples", type=int, default=100, help="Of SegCertify.")
@click.option("--seeds", type=int, default=1, help="Runs of SegCertify.")
@click.option("--out", type=click.Path(), help="Folder to keep everything in, and to go on from.")
@json_option
def evaluate(model: str, json_: bool, **options: Any) -> None:
    """Evaluate MODEL on a data set: accuracy, certificates, attacks and smoothing, over budgets.

    MODEL is a .keras file. With --out every batch is kept there, so that a run that was stopped
    goes on, and the table is written as CSV, Markdown and JSON.

    \b
    Example: deel-seg evaluate model.keras --data camvid --size 120x160 --attacks fast --out runs/e
    """
    import deel_seg
    from deel_seg.folders import open_network

    network = open_network(model)
    split = options["split"] or TEST_SPLITS.get(options["data"], "test")
    data = deel_seg.data.load(
        options["data"],
        split,
        options["size"],
        root=options["root"],
        batch_size=options["batch_size"],
    )
    if (images := options["images"]) is not None:
        data = _first(data, images, options["batch_size"])
    out = None if options["out"] is None else Path(options["out"])
    found = deel_seg.evaluate(
        network,
        data,
        eps=options["eps"],
        ignore_class=deel_seg.data.info(options["data"]).ignore_class,
        positive_class=options["positive_class"],
        certified_iou=True,
        attacks=_attacks(options),
        smoothing=_smoothing(network, options),
        smoothing_seeds=range(options["seeds"]),
        folder=None if out is None else out / "batches",
        verbose=0 if json_ else 1,
    )
    click.echo(found.to_json() if json_ else str(found))
    if out is not None:
        for suffix, text in (
            ("csv", found.to_csv()), ("md", found.to_markdown()), ("json", found.to_json()),
        ):  # fmt: skip
            (out / f"evaluation.{suffix}").write_text(text)


def _first(data: Any, images: int, batch_size: int) -> Any:
    """The first images of batches, the last batch cut where it would be too many."""
    whole, rest = divmod(images, batch_size)
    found = data.take(whole)
    if rest:
        cut = data.skip(whole).take(1).map(lambda *parts: tuple(part[:rest] for part in parts))
        found = found.concatenate(cut)
    return found


def _attacks(options: dict[str, Any]) -> Any:
    from deel_seg.attacks import AttackSuite

    if options["attacks"] == "none":
        return None
    return AttackSuite(options["attacks"], temperature=options["temperature"])


def _smoothing(network: Any, options: dict[str, Any]) -> Any:
    from deel_seg.smoothing import SegCertify

    if options["sigma"] is None:
        return None
    classes = max(network.output_shape[-1], 2)
    return SegCertify(network, classes, options["sigma"], samples=options["samples"])
