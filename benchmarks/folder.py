"""Times `deel-seg certify` on a folder against a bare loop over the compiled predictor.

    python benchmarks/folder.py            what `deel-seg certify --no-report` does
    python benchmarks/folder.py --report   what it does with the report, page not included

Config S with 19 classes on noise, or, with `--model FILE --pictures DIR`, a trained network on
pictures, as PNG files. The bare loop calls the exported predictor on images that are in memory
already, and waits for each: one by one, and in batches as large as those of `certify_folder`, which
reads, certifies and writes the folder. All by turns, and without what they compile for the first
batches; see `middle`. Writes
benchmarks/results/folder.json, folder_with_report.json or folder_of_pictures.json;
`benchmarks/report_performance.py` makes the table.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

import deel_seg  # noqa: E402
from benchmarks.machine import describe_machine  # noqa: E402
from deel_seg.export import CertifiedPredictor, certified_predictor  # noqa: E402
from deel_seg.folders import certify_folder  # noqa: E402
from deel_seg.folders.batches import at_once  # noqa: E402
from deel_seg.folders.kept import Kept  # noqa: E402
from deel_seg.folders.pictures import find_pictures  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
CLASSES = 19
FIRST = 2  # Batches that are not timed: they compile, and what follows them has not begun.
BARE, TOGETHER, FOLDER = "bare loop", "in the same batches", "folder"


def draw(folder: Path, count: int, size: int, pictures: Path | None) -> list[np.ndarray]:
    """Writes pictures, or noise, in one size, and returns them as a network takes them."""
    if pictures is None:
        generator = np.random.default_rng(0)
        images = list(generator.integers(0, 256, (count, size, size, 3), "uint8"))
    else:
        found = itertools.cycle(find_pictures(pictures).values())
        images = [of_size(path, size) for path in itertools.islice(found, count)]
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index:04}.png", compress_level=1)
    return [(image[None] / np.float32(255)).astype("float32") for image in images]


def of_size(path: Path, size: int) -> np.ndarray:
    """A picture, stretched to a square."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB").resize((size, size), Image.Resampling.BICUBIC))


def bare(predictor: CertifiedPredictor, images: list[np.ndarray], batch: int, group: int) -> float:
    """Seconds an image of a loop over the predictor."""
    done = []
    for start in range(0, len(images), batch):
        for value in predictor(np.concatenate(images[start : start + batch])).values():
            keras.ops.convert_to_numpy(value)
        done += batch * [time.perf_counter()]
    return middle(done, group)


def folder_of(
    predictor: CertifiedPredictor, images: Path, out: Path, report: bool, group: int
) -> float:
    """Seconds an image of a folder."""
    done = []

    def keep(self: Kept, *values: Any) -> None:
        kept(self, *values)
        done.append(time.perf_counter())

    kept = Kept.keep
    with mock.patch.object(Kept, "keep", keep):
        eps = predictor.manifest.eps
        certify_folder(predictor, images, out, eps=eps, report=report, verbose=0)
    return middle(done, group)


def middle(done: list[float], group: int) -> float:
    """Seconds an image, from the times at which each was done.

    The mean of the middle half of the times that so many in a row took, but for the first: what
    else runs on a machine disturbs some of them many times over.
    """
    between = np.sort(np.diff(done[group - 1 :: group])[FIRST - 1 :])
    quarter = len(between) // 4
    return float(between[quarter : len(between) - quarter].mean() / group)


def measure(size: int, number: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds of all three, and how much of a bare loop's throughput the folder has."""
    keras.utils.set_random_seed(0)
    if arguments.model is None:
        network = deel_seg.LipDeepLabV3(arguments.config, num_classes=CLASSES)
    else:
        network = keras.models.load_model(arguments.model, compile=False)
    predictor = certified_predictor(network, eps=[0.05, 0.1, 0.25])
    pictured = "noise" if arguments.pictures is None else "/".join(arguments.pictures.parts[-2:])
    group, turns, report = at_once((size, size)), arguments.turns, arguments.report
    count = max(number // group, FIRST + 2) * group
    seconds: dict[str, list[float]] = {BARE: [], TOGETHER: [], FOLDER: []}
    with tempfile.TemporaryDirectory() as place:
        pictures = Path(place) / "pictures"
        pictures.mkdir()
        images = draw(pictures, count, size, arguments.pictures)
        for turn in range(turns):
            seconds[BARE].append(bare(predictor, images, 1, group))
            seconds[TOGETHER].append(bare(predictor, images, group, group))
            out = Path(place) / f"out{turn}"
            seconds[FOLDER].append(folder_of(predictor, pictures, out, report, group))
    shares = {
        name: [one / other for one, other in zip(seconds[name], seconds[FOLDER], strict=True)]
        for name in (BARE, TOGETHER)
    }
    return {
        "config": arguments.config, "trained": arguments.model is not None,
        "pictures": pictured, "batch_size": group,
        "size": size, "images": count, "turns": turns, "report": report,
        "seconds": seconds, "shares": shares,
    }  # fmt: skip


def main() -> None:
    """Measures, and writes down what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--config", default="S")
    add("--sizes", type=int, nargs="+", default=[128, 512])
    add("--images", type=int, nargs="+", default=[256, 40], help="one number for each size")
    add("--turns", type=int, default=5)
    add("--model", type=Path, help="a trained network, in place of a new one of --config")
    add("--pictures", type=Path, help="folder of pictures, in place of noise")
    add("--report", action="store_true", help="find what a report shows too")
    add("--out", type=Path, help="by default below benchmarks/results")
    arguments = parser.parse_args()
    name = "folder_with_report.json" if arguments.report else "folder.json"
    if arguments.pictures is not None:
        name = "folder_of_pictures.json"
    out = arguments.out or RESULTS / name
    found = []
    for size, images in zip(arguments.sizes, arguments.images, strict=True):
        found.append(measure(size, images, arguments))
        for name, shares in found[-1]["shares"].items():
            print(f"{size}: {np.median(shares):.3f} of the throughput of {name}", flush=True)
    backend = keras.backend.backend()
    result = {"machine": describe_machine(backend), "backend": backend, "settings": found}
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
