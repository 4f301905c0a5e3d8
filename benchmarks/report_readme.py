"""Writes the table of README.md from the files under benchmarks/results.

python benchmarks/report_readme.py            writes it, between its two marks
python benchmarks/report_readme.py --check    fails if it is not what the files give
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import mean
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import pages  # noqa: E402
from benchmarks.report import table  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "README.md"
PART = pages.Part("figures", "benchmarks/report_readme.py")


def read(name: str) -> dict[str, Any]:
    """One file of the results."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def accuracy_rows() -> list[list[str]]:
    """What the proof costs, and what it is worth."""
    lipschitz, twin = (read(f"camvid_{name}/results")["metrics"] for name in ("s", "twin"))
    link = "[results](docs/results.md)"
    return [
        [
            "pixel accuracy: Lipschitz, unconstrained",
            f"{100 * lipschitz['pixel_accuracy']:.1f} %, {100 * twin['pixel_accuracy']:.1f} %",
            link,
        ],
        [
            "mean IoU: Lipschitz, unconstrained",
            f"{100 * lipschitz['mean_iou']:.1f} %, {100 * twin['mean_iou']:.1f} %",
            link,
        ],
        [
            "certified pixel accuracy at budgets of 0.1, 0.25",
            f"{100 * lipschitz['crpa@0_1']:.1f} %, {100 * lipschitz['crpa@0_25']:.1f} %",
            link,
        ],
        [
            "budget that it takes to change half of an image's predictions, mean",
            f"{lipschitz['stability@50']:.2f}",
            link,
        ],
    ]


def attack_row() -> list[str]:
    """How near attacks come to the certificate, at the least budget they were tried at."""
    found = read("attacks")["networks"]["camvid_s"]
    eps, attacks = next(iter(found["attacks"].items()))
    left, certified = mean(attacks["suite"]["accuracy"]), mean(found["crpa"][0])
    return [
        f"accuracy at a budget of {float(eps):g}, {len(found['clean'])} images: certified, "
        "left by the strongest attacks",
        f"{100 * certified:.1f} %, {100 * left:.1f} %",
        "[attacks](docs/attacks.md)",
    ]


def cost_rows() -> list[list[str]]:
    """What certificates and training take."""
    smoothing = read("smoothing_tensorflow")
    seconds = smoothing["networks"]["S"]["1024"]
    times = (seconds["sampling"] + seconds["statistics"]) / seconds["certificate"]
    training = read("training_tensorflow")["settings"]["S_128_8"]["ratio"]["median"]
    constant = read("camvid_s/audit")
    return [
        [
            "forward pass and certificate of one image of 1024x1024",
            f"{seconds['certificate']:.2f} s",
            "[smoothing](docs/smoothing.md)",
        ],
        [
            f"randomized smoothing with {smoothing['samples']} samples, times that",
            f"{times:.0f}",
            "[smoothing](docs/smoothing.md)",
        ],
        [
            "a training step, 8 images of 128x128, times that of the unconstrained twin",
            f"{training:.2f}",
            "[performance](docs/performance.md)",
        ],
        [
            "Lipschitz constant: by design, proved from the trained weights",
            f"{constant['by_design']:g}, {constant['certified']:.6f}",
            "[results](docs/results.md)",
        ],
    ]


def figures() -> str:
    """The table, and what was measured."""
    machine = read("smoothing_tensorflow")["machine"]
    rows = [*accuracy_rows(), attack_row(), *cost_rows()]
    return f"""{table(["what", "measured", "more"], rows)}

Config S, on the test split of CamVid at 160x120 where it says nothing else; {machine["cores"]} CPU
cores, no GPU."""


def page(text: str) -> str:
    """README.md with the table that the files give."""
    return PART.replaced(text, figures())


if __name__ == "__main__":
    pages.main(PAGE, page, __doc__)
