"""A certified folder to be reported on, with names that no page should trust."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from PIL import Image

from deel_seg.folders import certify_folder
from tests.folders.certified_folder import predictor

HOSTILE = "<script>alert(1)<script>.png"
QUOTED = "\" onmouseover='x' ünï 滑走路.png"
REFUSED = "broken <img src=x>.jpg"
EPS = [0.05, 0.2, 1.0]
SIZE = (9, 14)


@functools.cache
def _content() -> tuple[list[np.ndarray], np.ndarray]:
    generator = np.random.default_rng(3)
    pictures = [generator.integers(0, 256, (*SIZE, 3), "uint8") for _ in range(2)]
    classes = generator.integers(0, 3, SIZE).astype("uint8")
    classes[0, :2] = 255
    return pictures, classes


def certify(folder: Path, **options: object) -> Path:
    """Certifies a picture with labels and one without, beside a file that is none."""
    images, labels, out = folder / "images", folder / "labels", folder / "out"
    if not images.exists():
        images.mkdir()
        labels.mkdir()
        pictures, classes = _content()
        for name, pixels in zip((HOSTILE, QUOTED), pictures, strict=True):
            Image.fromarray(pixels).save(images / name)
        Image.fromarray(classes).save(labels / HOSTILE)
        (images / REFUSED).write_bytes(b"no picture")
    chosen = {"eps": EPS, "labels": labels, "report": True, "verbose": 0, **options}
    certify_folder(predictor(), images, out, **chosen)  # type: ignore[arg-type]
    return out
