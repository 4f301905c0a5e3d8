"""deel-seg report: the certificates of a folder as one page."""

from __future__ import annotations

import click

from deel_seg_cli.loading import LibraryCommand


@click.command(cls=LibraryCommand)
@click.argument("out", type=click.Path())
@click.option("--class-names", help="Names of the classes, in order: sky,road,tree.")
@click.option(
    "--max-megabytes",
    type=float,
    default=60.0,
    help="Size up to which pictures are taken into the explorer, those that keep least first.",
)
@click.option("--quiet", is_flag=True, help="Show no progress.")
def report(out: str, class_names: str | None, max_megabytes: float, quiet: bool) -> None:
    """Write report.html of the certificates in OUT again.

    OUT is a folder that `deel-seg certify` wrote to. The page is one file that needs no network. It
    has the guarantees in plain words, curves, a table of the pictures, and an explorer of each.

    \b
    Example: deel-seg report certified --class-names background,runway
    """
    from deel_seg.report import write_report

    names = None if class_names is None else [name.strip() for name in class_names.split(",")]
    path = write_report(
        out, class_names=names, max_megabytes=max_megabytes, verbose=0 if quiet else 1
    )
    click.echo(f"Written: {path}")
