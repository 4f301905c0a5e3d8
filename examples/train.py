"""Trains a segmentation network on any data set, reports its certificates, and can be resumed.

    python examples/train.py --data camvid --root DIR --size 120 160 --config S --out runs/camvid_s

Optimiser and schedule are the paper's (appendix F): AdamW, weight decay 1e-4, cosine to 1e-6. The
learning rate is 5e-3, better than the paper's 1e-3 for layers kept on the manifold. Called again
with the same arguments after it was stopped, the run goes on from its last complete epoch, on the
batches that it would have seen. On several devices it is the same run, see docs/devices.md; the
batch is that of all of them together. The output folder then holds

    arguments.json   what was asked for
    last.keras       model and optimiser after the last epoch
    best.keras       the epoch with the best monitored value on the validation split
    history.csv      one row an epoch
    results.json     the best model's metrics and certificates on the test split
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from deel_seg_cli.training.run import run_training
from deel_seg_cli.training.settings import TrainingSettings


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", default="shapes", help="data set name, see deel_seg.data.load")
    add("--root", help="folder of the data set")
    add("--options", type=json.loads, default={}, help="JSON with the data set's own options")
    add("--size", type=int, nargs=2, default=(64, 64), metavar=("HEIGHT", "WIDTH"))
    add("--train-split", default="train")
    add("--validation-split", help='none if "", by default val where there is one')
    add("--test-split", help="by default test (val for cityscapes)")
    add("--model", default="LipDeepLabV3", help="a model class of deel_seg")
    add("--config", default="S", help="name of a config, or JSON with its values")
    add("--model-options", type=json.loads, default={}, help="JSON, other arguments of the model")
    add("--loss", choices=("crossentropy", "cosine", "hkr"), default="crossentropy")
    add("--temperature", type=float, default=20.0, help="of the crossentropy")
    add("--alpha", type=float, default=10.0, help="weight of the hinge in hkr")
    add("--min-margin", type=float, default=0.1, help="of the hinge in hkr")
    add("--epochs", type=int, default=40)
    add("--batch-size", type=int, default=8)
    add("--learning-rate", type=float, default=5e-3)
    add("--weight-decay", type=float, default=1e-4)
    add("--augmentation", type=json.loads, default={}, help="JSON with values of Augmentation")
    add("--noise", type=float, default=0.0, help="on training images, for randomized smoothing")
    add("--eps", type=float, nargs="+", default=[0.05, 0.1, 0.25], help="budgets to report")
    add("--monitor-eps", type=float, default=0.1, help="budget of the CRPA seen in training")
    add("--seed", type=int, default=0)
    add("--dtype", default="float32", help="dtype policy, such as mixed_bfloat16")
    add("--jit-compile", action="store_true", help="use XLA on a processor too, where it is slower")
    add("--remat-parts", type=int, default=1, help="train in less memory, see LipschitzModel")
    add("--strategy", default="none", help="over several devices, or machines")
    add("--out", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Trains, evaluates, and writes the results down."""
    values = vars(parse_arguments())
    out = values.pop("out")
    try:
        results = run_training(TrainingSettings(**values), out)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    print(json.dumps(results["metrics"], indent=1))


if __name__ == "__main__":
    main()
