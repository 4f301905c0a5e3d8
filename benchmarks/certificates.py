"""Times the certificates beside one pass over the logits and beside the obvious code.

    python benchmarks/certificates.py                                  everything: hours
    python benchmarks/certificates.py --sizes 64x64 --batches 1        some of it
    python benchmarks/certificates.py --only crpa obvious --force      again, in place of the old
    python benchmarks/certificates.py --memory                         peak memory, of each in turn
    KERAS_BACKEND=jax python benchmarks/certificates.py --out FILE     on JAX, such as on a GPU

All candidates of a case take turns, so that whatever slows the machine down for a while slows all
of them; a candidate left out before is timed later together with a floor of its own. PyTorch is
timed if it is installed. Rows go to benchmarks/results as soon as they are there, and a row that
is there is not measured again. `benchmarks/report_certificates.py` makes the page of them.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.certificate_candidates import (  # noqa: E402
    BACKEND,
    candidates,
    extra_bytes,
    wanted_names,
)
from benchmarks.certificate_logits import draw  # noqa: E402
from benchmarks.certificate_memory import peak_of  # noqa: E402
from benchmarks.machine import available_bytes, check_same_machine, describe_machine  # noqa: E402
from benchmarks.turns import take_turns  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
SIZES = ("256x256", "1024x1024", "1024x2048")
CLASSES = (2, 19, 150)
BATCHES = (1, 8)
FLOORS = ("floor/graph", "floor/eager")
# JAX hands the work over and returns: a queue of calls shows what the device itself needs.
QUEUED = 10 if BACKEND == "jax" else 0
Rows = dict[str, Any]


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--sizes", nargs="+", default=SIZES, metavar="HEIGHTxWIDTH")
    add("--classes", nargs="+", type=int, default=CLASSES)
    add("--batches", nargs="+", type=int, default=BATCHES)
    add("--repeats", type=int, default=25, help="turns of a candidate")
    add("--seconds", type=float, default=8.0, help="a slow candidate takes fewer turns, at least 3")
    add("--only", nargs="+", default=(), help="candidates with one of these words in their name")
    add("--data", choices=("smooth", "iid"), default="smooth", help="kind of logits")
    add("--memory", action="store_true", help="measure peak memory and not time")
    add("--force", action="store_true", help="measure again what is there")
    add("--out", type=Path, help="by default benchmarks/results/certificates_BACKEND.json")
    return parser.parse_args()


def read(path: Path) -> Rows:
    """What is there already."""
    return json.loads(path.read_text()) if path.exists() else {"cases": {}, "memory": {}}


def write(path: Path, rows: Rows) -> None:
    """Replaces the file in one step: a run may be stopped at any time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(rows, indent=1) + "\n")
    partial.replace(path)


def say(text: str) -> None:
    """Progress."""
    print(text, file=sys.stderr, flush=True)


def time_case(
    case: tuple[str, int, int], names: list[str], arguments: argparse.Namespace
) -> dict[str, Any]:
    """Times some candidates on the logits of a case; a reason stands for what is left out."""
    size, classes, batch = case
    height, width = map(int, size.split("x"))
    pixels = batch * height * width
    logits_bytes, available = 4 * classes * pixels, available_bytes(BACKEND)
    found: dict[str, Any] = {}
    for name in names:
        needed = logits_bytes + extra_bytes(name, logits_bytes, pixels)
        if needed > available:
            found[name] = {"left_out": f"needs {needed / 1e9:.0f} GB"}
    if any(name in found for name in FLOORS):
        return {name: found[FLOORS[0]] for name in names}
    drawn = draw((height, width), classes, batch, kind=arguments.data)
    timed = candidates([name for name in names if name not in found], drawn)
    for name in [name for name, candidate in timed.items() if candidate.left_out]:
        found[name] = {"left_out": timed.pop(name).left_out}
    measured = take_turns(timed, arguments.repeats, arguments.seconds, QUEUED, say)
    floor = min((measured[name] for name in FLOORS), key=lambda row: row["median"])
    for row in measured.values():
        row["floor"] = floor["median"]
        if QUEUED:
            row["queued"]["floor"] = floor["queued"]["median"]
    return {**found, **measured}


def time_all(path: Path, rows: Rows, names: list[str], arguments: argparse.Namespace) -> None:
    """Times what is not there yet, case by case."""
    for case in itertools.product(arguments.sizes, arguments.classes, arguments.batches):
        size, classes, batch = case
        key = f"{size}x{classes} batch {batch} {arguments.data}"
        there = rows["cases"].setdefault(key, {})
        missing = [name for name in names if arguments.force or name not in there or name in FLOORS]
        if not set(missing) - set(FLOORS):
            continue
        say(f"{key}: {len(missing)} candidates, load {os.getloadavg()[0]:.1f}")
        there.update(time_case(case, missing, arguments))
        write(path, rows)
        gc.collect()


def measure_memory(path: Path, rows: Rows, names: list[str], arguments: argparse.Namespace) -> None:
    """Measures peak memory at the sizes asked for, with one image."""
    for size, classes in itertools.product(arguments.sizes, arguments.classes):
        there = rows["memory"].setdefault(f"{size}x{classes} {arguments.data}", {})
        for name in names:
            if arguments.force or name not in there:
                there[name] = peak_of(name, size, classes, arguments.data)
                say(f"{size}x{classes} {name}: {there[name]}")
                write(path, rows)


def main() -> None:
    """Measures what is not there yet."""
    arguments = parse_arguments()
    path = arguments.out or RESULTS / f"certificates_{BACKEND}.json"
    rows = read(path)
    here = describe_machine(BACKEND)
    if rows["cases"]:
        check_same_machine(rows["machine"], here)
    rows["machine"] = here
    measure = measure_memory if arguments.memory else time_all
    measure(path, rows, wanted_names(arguments.only), arguments)


if __name__ == "__main__":
    main()
