"""deel-seg audit: what a network's constant is made of."""

from __future__ import annotations

import sys

import click

from deel_seg_cli.loading import LibraryCommand
from deel_seg_cli.options import json_option


@click.command(cls=LibraryCommand)
@click.argument("model", type=click.Path())
@json_option
def audit(model: str, json_: bool) -> None:
    """Prove the Lipschitz constant of MODEL layer by layer, and show the table.

    MODEL is a .keras file. Each row has the bound that the layer's design intends, the one that its
    weights prove, and how tight that is. Where the constant that the weights prove is larger than
    the one that the model states, the exit code is 1.

    \b
    Example: deel-seg audit model.keras
    """
    from deel_seg.folders import open_network
    from deel_seg.lipschitz import audit as audit_of

    table = audit_of(open_network(model), verbose=0 if json_ else 1)
    click.echo(table.to_json() if json_ else str(table))
    if not table.holds:
        sys.exit(1)
