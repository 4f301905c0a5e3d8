"""Writes tiny data sets in the layout of the true ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 4, 6


def write_picture(path: Path, pixels: np.ndarray) -> Path:
    """Writes uint8 pixels, `(h, w)` or `(h, w, 3)`, losslessly whatever the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, format="PNG")
    return path


def image_of(value: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """One colour everywhere, so that a test can tell images apart."""
    return np.full((height, width, 3), value, np.uint8)


def labels_of(values: Sequence[int], height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """The values in turn, row by row."""
    return np.resize(np.asarray(values, np.uint8), (height, width))


def write_camvid(root: Path, stems: Sequence[str], *, prefix: str = "", split: str = "val") -> None:
    """Image `k` has colour `k`; every label file holds all values from 0 to 11."""
    lines = []
    for number, stem in enumerate(stems):
        write_picture(root / split / f"{stem}.png", image_of(number))
        write_picture(root / f"{split}annot" / f"{stem}.png", labels_of(range(12)))
        lines.append(f"{prefix}{split}/{stem}.png {prefix}{split}annot/{stem}.png\n")
    (root / f"{split}.txt").write_text("".join(lines))


def write_pets(root: Path, trainval: Sequence[str], test: Sequence[str]) -> None:
    """Every trimap holds 1, 2 and 3 in turn."""
    for stem in (*trainval, *test):
        write_picture(root / "images" / f"{stem}.jpg", image_of(7))
        write_picture(root / "annotations" / "trimaps" / f"{stem}.png", labels_of((1, 2, 3)))
    for name, stems in (("trainval", trainval), ("test", test)):
        lines = ["#Image CLASS-ID SPECIES BREED ID\n", *(f"{stem} 1 1 1\n" for stem in stems)]
        (root / "annotations" / f"{name}.txt").write_text("".join(lines))


def write_folder(root: Path, stems: Sequence[str], values: Sequence[int] = (0, 1, 2)) -> None:
    """Folders `images` and `masks`; image `k` has colour `k`."""
    for number, stem in enumerate(stems):
        write_picture(root / "images" / f"{stem}.jpg", image_of(number))
        write_picture(root / "masks" / f"{stem}.png", labels_of(values))
