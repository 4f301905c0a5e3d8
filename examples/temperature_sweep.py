"""Trains a Lipschitz network at several temperatures, and shows what accuracy costs in robustness.

    python examples/temperature_sweep.py                  about a quarter of an hour on two cores
    python examples/temperature_sweep.py --toy            less than a minute, only to see it run
    python examples/temperature_sweep.py --objective crpa accuracy against certified accuracy

Stopped, the same command goes on. The output folder then holds sweep.csv, sweep.md, sweep.json,
the Pareto front in pareto.png, and the trained networks below trials/. Needs keras-tuner and
matplotlib: pip install 'deel_seg[tuner,visualize]'. The command `deel-seg sweep` does the same on
any data set.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import deel_seg
from deel_seg.certificates import CRPA, PixelAccuracy, StabilityRadius
from deel_seg.tuning import SegmentationHyperModel, sweep


def main() -> None:
    """Runs the sweep, prints the table, writes the tables and the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--toy", action="store_true", help="tiny networks, one short epoch")
    parser.add_argument("--objective", choices=("stability", "crpa"), default="stability")
    parser.add_argument("--out", type=Path, default=Path("runs/temperature_sweep"))
    arguments = parser.parse_args()

    temperatures = [1.0, 20.0] if arguments.toy else [1.0, 3.0, 10.0, 30.0, 100.0]
    size, images, epochs = (16, 8, 1) if arguments.toy else (64, 256, 8)
    info = deel_seg.data.info("shapes")
    ignore = info.ignore_class
    steps = deel_seg.data.steps_per_epoch("shapes", "train", num_images=images)

    # The first objective is drawn upwards, the second one sideways.
    accuracy = PixelAccuracy(ignore_class=ignore)
    stability, crpa = StabilityRadius(0.5, ignore_class=ignore), CRPA(0.1, ignore_class=ignore)
    hypermodel = SegmentationHyperModel(
        num_classes=info.num_classes,
        metrics=[accuracy, crpa, stability],
        steps=epochs * steps,
        ignore_class=ignore,
        config={"widths": (8,) if arguments.toy else (32, 64), "aspp_rates": (2, 4)},
        temperature=temperatures,
    )
    found = sweep(
        hypermodel,
        # Every trial sees the same batches, and a trial that goes on those that it would have seen.
        lambda epoch: deel_seg.data.load(
            "shapes", "train", size, num_images=images, augment=True, repeat=True,
            initial_epoch=epoch,
        ),
        deel_seg.data.load("shapes", "val", size, num_images=max(images // 4, 8)),
        objectives=[accuracy, crpa if arguments.objective == "crpa" else stability],
        epochs=epochs,
        steps_per_epoch=steps,
        folder=arguments.out,
    )  # fmt: skip
    print(found)
    print("On the Pareto front: " + "; ".join(trial.name for trial in found.front()) + ".")
    for file in found.save(arguments.out):
        print(file)


if __name__ == "__main__":
    main()
