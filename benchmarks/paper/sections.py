"""Results as Markdown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.paper.experiments import EXPERIMENTS

Result = dict[str, Any]


def read_results(folder: Path) -> dict[str, Result]:
    """The results that a folder has, in the order of the experiments."""
    paths = {name: folder / f"{name}.json" for name in EXPERIMENTS}
    return {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}


def section(stored: Result) -> str:
    """The table of a result, and how it was made."""
    made = [f"{stored['seconds'] / 60:.1f} minutes"]
    if stored["resumed"]:
        made = [f"{made[0]} in the last of several calls"]
    names = ", ".join(stored["made_from"]["weights"]) or "none"
    table = EXPERIMENTS[stored["name"]].table(stored["result"])
    return f"{table}\n\nMeasured in {made[0]}; trained networks: {names}."


def how_it_was_made(results: dict[str, Result], total: dict[str, Any] | None) -> str:
    """Commands, machines, versions and times of all results."""
    lines = []
    for label, values in (
        ("Command", [stored["command"] for stored in results.values()]),
        ("Machine", [_machine(stored["machine"]) for stored in results.values()]),
        ("Versions", [_versions(stored["machine"]) for stored in results.values()]),
    ):
        lines += [f"- {label}: {value}" for value in dict.fromkeys(values)]
    if total is not None:
        lines.append(
            f"- Time: {total['trainings'] / 60:.0f} minutes of training and "
            f"{total['experiments'] / 60:.0f} of measuring"
        )
    return "\n".join(lines)


def report(folder: Path) -> str:
    """All tables of a folder of results."""
    results = read_results(folder)
    path = folder / "total.json"
    total = json.loads(path.read_text()) if path.exists() else None
    parts = [f"## {EXPERIMENTS[name].title}\n\n{section(results[name])}" for name in results]
    return "\n\n".join([how_it_was_made(results, total), *parts]) + "\n"


def _machine(machine: dict[str, Any]) -> str:
    return f"{machine['device']}, {machine['cores']} cores"


def _versions(machine: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
