"""The runway experiment on images and masks of one's own.

    python benchmarks/paper/runway_folder.py DIR --num-classes 2 --size 64 64 --folder runs/mine

DIR holds train/images, train/masks, test/images and test/masks, as the data set "folder" of
`deel_seg.data.load` has them. Networks, attacks and budgets are those of the scale, and the last
epoch's network is attacked. Called again after it was stopped, it goes on.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.paper.run import all_trainings, measure  # noqa: E402
from benchmarks.paper.runway import EXPERIMENT  # noqa: E402
from benchmarks.paper.scales import SCALES  # noqa: E402
from benchmarks.paper.sections import report  # noqa: E402
from benchmarks.paper.training import train  # noqa: E402


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("data", type=Path, help="folder of the images and masks")
    add("--num-classes", type=int, default=2)
    add("--class-id", type=int, default=1, help="the class that is to vanish")
    add("--test-split", default="test")
    add("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="by default the scale's")
    add("--images", type=int, help="how many are attacked; by default as the scale says")
    add("--eps", type=float, default=1.0, help="budget, in l2, of images in [0, 1]")
    add("--scale", choices=list(SCALES), default="small")
    add("--folder", type=Path, default=ROOT / "runs" / "runway-folder", help="of everything")
    return parser.parse_args()


def main() -> None:
    """Trains, attacks, certifies, and prints the table."""
    arguments = parse_arguments()
    scale = SCALES[arguments.scale]
    settings = replace(
        scale.runway,
        data="folder",
        options={"num_classes": arguments.num_classes},
        class_id=arguments.class_id,
        test_split=arguments.test_split,
        size=tuple(arguments.size or scale.runway.size),
        images=arguments.images or scale.runway.images,
        eps=arguments.eps,
    )
    scale = replace(scale, runway=settings)
    folder, roots = arguments.folder.resolve(), {"folder": str(arguments.data.resolve())}
    for training in all_trainings([EXPERIMENT], scale, roots, folder):
        training.check_data()
        print(f"training {training.name}", flush=True)
        train(training)
    measure(EXPERIMENT, scale, folder, roots, "benchmarks/paper/runway_folder.py")
    print(report(folder / "results"))


if __name__ == "__main__":
    main()
