"""Trains a small Lipschitz network on drawn shapes, certifies it, and pictures the certificates.

python examples/quickstart.py          about three minutes on two cores
python examples/quickstart.py --toy    a few seconds, only to see it run
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np

import deel_seg
from deel_seg.certificates import (
    CRPA,
    PixelAccuracy,
    StabilityRadius,
    pixel_accuracy_radius,
    worst_case_pixel_accuracy,
)
from deel_seg.losses import TemperatureCrossentropy

BUDGETS = [0.05, 0.1, 0.25, 0.5]
FIGURES = {0.1: "certificates.png", 0.25: "certificates_025.png"}


def main() -> None:
    """Trains, prints the certificates on the test split, writes the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--toy", action="store_true", help="tiny network, one short epoch")
    parser.add_argument("--out", type=Path, default=Path("runs/quickstart"))
    arguments = parser.parse_args()
    keras.utils.set_random_seed(0)

    size, images, epochs = (32, 16, 1) if arguments.toy else (64, 512, 16)
    widths = (8, 16) if arguments.toy else (32, 64, 64)
    info = deel_seg.data.info("shapes")
    train = deel_seg.data.load("shapes", "train", size, num_images=images, augment=True)
    validation, test = (
        deel_seg.data.load("shapes", split, size, num_images=max(images // 8, 8))
        for split in ("val", "test")
    )

    config = deel_seg.models.DeepLabV3Config(widths=widths, block="residual", aspp_rates=(2, 4))
    model = deel_seg.LipDeepLabV3(config, num_classes=info.num_classes)
    print(f"{model.count_params()} weights, Lipschitz constant {model.lipschitz_constant}")

    ignore = info.ignore_class
    steps = epochs * len(train)
    model.compile(
        keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(5e-3, steps, 1e-3)),
        TemperatureCrossentropy(20.0, ignore_class=ignore),
        # The metrics take the constant from the model.
        metrics=[
            PixelAccuracy(ignore_class=ignore),
            CRPA(0.1, ignore_class=ignore),
            StabilityRadius(0.5, ignore_class=ignore),
        ],
        jit_compile=False,  # on a CPU, XLA makes convolutions slower
    )
    model.fit(train, epochs=epochs, validation_data=validation)

    accuracies, bounds, radii, stabilities = [], [], [], []
    constant = model.lipschitz_constant
    options = {"lipschitz_constant": constant, "ignore_class": ignore}
    for batch, labels in test:
        logits = model.predict_on_batch(batch)
        bounds.append(worst_case_pixel_accuracy(logits, labels, eps=BUDGETS, **options))
        radii.append(pixel_accuracy_radius(logits, labels, threshold=0.5, **options))
        stabilities.append(deel_seg.certificates.stability_radius(logits, **options))
        accuracies.append(worst_case_pixel_accuracy(logits, labels, eps=0.0, **options))
    print("\nMeans over the test images; budgets are l2 norms of a change to an image in [0, 1]:")
    print(f"  pixel accuracy without attack              {_mean(accuracies):.3f}")
    for eps, bound in zip(BUDGETS, np.nanmean(np.concatenate(bounds), axis=0), strict=True):
        print(f"  certified under any attack of budget {eps:<5g} {bound:.3f}")
    print(f"  budget needed to change half the pixels    {_mean(stabilities):.3f}  (stability@50)")
    print(f"  budget needed to halve the accuracy to 0.5 {_mean(radii):.3f}")

    batch, labels = next(iter(test))
    logits = model.predict_on_batch(batch)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for eps, name in FIGURES.items():
        figure = deel_seg.visualize.certified_figure(
            batch[0], logits[0], labels[0], eps=eps, **options,
            class_names=info.class_names, palette=info.palette,
        )  # fmt: skip
        path = arguments.out / name
        figure.savefig(path, dpi=120)
        print(f"\nFigure: {path}")


def _mean(batches: list) -> float:
    return float(np.nanmean(np.concatenate([np.asarray(batch) for batch in batches])))


if __name__ == "__main__":
    main()
