"""A small network and a folder of pictures that are awkward in every way."""

from __future__ import annotations

import functools
from pathlib import Path

import keras
import numpy as np
from PIL import Image

import deel_seg
from deel_seg.export import CertifiedPredictor
from deel_seg.folders import open_predictor

EPS = [0.0, 0.05, 0.2, 1.0]


@functools.cache
def predictor() -> CertifiedPredictor:
    """A network of three classes with its constant."""
    keras.utils.set_random_seed(0)
    config = {"widths": [8], "aspp_rates": [2]}
    return open_predictor(deel_seg.LipDeepLabV3(config, num_classes=3, name="small"))


def write_pictures(folder: Path) -> None:
    """Two pictures of one size, others of other sizes and kinds, and labels of most of them."""
    generator = np.random.default_rng(0)
    images, labels = folder / "images", folder / "labels"
    (images / "more").mkdir(parents=True)
    (labels / "more").mkdir(parents=True)
    for name, size in {"a": (9, 14), "b": (9, 14), "more/c": (16, 8), "d": (5, 3)}.items():
        colours = generator.integers(0, 256, (*size, 3), "uint8")
        Image.fromarray(colours).save(images / f"{name}.png")
        classes = generator.integers(0, 3, size).astype("uint8")
        classes[0, :2] = 255
        if name != "d":
            Image.fromarray(classes).save(labels / f"{name}.png")
    Image.fromarray(generator.integers(0, 256, (7, 7), "uint8")).save(images / "grey.png")
    alpha = generator.integers(0, 256, (6, 10, 4), "uint8")
    Image.fromarray(alpha).save(images / "transparent.png")
    (images / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
