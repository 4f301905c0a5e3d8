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
PAPER = 600  # About what its table 1 has.
PART = pages.Part("times", "benchmarks/report_smoothing.py")


def times(found: dict[str, Any]) -> str:
    """The table, and what it says."""
    header = [
        "network", "image", "certificate, s", "sampling, s", "statistics, s",
        "published statistics, s", "smoothing / certificate", "published / certificate",
    ]  # fmt: skip
    rows = [
        row_of(name, size, seconds)
        for name, sizes in found["networks"].items()
        for size, seconds in sizes.items()
    ]
    machine = found["machine"]
    return f"""{table(header, rows)}

Networks with 19 classes, {found["samples"]} samples; {machine["device"]}, {machine["cores"]} cores.
A certificate is a forward pass and CRPA at one budget. The published statistics are a vote and a
binomial test of scipy for each pixel in Python. {shares(found)} of the last column is that
reference implementation, and not smoothing: beside a good one the column before it is what a
certificate by a constant saves. These statistics take as long whatever the network, so that they
weigh the more the faster it is. Of these rows, more than the paper's factor of {PAPER}:
{above(found)}.
(`python benchmarks/smoothing.py`)"""


def shares(found: dict[str, Any]) -> str:
    """How much of the published method's time its statistics are."""
    percents = [
        100 * each["published_statistics"] / (each["sampling"] + each["published_statistics"])
        for sizes in found["networks"].values()
        for each in sizes.values()
    ]
    return f"Between {min(percents):.0f} and {max(percents):.0f} %"


def above(found: dict[str, Any]) -> str:
    """The rows with a larger factor than the paper's."""
    names = [
        f"{name} at {size}x{size}"
        for name, sizes in found["networks"].items()
        for size, seconds in sizes.items()
        if seconds["sampling"] + seconds["published_statistics"] > PAPER * seconds["certificate"]
    ]
    return ", ".join(names) or "none"


def row_of(name: str, size: str, seconds: dict[str, float]) -> list[str]:
    """A network at a size."""
    names = ("certificate", "sampling", "statistics", "published_statistics")
    fast = seconds["sampling"] + seconds["statistics"]
    published = seconds["sampling"] + seconds["published_statistics"]
    return [
        name,
        f"{size}x{size}",
        *(f"{seconds[each]:.3g}" for each in names),
        f"{fast / seconds['certificate']:.0f}",
        f"{published / seconds['certificate']:.0f}",
    ]


def page(text: str) -> str:
    """The page with the table of the files that there are."""
    file = RESULTS / "smoothing_tensorflow.json"
    return PART.replaced(text, times(json.loads(file.read_text())))


if __name__ == "__main__":
    pages.main(PAGE, page, __doc__)
