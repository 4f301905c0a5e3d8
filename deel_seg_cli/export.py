"""deel-seg export: a network with its certificates, for other programs."""

from __future__ import annotations

import json
from typing import Any

import click

from deel_seg_cli.loading import LibraryCommand
from deel_seg_cli.options import Numbers, as_json, eps_option, json_option


@click.command(cls=LibraryCommand)
@click.argument("model", type=click.Path())
@click.argument("folder", type=click.Path())
@eps_option
@click.option("--fraction", type=float, default=0.5, help="Share behind `stability_radius`.")
@click.option(
    "--input-range", type=Numbers(), default="0,1", help="Least and largest value of an image."
)
@click.option(
    "--format",
    "formats",
    type=click.Choice(["saved_model", "onnx", "tflite"]),
    multiple=True,
    default=["saved_model"],
    help="What to write; may be given several times.",
)
@json_option
def export(model: str, folder: str, json_: bool, **options: Any) -> None:
    """Write MODEL with its certificates to FOLDER, for programs without this library.

    An exported network answers an image with labels, the radius of every pixel, and what is
    guaranteed of the whole. Keep the fingerprint that is printed in another place: it tells later
    whether the files are the ones that were written.

    \b
    Example: deel-seg export model.keras exported --format saved_model --format onnx
    """
    from deel_seg.export import certified_predictor
    from deel_seg.folders import open_network

    low_and_high = options["input_range"]
    if len(low_and_high) != 2:
        raise click.BadParameter("two numbers, such as 0,1", param_hint="--input-range")
    predictor = certified_predictor(
        open_network(model),
        folder,
        eps=options["eps"],
        fraction=options["fraction"],
        input_range=low_and_high,
        formats=options["formats"],
    )
    manifest = predictor.manifest
    if json_:
        values = json.loads(manifest.to_json())
        click.echo(as_json({"fingerprint": predictor.fingerprint, "manifest": values}))
        return
    click.echo(
        f"Written to {folder}, with the constant {manifest.lipschitz_constant:.6g}, "
        f"{manifest.obtained}.\nFingerprint: {predictor.fingerprint}"
    )
