"""How large the page of a folder's report is, and how long a browser takes to open it.

    python benchmarks/report_page.py              200 drawn pictures of 512x512
    python benchmarks/report_page.py --images 20

A network with random weights certifies drawn pictures: its radii are rougher than those of a
trained one, and the page is larger. To spare time each of `--drawn` pictures is certified once and
taken several times under other names; the page holds every one of them whole. The browser is the
Chromium of PySide6: pip install 'deel_seg[browser]'.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import deel_seg  # noqa: E402
from benchmarks.machine import describe_machine  # noqa: E402
from deel_seg.folders import certify_folder  # noqa: E402
from deel_seg.report import write_report  # noqa: E402
from tests.report.browser import browse  # noqa: E402

EPS = [0.05, 0.1, 0.25]
RESULT = ROOT / "benchmarks" / "results" / "report_page.json"
SHOWN = "document.documentElement.dataset.shown"
STEP = """(() => {
  const slider = document.getElementById("budget"), start = performance.now();
  for (let k = 0; k < 20; k += 1) {
    slider.value = k + 10;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  }
  return (performance.now() - start) / 20;
})()"""


def draw(folder: Path, count: int, size: int) -> None:
    """Writes drawn pictures and their labels."""
    for name in ("images", "labels"):
        (folder / name).mkdir()
    data = deel_seg.data.load("shapes", "train", (size, size), batch_size=1)
    for number, (image, labels) in zip(range(count), data, strict=False):
        pixels = np.round(255 * np.asarray(image)[0]).astype("uint8")
        Image.fromarray(pixels).save(folder / "images" / f"{number:03}.png")
        classes = np.asarray(labels)[0].astype("uint8")
        Image.fromarray(classes).save(folder / "labels" / f"{number:03}.png")


def repeat(folder: Path, times: int) -> None:
    """Copies pictures and labels, and what was certified of them, under other names."""
    for name, pattern in (("images", "*.png"), ("labels", "*.png"), ("out/maps", "*.npz")):
        for path in sorted((folder / name).glob(pattern)):
            for number in range(1, times):
                shutil.copy(path, path.with_name(f"{number:02}_{path.name}"))


def measure(images: int, drawn: int, size: int) -> dict[str, object]:
    """Certifies, writes the page and opens it."""
    keras.utils.set_random_seed(0)
    model = deel_seg.LipDeepLabV3({"widths": [16], "aspp_rates": [2]}, num_classes=5)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(folder, drawn, size)
        options = {"labels": folder / "labels", "eps": EPS, "report": True}
        certify_folder(model, folder / "images", folder / "out", **options)
        repeat(folder, images // drawn)
        found = certify_folder(model, folder / "images", folder / "out", **options)
        start = time.perf_counter()
        page = write_report(folder / "out")
        writing = time.perf_counter() - start
        seen = browse(
            page,
            [
                {"until": SHOWN},
                {"js": "performance.now()"},
                {"js": "performance.timing.loadEventEnd - performance.timing.navigationStart"},
                {"js": "document.getElementById('picture').options.length"},
                {"js": STEP},
            ],
        )
        shown, loaded, explored, step = seen["results"]
        return {
            "machine": describe_machine(keras.backend.backend()),
            "images": len(found.rows),
            "different_images": drawn,
            "size": size,
            "in_explorer": int(explored),
            "megabytes": page.stat().st_size / 1e6,
            "seconds_to_write": writing,
            "seconds_to_load": loaded / 1e3,
            "seconds_to_first_picture": shown / 1e3,
            "milliseconds_a_slider_step": step,
            "console": seen["console"],
        }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--drawn", type=int, default=20, help="Different ones; divides --images.")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    result = measure(given.images, min(given.drawn, given.images), given.size)
    given.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
