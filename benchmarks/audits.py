"""Audits the networks that `benchmarks/trainings.py` has trained, and keeps what it found.

    python benchmarks/audits.py                 all whose checkpoint is in runs/NAME
    python benchmarks/audits.py camvid_s        some of them
    python benchmarks/audits.py --runs FOLDER   whose checkpoints are in FOLDER/NAME

Images of the test split are where the lower estimate is searched: real data is looked for in the
folder that DEEL_SEG_DATA names. `benchmarks/report.py` makes the table of it.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import deel_seg  # noqa: E402
from benchmarks.checkpoints import best_checkpoint, for_each_run  # noqa: E402
from benchmarks.trainings import RUNS  # noqa: E402

IMAGES = 8
ITERATIONS = 30


def audit_run(name: str, folder: Path) -> dict[str, object]:
    """Audits the best checkpoint of a run on images of its test split."""
    model, images = best_checkpoint(name, folder, IMAGES)
    start = time.perf_counter()
    deel_seg.lipschitz.audit(model)
    seconds = time.perf_counter() - start
    found = deel_seg.lipschitz.audit(model, images, iterations=ITERATIONS)
    print(found.verdict, flush=True)
    return {**found.to_dict(), "seconds": seconds, "images": IMAGES, "iterations": ITERATIONS}


if __name__ == "__main__":
    for_each_run(audit_run, "audit.json", list(RUNS), "Audits the trained networks.")
