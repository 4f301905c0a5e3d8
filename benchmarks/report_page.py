"""How large the page of a folder's report is, and how long a browser takes to open it.

    python benchmarks/report_page.py              200 drawn pictures of 512x512
    python benchmarks/report_page.py --images 20

The files that the page is made of are drawn, not certified: classes are smooth noise, and radii the
distance of the two largest values, as rough as a trained network's. The numbers on the page are
certificates of nothing. The browser is the Chromium of PySide6: pip install 'deel_seg[browser]'.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np
from scipy import ndimage

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.machine import describe_machine  # noqa: E402
from deel_seg.folders.explored import REPORT, budget_levels, lost_pixels, seen  # noqa: E402
from deel_seg.folders.stops import budget_stops  # noqa: E402
from deel_seg.report import write_report  # noqa: E402
from tests.report.browser import browse  # noqa: E402

CLASSES = 5
DIFFERENT = 20  # Drawing takes long; the page holds every picture whole all the same.
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


def smooth(generator: np.random.Generator, shape: tuple[int, ...], width: float) -> np.ndarray:
    """Noise of standard deviation 1, even over so many pixels."""
    drawn = ndimage.gaussian_filter(generator.normal(size=shape), (width, width, 0))
    return drawn / drawn.std()


def shares(radius: np.ndarray, stops: list[float]) -> np.ndarray:
    """Share of the pixels left when the smallest radii are lost first."""
    totals = np.cumsum(np.sort(radius.ravel().astype("float64")) ** 2)
    lost = np.searchsorted(totals, np.square(stops), side="right")
    return (np.floor((radius.size - lost) / radius.size * 2**24) / 2**24).astype("float32")


def regions_of(predicted: np.ndarray) -> np.ndarray:
    """Numbers of connected regions of one class."""
    found = [ndimage.label(predicted == number)[0] for number in range(CLASSES)]
    return sum(5 * each + number for number, each in enumerate(found))


def draw(seed: int, size: int, stops: list[float]) -> dict[str, np.ndarray]:
    """What would lie in `maps/` of one picture."""
    generator = np.random.default_rng(seed)
    shape = (size, size, CLASSES)
    logits = 0.2 * smooth(generator, shape, 24) + 0.02 * smooth(generator, shape, 3)
    order = np.argsort(logits, axis=-1).astype("uint8")
    values = np.sort(logits, axis=-1)
    radius = ((values[..., -1] - values[..., -2]) / np.sqrt(2)).astype("float32")
    predicted, labels = order[..., -1], np.roll(order[..., -1], 3, axis=0)
    counted, right = np.ones(radius.shape, bool), labels == predicted
    crs, crpa = shares(radius, stops), shares(np.where(right, radius, 0), stops)
    lost, lost_right = lost_pixels(crs, radius.size), lost_pixels(crpa, radius.size)
    lost_right = lost_right - int((~right).sum())
    levels = budget_levels(
        np.argsort(radius.ravel(), kind="stable"),
        radius.ravel(),
        stops,
        lost,
        counted.ravel(),
        lost_right,
        right.ravel(),
    )
    levels["level"] = levels["level"].reshape(radius.shape)
    colours = np.clip(128 + 16 * smooth(generator, (size, size, 3), 1.5), 0, 255)
    more = {
        "stops": np.array(stops), "crs": crs, "crpa": crpa, "lost_count": lost,
        "lost_right_count": lost_right, **levels, "second": order[..., -2], "labels": labels,
        "region_level": (10 + regions_of(predicted) % 30).astype("uint8"),
        "regions": np.empty((0, 4)), "regions_held": np.zeros(len(stops) + 1, int),
        "jpeg": seen((0.7 * colours + 12 * predicted[..., None]).astype("uint8")),
        "channels": np.array(3),
    }  # fmt: skip
    found = {"predicted": predicted, "radius": radius, "class_pixels": np.zeros((3, CLASSES), int)}
    return {**found, **{REPORT + name: value for name, value in more.items()}}


def write_files(folder: Path, images: int, size: int) -> None:
    """Writes what `certify_folder` would have written."""
    (folder / "maps").mkdir(parents=True)
    stops, rows, drawn = budget_stops(EPS), [], []
    for number in range(images):
        if number < DIFFERENT:
            drawn.append(draw(number, size, stops))
        name, found = f"{number:03}.png", drawn[number % DIFFERENT]
        np.savez(folder / "maps" / f"{name}.npz", **found)
        row = {"image": name, "height": size, "width": size, "pixels": size * size}
        row["accuracy"] = float(found["report/crpa"][0])
        for kind in ("crpa", "crs"):
            row |= {f"{kind}@{eps}": float(found[REPORT + kind][stops.index(eps)]) for eps in EPS}
        rows.append({**row, "note": ""})
        print(f"\r{number + 1} of {images} drawn", end="", flush=True)
    with (folder / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (folder / "summary.json").write_text(json.dumps({
        "images": {"refused": {}}, "data_set": {},
        "settings": {"network": "drawn", "eps": EPS, "input_range": [0.0, 1.0], "tile": None,
                     "overlap": 0, "lipschitz_constant": 1.0, "logit_tolerance": 0.0,
                     "constant_obtained": "drawn, not proved", "deel_seg": version("deel_seg")},
    }))  # fmt: skip
    manifest = {"input_shape": [None, None, None, 3], "logit_tolerance_obtained": "drawn"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    audit = {"layers": [], "verdict": "Drawn, no network.", "certified": None}
    (folder / "audit.json").write_text(json.dumps(audit))


def measure(images: int, size: int, page: Path | None) -> dict[str, object]:
    """Draws the files, writes the page and opens it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "out"
        write_files(folder, images, size)
        start = time.perf_counter()
        written = write_report(folder)
        writing = time.perf_counter() - start
        page = written if page is None else Path(shutil.copy(written, page))
        found = browse(
            page,
            [
                {"until": SHOWN},
                {"js": "performance.now()"},
                {"js": "performance.timing.loadEventEnd - performance.timing.navigationStart"},
                {"js": "document.getElementById('picture').options.length"},
                {"js": STEP},
            ],
        )
        shown, loaded, explored, step = found["results"]
        return {
            "machine": describe_machine(keras.backend.backend()),
            "images": images,
            "size": size,
            "in_explorer": int(explored),
            "megabytes": page.stat().st_size / 1e6,
            "seconds_to_write": writing,
            "seconds_to_load": loaded / 1e3,
            "seconds_to_first_picture": shown / 1e3,
            "milliseconds_a_slider_step": step,
            "console": found["console"],
        }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--page", type=Path, help="Where to keep the page.")
    given = parser.parse_args()
    result = measure(given.images, given.size, given.page)
    given.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
