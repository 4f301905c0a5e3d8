"""Audits the networks that `benchmarks/trainings.py` has trained, and keeps what it found.

    python benchmarks/audits.py                 all whose checkpoint is in runs/NAME
    python benchmarks/audits.py camvid_s        some of them
    python benchmarks/audits.py --runs FOLDER   whose checkpoints are in FOLDER/NAME

Images of the test split are where the lower estimate is searched: real data is looked for in the
folder that DEEL_SEG_DATA names. `benchmarks/report.py` makes the table of it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import keras
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import deel_seg  # noqa: E402
from benchmarks.trainings import RESULTS, RUNS  # noqa: E402

IMAGES = 8
ITERATIONS = 30


def audit_run(name: str, folder: Path) -> dict[str, object]:
    """Audits the best checkpoint of a run on images of its test split."""
    arguments = json.loads((RESULTS / name / "results.json").read_text())["arguments"]
    model = keras.models.load_model(folder / name / "best.keras", compile=False)
    data = deel_seg.data.load(arguments["data"], "test", arguments["size"], batch_size=IMAGES)
    images = np.asarray(next(iter(data))[0])
    start = time.perf_counter()
    deel_seg.lipschitz.audit(model)
    seconds = time.perf_counter() - start
    found = deel_seg.lipschitz.audit(model, images, iterations=ITERATIONS)
    print(found.verdict, flush=True)
    return {**found.to_dict(), "seconds": seconds, "images": IMAGES, "iterations": ITERATIONS}


def main() -> None:
    """Audits what there is a checkpoint of."""
    parser = argparse.ArgumentParser(description="Audits the trained networks.")
    parser.add_argument("names", nargs="*", default=list(RUNS), help="names of runs")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs", help="folder of the runs")
    arguments = parser.parse_args()
    for name in arguments.names:
        if not (arguments.runs / name / "best.keras").exists():
            print(f"{name}: no checkpoint in {arguments.runs}", flush=True)
            continue
        print(name, flush=True)
        found = audit_run(name, arguments.runs)
        (RESULTS / name / "audit.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
