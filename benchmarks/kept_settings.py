"""Measures the settings that a file of results lacks, and keeps each as soon as it is there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import check_same_machine, describe_machine


def measure_missing(
    file: Path,
    backend: str,
    settings: Mapping[str, Any],
    names: Sequence[str],
    measure: Callable[[Any], dict[str, Any]],
    *,
    force: bool,
) -> None:
    """Adds settings to a file.

    Args:
        file: The JSON file, made if need be; it is of one machine and one set of versions.
        backend: Keras' backend.
        settings: All there are, by name.
        names: Those asked for; all if there is none.
        measure: From a setting to its results.
        force: Whether to measure what is there once more.
    """
    if unknown := sorted(set(names) - set(settings)):
        raise SystemExit(f"There are the settings {list(settings)}. Received: settings={unknown}")
    machine = describe_machine(backend)
    found: dict[str, Any] = {"machine": machine, "backend": backend, "settings": {}}
    if file.exists():
        found = json.loads(file.read_text())
        check_same_machine(found["machine"], machine)
    for name in names or settings:
        if name in found["settings"] and not force:
            continue
        print(f"{name} ...", flush=True)
        found["settings"][name] = measure(settings[name])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(found, indent=1) + "\n")
