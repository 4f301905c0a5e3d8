"""Compares the strong suite with every published attack, at equal gradients, and with CRPA.

    python benchmarks/attacks.py                            the runs camvid_s and camvid_m1
    python benchmarks/attacks.py camvid_s --runs FOLDER     one, its checkpoint in FOLDER/camvid_s

The suite goes first; each attack is then given as many gradients of an image as the suite took at
that budget. Attacks of minimal norm are told, as their threshold, what the suite left of each image
there, and the budget as the norm to expect; what they find is scaled into the ball, too. Counted is
the least accuracy of all points within the budget. A value below CRPA ends it all with an error.
Every image is kept as soon as it is done, in benchmarks/results/attacks.json, and the same command
goes on from there; `benchmarks/report_attacks.py` makes the tables of it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import ops  # noqa: E402

import deel_seg  # noqa: E402
from benchmarks.checkpoints import arguments_of, best_checkpoint, spread_images  # noqa: E402
from benchmarks.machine import check_same_machine, describe_machine  # noqa: E402
from benchmarks.paper.soundness import check_sound  # noqa: E402
from benchmarks.published_attacks import published, with_our_loss  # noqa: E402
from benchmarks.trainings import RESULTS  # noqa: E402
from deel_seg.attacks import Attack, AttackSuite  # noqa: E402
from deel_seg.attacks.ball import exactly_inside  # noqa: E402
from deel_seg.certificates import worst_case_pixel_accuracy  # noqa: E402

FILE = RESULTS / "attacks.json"
NAMES = ("camvid_s", "camvid_m1")
BUDGETS = (0.5, 1.0, 3.0)
SUITE = "suite"


class Case(NamedTuple):
    """A network with the images that it is attacked on."""

    model: Any
    images: np.ndarray
    labels: np.ndarray
    ignore_class: int
    temperature: float
    constant: float

    @classmethod
    def of_run(cls, name: str, folder: Path, count: int) -> Case:
        """A trained network, on images of its test split."""
        model, _ = best_checkpoint(name, folder, 1)
        arguments = arguments_of(name)
        ignored = deel_seg.data.info(arguments["data"]).ignore_class
        images, labels = spread_images(name, count)
        constant = float(model.proved_constant())
        return cls(model, images, labels, ignored, arguments["temperature"], constant)

    def image(self, row: int) -> Case:
        """One of its images."""
        rows = slice(row, row + 1)
        return self._replace(images=self.images[rows], labels=self.labels[rows])

    def first(self, count: int) -> Case:
        """Its first images."""
        return self._replace(images=self.images[:count], labels=self.labels[:count])

    def accuracy(self, images: np.ndarray) -> np.ndarray:
        """Pixel accuracy of each image."""
        right = ops.convert_to_numpy(self.model(images)).argmax(-1) == self.labels
        kept = self.labels != self.ignore_class
        return np.sum(right & kept, axis=(1, 2)) / np.sum(kept, axis=(1, 2))

    def certified(self, budgets: Any) -> np.ndarray:
        """CRPA, `(images, budgets)`."""
        bound = worst_case_pixel_accuracy(
            self.model(self.images), self.labels, eps=budgets,
            lipschitz_constant=self.constant, ignore_class=self.ignore_class,
        )  # fmt: skip
        return ops.convert_to_numpy(bound)


def attacked(
    case: Case, attack: Attack | AttackSuite, eps: float, told: np.ndarray
) -> tuple[np.ndarray, int]:
    """Least accuracy of each image within a budget, and the gradients that it took."""
    options: dict[str, Any] = {"ignore_class": case.ignore_class, "batch_size": len(case.images)}
    minimal = isinstance(attack, Attack) and attack.minimal
    options |= {"threshold": told, "expected_norm": eps} if minimal else {"eps": eps}
    found = attack(case.model, case.images, case.labels, **options)
    least = found.envelope.accuracy(eps)
    if minimal:
        budgets = np.full(len(case.images), eps)
        scaled = exactly_inside(found.images, case.images, budgets)
        least = np.minimum(least, case.accuracy(scaled))
    return least, found.evaluations


def compare(case: Case, found: dict[str, Any], budgets: list[float], keep: Any) -> None:
    """Carries out what `found` has not got yet; `keep` is called after each image."""
    certified = case.certified(budgets)
    found.setdefault("crpa", certified.T.tolist())
    found.setdefault("clean", case.accuracy(case.images).tolist())
    suite = AttackSuite("strong", temperature=case.temperature)
    others: dict[str, Attack] = {}
    for number, eps in enumerate(budgets):
        at_eps = found.setdefault("attacks", {}).setdefault(f"{eps:g}", {})
        carry_out(case, SUITE, suite, eps, certified[:, number], at_eps, keep)
        if not others:  # Once, for what is compiled is kept with an attack.
            steps = at_eps[SUITE]["gradients"]
            others = {**published(steps, case.temperature), **with_our_loss(steps)}
        for name, attack in others.items():
            carry_out(case, name, attack, eps, certified[:, number], at_eps, keep)


def carry_out(
    case: Case,
    name: str,
    attack: Attack | AttackSuite,
    eps: float,
    certified: np.ndarray,
    at_eps: dict[str, Any],
    keep: Any,
) -> None:
    """Attacks the images that an attack has not got a value for yet, one by one."""
    kept = at_eps.setdefault(name, {"accuracy": [], "seconds": []})
    for row in range(len(kept["accuracy"]), len(case.images)):
        print(f"  eps {eps:g}: {name}, image {row + 1} of {len(case.images)}", flush=True)
        told = np.array(at_eps[SUITE]["accuracy"][row : row + 1])
        start = time.perf_counter()
        least, kept["gradients"] = attacked(case.image(row), attack, eps, told)
        check_sound(least, certified[row : row + 1], f"{name}'s accuracy")
        kept["accuracy"].append(float(least[0]))
        kept["seconds"].append(time.perf_counter() - start)
        keep()


def main() -> None:
    """Compares, and writes the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("names", nargs="*", default=list(NAMES), help="names of runs")
    add("--runs", type=Path, default=ROOT / "runs", help="folder of the runs")
    add("--images", type=int, default=4)
    add("--eps", type=float, nargs="+", default=list(BUDGETS))
    add("--out", type=Path, default=FILE)
    arguments = parser.parse_args()
    found = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    here = describe_machine(keras.backend.backend())
    check_same_machine(found.setdefault("machine", here), here)

    def keep() -> None:
        partial = arguments.out.with_suffix(".partial")
        partial.write_text(json.dumps(found, indent=1) + "\n")
        partial.replace(arguments.out)

    for name in arguments.names:
        if not (arguments.runs / name / "best.keras").exists():
            print(f"{name}: no checkpoint in {arguments.runs}", flush=True)
            continue
        print(name, flush=True)
        settings = {"images": arguments.images, "eps": sorted(arguments.eps)}
        of_run = found.setdefault("networks", {}).setdefault(name, {"settings": settings})
        if of_run["settings"] != settings:
            raise SystemExit(f"{arguments.out} was made with {of_run['settings']}.")
        case = Case.of_run(name, arguments.runs, arguments.images)
        eps = " ".join(f"{each:g}" for each in settings["eps"])
        options = f"--images {arguments.images} --eps {eps}"
        of_run["command"] = f"python benchmarks/attacks.py {name} {options}"
        of_run["size"] = list(case.images.shape[1:3])
        of_run["constant"] = case.constant
        compare(case, of_run, settings["eps"], keep)


if __name__ == "__main__":
    main()
