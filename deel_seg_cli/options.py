"""Arguments that several commands take."""

from __future__ import annotations

from typing import Any

import click


class Numbers(click.ParamType):
    """Numbers, one after the other: `0.05,0.1,0.25`."""

    name = "NUMBERS"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(float(part) for part in value.split(",") if part.strip())
        except ValueError:
            self.fail(f"{value!r} is no list of numbers such as 0.05,0.1,0.25", param, ctx)


class Size(click.ParamType):
    """A size in pixels: `512` or `512x1024`, height first."""

    name = "SIZE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        parts = str(value).lower().split("x")
        if len(parts) not in (1, 2) or not all(part.isdigit() and int(part) for part in parts):
            self.fail(f"{value!r} is no size such as 512 or 512x1024", param, ctx)
        return int(parts[0]), int(parts[-1])


class Mapping(click.ParamType):
    """Values of a label file and their classes: `11:255,12:3`."""

    name = "VALUE:CLASS,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[int, int]:
        if isinstance(value, dict):
            return value
        try:
            pairs = [part.split(":") for part in value.split(",")]
            return {int(source): int(label) for source, label in pairs}
        except ValueError:
            self.fail(f"{value!r} is no mapping such as 11:255,12:3", param, ctx)


def as_json(value: Any) -> str:
    """JSON to print."""
    from deel_seg._json import as_json  # The library takes seconds to import.

    return as_json(value)


eps_option = click.option(
    "--eps",
    type=Numbers(),
    default="0.05,0.1,0.25",
    help="Budgets: l2 norms over all pixels and channels of a picture, in [0, 1] each.",
)
json_option = click.option(
    "--json", "json_", is_flag=True, help="Print the result as JSON, and nothing else."
)
