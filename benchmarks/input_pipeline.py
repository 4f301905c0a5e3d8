"""Images a second that the data pipeline gives, beside what training of config S takes.

    python benchmarks/input_pipeline.py --root DIR      DIR holds CamVid; a minute on two cores

CamVid at 128x128 in batches of 8, augmented, through `deel_seg.data.load`. The first epoch decodes
pictures, the later ones find their pixels in memory. Writes benchmarks/results/input_pipeline.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402

import deel_seg  # noqa: E402
from benchmarks import training  # noqa: E402
from benchmarks.machine import describe_machine  # noqa: E402
from benchmarks.orthogonium_training import summary  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "input_pipeline.json"


def images_a_second(root: Path, size: int, batch_size: int, epochs: int) -> dict[str, Any]:
    """Of the first epoch, and of the later ones."""
    data = deel_seg.data.load(
        "camvid", "train", size, root=root, batch_size=batch_size, augment=True
    )
    rates = []
    for _ in range(epochs):
        start, count = time.perf_counter(), 0
        for images, _ in data:
            count += len(images)
        rates.append(count / (time.perf_counter() - start))
    return {"images": count, "first_epoch": rates[0], "later": summary(rates[1:])}


def main() -> None:
    """Measures both and writes the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, required=True, help="the folder of CamVid")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    size, batch_size = arguments.size, arguments.batch_size
    rates = images_a_second(arguments.root, size, batch_size, arguments.epochs)
    setting = training.Setting("S", size, batch_size, turns=1, steps=1)
    model, data = training.network("LipDeepLabV3", setting, "auto"), training.batches(setting)
    training.fit_seconds(model, data, 1)
    steps = [training.fit_seconds(model, data, 1) for _ in range(arguments.steps)]
    trained = summary(batch_size / np.asarray(steps))
    found = {
        "machine": describe_machine("tensorflow"),
        "size": size,
        "batch_size": batch_size,
        "pipeline": rates,
        "training": trained,
        "ratio": rates["later"]["median"] / trained["median"],
        "ratio_of_first_epoch": rates["first_epoch"] / trained["median"],
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps({key: found[key] for key in ("ratio", "ratio_of_first_epoch")}))


if __name__ == "__main__":
    main()
