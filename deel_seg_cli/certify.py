"""deel-seg certify: a folder of pictures."""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from typing import Any

import click

from deel_seg_cli.loading import LibraryCommand
from deel_seg_cli.options import Mapping, Numbers, Size, as_json, eps_option, json_option

SOME_REFUSED = 3


@click.command(cls=LibraryCommand)
@click.argument("model", type=click.Path())
@click.argument("images", type=click.Path())
@click.option("--out", required=True, type=click.Path(), help="Folder to write to.")
@click.option("--labels", type=click.Path(), help="Folder of label files of the pictures' names.")
@eps_option
@click.option(
    "--fractions",
    type=Numbers(),
    default="0.5",
    help="Shares of the predictions for stability@..: the budget to change so many.",
)
@click.option(
    "--label-map", type=Mapping(), help="Classes of the values in label files; 255: void."
)
@click.option("--label-threshold", type=int, help="Grey label files: class 1 from this value on.")
@click.option("--iou", is_flag=True, help="Certify the IoU of each class too, which takes longer.")
@click.option("--tile", type=Size(), help="Certify large pictures in parts of this size.")
@click.option(
    "--overlap",
    type=int,
    default=0,
    help="Pixels that parts see of their neighbours; the constant grows with it.",
)
@click.option("--padding", type=float, default=0.0, help="What pictures are filled up with.")
@click.option(
    "--batch-size",
    type=int,
    help="Pictures of one size at a time; by default as many as have the pixels of one of 512x512.",
)
@click.option(
    "--report/--no-report",
    default=None,
    help="Write report.html, to be read; by default where Jinja is installed.",
)
@json_option
def certify(model: str, images: str, out: str, json_: bool, **options: Any) -> None:
    """Certify every picture in IMAGES with MODEL, and write what is guaranteed.

    MODEL is a .keras file of a Lipschitz network, or a folder that `deel-seg export` wrote. IMAGES
    is a folder of PNG, JPEG and the like, of any size, folders in it included; or one picture.

    \b
    OUT then holds
      results.csv       a row for each picture: guaranteed accuracy (crpa) and stability (crs)
                        at every budget, and the budget that half of the predictions take
      results.parquet   the same, where pyarrow is installed
      summary.json      the network, its proved constant, all pictures together
      maps/             predicted classes and radius of every pixel, as .npz
      report.html       all of it as one page for a browser, with an explorer of each picture
                        (with the extra: pip install 'deel_seg[report]')
      manifest.json     of the network, and audit.json: its constant layer by layer

    Pictures are certified in their own size. Where the network's strides do not divide it, they are
    filled up at the bottom and on the right, which leaves the proof as it is.

    Stopped, the same command goes on where it was; a picture that cannot be read is listed, and
    does not stop the others.

    \b
    Example: deel-seg certify model.keras photographs --eps 0.05,0.1 --out certified
    """
    report = _with_report(options["report"])
    from deel_seg.folders import certify_folder
    from deel_seg.report import write_report

    start = time.perf_counter()
    found = certify_folder(
        model,
        images,
        out,
        labels=options["labels"],
        eps=options["eps"],
        fractions=options["fractions"],
        label_mapping=options["label_map"],
        label_threshold=options["label_threshold"],
        certified_iou=options["iou"],
        tile=options["tile"],
        overlap=options["overlap"],
        padding=options["padding"],
        batch_size=options["batch_size"],
        report=report,
        verbose=0 if json_ else 1,
    )
    if report:
        click.echo("Writing the report ...", err=True)
        write_report(out, verbose=0 if json_ else 1)
    if json_:
        click.echo(as_json(found.summary))
    else:
        click.echo(_in_words(found, time.perf_counter() - start, report=report))
    if found.refused:
        for name, reason in found.refused.items():
            click.echo(f"not certified: {name}: {reason}", err=True)
        sys.exit(SOME_REFUSED)


def _with_report(asked: bool | None) -> bool:
    """Whether to write a report; refused before the work where it cannot be."""
    there = find_spec("jinja2") is not None
    if asked and not there:
        raise ImportError("--report needs Jinja: pip install 'deel_seg[report]'.")
    if asked is None and not there:
        click.echo("There will be no report.html: pip install 'deel_seg[report]'.", err=True)
    return there if asked is None else asked


def _in_words(found: Any, seconds: float, *, report: bool) -> str:
    settings, values = found.summary["settings"], found.summary["values"]
    lines = [
        f"{len(found.rows)} pictures certified in {seconds:.1f} s, with the constant "
        f"{settings['lipschitz_constant']:.6g}, {settings['constant_obtained']}.",
    ]
    lines += [
        f"  {name:>15}  mean {spread['mean']:.4f}, least {spread['least']:.4f}"
        for name, spread in values.items()
        if spread["images"]
    ]
    lines.append(f"Written to {found.folder}: results.csv, summary.json, maps/.")
    if report:
        lines.append(f"To be read: {found.folder / 'report.html'}")
    return "\n".join(lines)
