"""The paper's tables and figures: trains what they need, and measures what has no result yet.

    python benchmarks/paper/run.py small --data DIR                over an hour on two cores
    python benchmarks/paper/run.py small table_1 figure_3          some of them
    python benchmarks/paper/run.py full --root cityscapes=DIR --root oxford_pets=DIR ...

DIR of `--data` holds the data sets in folders of their names; without it the environment variable
DEEL_SEG_DATA names it, and without that it is shared/data beside the repository. Called again after
it was stopped, it goes on. A result that was made with other numbers or other weights is measured
again; a training with other arguments is refused. The folder then holds

    runs/NAME              what examples/train.py writes of each training
    results/NAME.json      what was measured, with command, numbers, versions and machine
    results/total.json     seconds of everything
    report.md              the tables, beside the paper's
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BESIDE = ROOT.parent / "shared" / "data"  # Where the tests look for real data, too.
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402

import deel_seg  # noqa: E402
from benchmarks.machine import describe_machine  # noqa: E402
from benchmarks.paper.experiment import Context, Experiment, fingerprint, key_of  # noqa: E402
from benchmarks.paper.experiments import EXPERIMENTS  # noqa: E402
from benchmarks.paper.scales import SCALES, SEED, Scale  # noqa: E402
from benchmarks.paper.sections import report  # noqa: E402
from benchmarks.paper.training import Training, train  # noqa: E402


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("scale", choices=list(SCALES))
    add("names", nargs="*", metavar="name", help=f"of {', '.join(EXPERIMENTS)}; by default all")
    add("--folder", type=Path, help="of everything; by default runs/paper-SCALE")
    add("--data", type=Path, help="folder of all data sets")
    add("--root", action="append", default=[], metavar="NAME=DIR", help="folder of one data set")
    arguments = parser.parse_args()
    for name in arguments.names:
        if name not in EXPERIMENTS:
            parser.error(f"there is no {name!r}: {', '.join(EXPERIMENTS)}")
    if not all("=" in root for root in arguments.root):
        parser.error("--root takes NAME=DIR")
    return arguments


def all_trainings(
    experiments: list[Experiment], scale: Scale, roots: dict[str, str], folder: Path
) -> list[Training]:
    """Every run that is needed, once."""
    found: dict[str, Training] = {}
    for experiment in experiments:
        for run, options in experiment.trainings(scale).items():
            name = options[options.index("--data") + 1]
            root = ["--root", roots[name]] if name in roots else []
            training = Training(run, [*options, *root], folder / "runs" / run)
            if found.setdefault(run, training) != training:
                raise ValueError(f"Two experiments ask for different runs. Received: {run=}")
    return list(found.values())


def measure(
    experiment: Experiment,
    scale: Scale,
    folder: Path,
    roots: dict[str, str],
    script: str = "benchmarks/paper/run.py",
) -> float:
    """Measures what has no result yet, and returns its seconds."""
    path = folder / "results" / f"{experiment.name}.json"
    made_from = fingerprint(experiment, scale, folder)
    if path.exists():
        there = json.loads(path.read_text())
        if there["made_from"] == made_from:
            print("  is there already", flush=True)
            return float(there["seconds"])
        print("  was made with other numbers or weights: measured again", flush=True)
    context = Context(scale, folder, roots, key_of(made_from))
    resumed = any(context.folder_of(experiment.name).iterdir())
    keras.utils.set_random_seed(SEED)
    start = time.perf_counter()
    result = experiment.run(context)
    seconds = time.perf_counter() - start
    write(
        path,
        {
            "name": experiment.name,
            "scale": scale.name,
            "command": command(sys.argv[1:], script),
            "seed": SEED,
            "made_from": made_from,
            "machine": describe_machine(keras.backend.backend()),
            "seconds": seconds,
            "resumed": resumed,
            "result": result,
        },
    )
    return seconds


def command(words: list[str], script: str = "benchmarks/paper/run.py") -> str:
    """The command as it is published: without the folders of a machine."""
    found = ["python", script]
    for before, word in zip(["", *words], words, strict=False):
        name = {"--data": "DIR", "--folder": "DIR", "--root": f"{word.split('=')[0]}=DIR"}
        found.append(name.get(before, word))
    return shlex.join(found)


def write(path: Path, value: Any) -> None:
    """Writes JSON; a kill while writing leaves the file before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value, indent=1) + "\n")
    partial.replace(path)


def main() -> None:
    """Trains, measures, and writes the report."""
    arguments = parse_arguments()
    if arguments.data is not None:
        os.environ["DEEL_SEG_DATA"] = str(arguments.data.resolve())
    elif BESIDE.is_dir():
        os.environ.setdefault("DEEL_SEG_DATA", str(BESIDE))
    scale = SCALES[arguments.scale]
    folder = (arguments.folder or ROOT / "runs" / f"paper-{scale.name}").resolve()
    roots = dict(root.split("=", 1) for root in arguments.root)
    experiments = [EXPERIMENTS[name] for name in arguments.names or EXPERIMENTS]
    trainings = all_trainings(experiments, scale, roots, folder)
    for training in trainings:
        training.check_data()
    start, seconds = time.perf_counter(), {"trainings": 0.0, "experiments": 0.0}
    pieces = len(trainings) + len(experiments)

    def say(number: int, what: str) -> None:
        elapsed = time.perf_counter() - start
        print(f"{number} of {pieces}, {elapsed / 60:.1f} min: {what}", flush=True)

    for number, training in enumerate(trainings, start=1):
        say(number, f"training {training.name}")
        seconds["trainings"] += train(training)
    for number, experiment in enumerate(experiments, start=len(trainings) + 1):
        say(number, experiment.title)
        seconds["experiments"] += measure(experiment, scale, folder, roots)
    machine = describe_machine(keras.backend.backend())
    total = {"seconds": sum(seconds.values()), **seconds, "machine": machine}
    if not arguments.names:
        write(folder / "results" / "total.json", total)
    (folder / "report.md").write_text(report(folder / "results"))
    print(f"{total['seconds'] / 60:.1f} minutes in all. {folder / 'report.md'}", flush=True)


if __name__ == "__main__":
    # Whoever ends the command ends the training that it waits for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    print(f"deel_seg {deel_seg.__version__}", flush=True)
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit("Stopped. Called again, it goes on.") from None
