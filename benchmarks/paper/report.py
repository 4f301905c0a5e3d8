"""Writes the tables and figures of docs/reproduction.md from the results of the experiments.

    python benchmarks/paper/report.py runs/paper-small    takes the results of a run, and writes
    python benchmarks/paper/report.py                     writes anew from those taken before
    python benchmarks/paper/report.py --check             fails if the page is not what they give

What was taken is in benchmarks/results/paper: tables and plots are made of that alone.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import pages  # noqa: E402
from benchmarks.paper.experiments import EXPERIMENTS  # noqa: E402
from benchmarks.paper.sections import how_it_was_made, read_results, section  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "paper"
PAGE = ROOT / "docs" / "reproduction.md"
IMAGES = ROOT / "docs" / "images"
MISSING = "*Not measured yet: there is no result of the last version of this experiment.*"


def page(text: str, results: dict[str, dict[str, Any]], total: dict[str, Any] | None) -> str:
    """The page with what the results give between its marks."""
    parts = {name: _part(stored) for name, stored in results.items()}
    parts["made"] = how_it_was_made(results, total)
    for name in ("made", *EXPERIMENTS):
        part = pages.Part(name, "benchmarks/paper/report.py")
        text = part.replaced(text, parts.get(name) or MISSING)
    return text


def read_total(folder: Path) -> dict[str, Any] | None:
    """Seconds of the whole run, if it was one."""
    path = folder / "total.json"
    return json.loads(path.read_text()) if path.exists() else None


def take(run: Path) -> None:
    """Copies results, and the pictures that may be published."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    for path in sorted((run / "results").glob("*.json")):
        shutil.copy(path, RESULTS / path.name)
    IMAGES.mkdir(parents=True, exist_ok=True)
    for stored in read_results(RESULTS).values():
        for name in stored["result"].get("published", []):
            shutil.copy(run / "pictures" / f"{name}.png", IMAGES / f"paper_{name}.png")


def draw(results: dict[str, dict[str, Any]]) -> None:
    """Writes all plots."""
    for name, stored in results.items():
        figures = EXPERIMENTS[name].figures
        for file, figure in (figures(stored["result"]) if figures else {}).items():
            figure.savefig(IMAGES / f"{file}.png", dpi=110)


def _part(stored: dict[str, Any]) -> str:
    """Table and figures of a result."""
    experiment = EXPERIMENTS[stored["name"]]
    drawn = list(experiment.figures(stored["result"])) if experiment.figures else []
    drawn += [f"paper_{name}" for name in stored["result"].get("published", [])]
    pictures = [f"![{experiment.title}](images/{file}.png)" for file in drawn]
    return "\n\n".join([section(stored), *pictures])


def main() -> None:
    """Takes results, and writes or compares the page."""
    parser = pages.parser(__doc__)
    parser.add_argument("run", nargs="?", type=Path, help="folder of benchmarks/paper/run.py")
    arguments = parser.parse_args()
    if arguments.run is not None:
        take(arguments.run)
    results, text = read_results(RESULTS), PAGE.read_text()
    made = page(text, results, read_total(RESULTS))
    if not arguments.check:
        draw(results)
    pages.write_or_check(PAGE, made, check=arguments.check)


if __name__ == "__main__":
    main()
