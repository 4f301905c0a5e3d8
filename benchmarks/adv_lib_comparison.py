"""Compares the strong suite with the public package adv-lib, on the same network and images.

    python benchmarks/adv_lib_comparison.py camvid_s --python PYTHON --runs FOLDER

PYTHON is that of an environment with torch, numpy and adv-lib (pip install torch adv-lib); Keras is
not needed there. The network goes there as plain weights, and its logits have to agree to 1e-5.
`benchmarks/attacks.py` comes first: images, budgets, the gradients of each attack and what its
threshold is are those of benchmarks/results/attacks.json. What an attack returns is brought into
the ball of each budget and looked at by the library's network; a value below CRPA ends it all with
an error. Images that were found are kept in the run's folder, and the same command goes on from
there. Writes benchmarks/results/adv_lib.json; `benchmarks/report_attacks.py` makes a table of it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import ops  # noqa: E402

from benchmarks.attacks import FILE as ATTACKS  # noqa: E402
from benchmarks.attacks import SUITE, Case  # noqa: E402
from benchmarks.machine import describe_machine  # noqa: E402
from benchmarks.paper.soundness import check_sound  # noqa: E402
from benchmarks.torch_network import write_network  # noqa: E402
from benchmarks.trainings import RESULTS  # noqa: E402
from deel_seg.attacks.ball import exactly_inside  # noqa: E402

FILE = RESULTS / "adv_lib.json"


def write_inputs(case: Case, known: dict[str, Any], folder: Path) -> None:
    """What the other environment needs."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = case.model.vanilla_export()
    write_network(plain, folder / "network.npz")
    suites = [known["attacks"][f"{eps:g}"][SUITE] for eps in known["settings"]["eps"]]
    count = len(case.images)
    np.savez(
        folder / "inputs.npz",
        images=case.images,
        labels=case.labels,
        logits=ops.convert_to_numpy(plain(case.images)),
        temperature=case.temperature,
        eps=known["settings"]["eps"],
        steps=[suite["gradients"] for suite in suites],
        told=[suite["accuracy"][:count] for suite in suites],
    )


def left_within(case: Case, points: list[np.ndarray], eps: float) -> np.ndarray:
    """Least accuracy of each image, each of the points brought into the ball of a budget."""
    budgets = np.full(len(case.images), eps)
    inside = [exactly_inside(np.clip(each, 0, 1), case.images, budgets) for each in points]
    return np.min([case.accuracy(each) for each in inside], axis=0)


def stored_images(file: Path) -> np.ndarray:
    """What an attack returned."""
    with np.load(file) as stored:
        return stored["images"].astype("float32")


def compare(case: Case, known: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Accuracy left by each attack at each budget, whichever budget it was run for."""
    budgets = known["settings"]["eps"]
    certified = case.certified(budgets)
    found: dict[str, Any] = {f"{eps:g}": {} for eps in budgets}
    rows = range(len(case.images))
    first = folder.glob(f"{budgets[0]:g} 0 *.npz")
    for name in (file.stem.split(" ", 2)[2] for file in sorted(first, key=os.path.getmtime)):
        points = [
            np.concatenate([stored_images(folder / f"{eps:g} {row} {name}.npz") for row in rows])
            for eps in budgets
        ]
        for number, eps in enumerate(budgets):
            least = left_within(case, points, eps)
            check_sound(least[:, None], certified[:, number : number + 1], f"{name}'s accuracy")
            found[f"{eps:g}"][name] = {"accuracy": least.tolist()}
    return found


def main() -> None:
    """Attacks in the other environment, looks at what comes back, and writes the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("name", help="name of a run")
    add("--python", required=True, help="Python of an environment with torch and adv-lib")
    add("--runs", type=Path, default=ROOT / "runs", help="folder of the runs")
    add("--images", type=int, help="how many of the images; by default all of them")
    add("--folder", type=Path, help="where to keep images; by default in the run's folder")
    arguments = parser.parse_args()
    attacks = json.loads(ATTACKS.read_text()) if ATTACKS.exists() else {"networks": {}}
    if arguments.name not in attacks["networks"]:
        raise SystemExit(f"{ATTACKS} has no {arguments.name}: run benchmarks/attacks.py first.")
    known = attacks["networks"][arguments.name]
    folder = arguments.folder or arguments.runs / arguments.name / "adv_lib"
    there = known["settings"]["images"]
    count = there if arguments.images is None else arguments.images
    if not 1 <= count <= there:
        raise SystemExit(f"--images must be 1 to {there}, as many as were attacked. Got {count}.")
    case = Case.of_run(arguments.name, arguments.runs, there).first(count)
    write_inputs(case, known, folder)
    script = ROOT / "benchmarks" / "adv_lib_attacks.py"
    subprocess.run([arguments.python, str(script), str(folder)], check=True)
    found = json.loads(FILE.read_text()) if FILE.exists() else {"networks": {}}
    found["machine"] = describe_machine(keras.backend.backend())
    found["networks"][arguments.name] = {
        "command": f"python benchmarks/adv_lib_comparison.py {arguments.name} --python PYTHON"
        + ("" if arguments.images is None else f" --images {count}"),
        "images": count,
        **json.loads((folder / "about.json").read_text()),
        "attacks": compare(case, known, folder),
    }
    FILE.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
