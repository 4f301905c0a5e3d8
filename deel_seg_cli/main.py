"""The command `deel-seg` and what its subcommands share."""

from __future__ import annotations

import sys
from typing import Any

import click

from deel_seg_cli.audit import audit
from deel_seg_cli.certify import certify
from deel_seg_cli.evaluate import evaluate
from deel_seg_cli.export import export
from deel_seg_cli.report import report
from deel_seg_cli.sweep import sweep
from deel_seg_cli.train import train

CONTEXT = {"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 100}


class Commands(click.Group):
    """Commands whose errors are one sentence, and no traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (ValueError, OSError, ImportError) as error:
            if ctx.params.get("traceback"):
                raise
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:
            click.echo("\nStopped. The same command goes on from here.", err=True)
            sys.exit(130)


@click.group(cls=Commands, context_settings=CONTEXT)
@click.version_option(package_name="deel_seg")
@click.option("--traceback", is_flag=True, help="Show where an error came from.")
def main(traceback: bool) -> None:
    """Semantic segmentation with proved robustness.

    A network whose Lipschitz constant is known turns one forward pass into guarantees that hold
    for every attack within an l2 budget.

    \b
    First:  deel-seg certify model.keras photographs/ --eps 0.05,0.1,0.25 --out certified/
    Then:   open certified/report.html in a browser, or look at certified/results.csv

    Exit codes: 0 done; 1 refused, with the reason; 2 wrong usage; 3 done, but some pictures could
    not be read; 130 stopped by hand, and the same command goes on.
    """


for command in (certify, report, audit, train, evaluate, sweep, export):
    main.add_command(command)
