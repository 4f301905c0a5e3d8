"""Evaluates a trained model: accuracy, certificates, attacks and smoothing, over budgets.

    python examples/evaluate.py runs/camvid_s/best.keras --data camvid --size 120 160
    python examples/evaluate.py MODEL --data kvasir --size 128 --attacks fast --sigma 0.25

With `--out` every batch is kept there, so that a run that was stopped goes on, and the table is
written as CSV, Markdown and JSON.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras

import deel_seg
from deel_seg.attacks import AttackSuite
from deel_seg.smoothing import SegCertify

TEST_SPLITS = {"cityscapes": "val"}  # the labels of its test split are not public


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("model", type=Path, help="a .keras file")
    add("--data", default="shapes", help="data set, as `deel_seg.data.load` names it")
    add("--root", type=Path, help="its folder; by default below DEEL_SEG_DATA")
    add("--split", help="by default the test split")
    add("--size", type=int, nargs="+", default=[32], help="height and width, or one for both")
    add("--images", type=int, help="how many; by default all")
    add("--batch-size", type=int, default=8)
    add("--eps", type=float, nargs="+", default=[0.0, 0.1, 0.25, 0.5])
    add("--positive-class", type=int, help="class whose false negative rate is certified")
    add("--attacks", choices=("none", "fast", "strong"), default="none")
    add("--temperature", type=float, default=1.0, help="of the losses of attacks")
    add("--sigma", type=float, help="noise of SegCertify; without it there is none")
    add("--samples", type=int, default=100)
    add("--seeds", type=int, default=1, help="runs of SegCertify")
    add("--out", type=Path, help="folder to keep everything in")
    return parser.parse_args()


def main() -> None:
    """Evaluates, prints the table, and writes it."""
    arguments = parse_arguments()
    model = keras.models.load_model(arguments.model, compile=False)
    split = arguments.split or TEST_SPLITS.get(arguments.data, "test")
    size = arguments.size[0] if len(arguments.size) == 1 else tuple(arguments.size)
    data = deel_seg.data.load(
        arguments.data, split, size, root=arguments.root, batch_size=arguments.batch_size
    )
    info = deel_seg.data.info(arguments.data)
    steps = None if arguments.images is None else -(-arguments.images // arguments.batch_size)
    attacks = None
    if arguments.attacks != "none":
        attacks = AttackSuite(arguments.attacks, temperature=arguments.temperature)
    smoothing = None
    if arguments.sigma is not None:
        smoothing = SegCertify(
            model, max(model.output_shape[-1], 2), arguments.sigma, samples=arguments.samples
        )
    found = deel_seg.evaluate(
        model,
        data,
        eps=arguments.eps,
        ignore_class=info.ignore_class,
        positive_class=arguments.positive_class,
        certified_iou=True,
        attacks=attacks,
        smoothing=smoothing,
        smoothing_seeds=range(arguments.seeds),
        steps=steps,
        folder=None if arguments.out is None else arguments.out / "batches",
    )
    print(found)
    if arguments.out is not None:
        for suffix, text in (
            ("csv", found.to_csv()), ("md", found.to_markdown()), ("json", found.to_json()),
        ):  # fmt: skip
            (arguments.out / f"evaluation.{suffix}").write_text(text)


if __name__ == "__main__":
    main()
