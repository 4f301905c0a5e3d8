"""Writes the table of docs/smoothing.md from the files that `benchmarks/smoothing.py` wrote.

python benchmarks/report_smoothing.py            writes it, between its two marks
python benchmarks/report_smoothing.py --check    fails if it is not what the files give
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import pages  # noqa: E402
from benchmarks.report import table  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "smoothing.md"
PART = pages.Part("times", "benchmarks/report_smoothing.py")


def times(found: dict[str, Any]) -> str:
    """The table, and what it says."""
    header = [
        "image", "certificate, s", "sampling, s", "statistics, s", "published statistics, s",
        "smoothing / certificate", "published / certificate",
    ]  # fmt: skip
    rows = []
    for size, seconds in found["sizes"].items():
        fast = seconds["sampling"] + seconds["statistics"]
        published = seconds["sampling"] + seconds["published_statistics"]
        rows.append(
            [
                f"{size}x{size}",
                *(
                    f"{seconds[key]:.3g}"
                    for key in ("certificate", "sampling", "statistics", "published_statistics")
                ),
                f"{fast / seconds['certificate']:.0f}",
                f"{published / seconds['certificate']:.0f}",
            ]
        )
    machine = found["machine"]
    return f"""{table(header, rows)}

Config S with 19 classes, {found["samples"]} samples; {machine["device"]}, {machine["cores"]} cores.
A certificate is a forward pass and CRPA at one budget. The published statistics are a vote and a
binomial test of scipy for each pixel in Python: what is in the last column beyond the one before it
comes of that, and not of smoothing. (`python benchmarks/smoothing.py`)"""


def page(text: str) -> str:
    """The page with the table of the files that there are."""
    file = RESULTS / "smoothing_tensorflow.json"
    return PART.replaced(text, times(json.loads(file.read_text())))


if __name__ == "__main__":
    pages.main(PAGE, page, __doc__)
