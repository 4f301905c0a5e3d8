"""Kvasir-SEG, polyps in colonoscopy.

Jha et al., Kvasir-SEG: A Segmented Polyp Dataset, MMM 2020.
"""

from __future__ import annotations

from pathlib import Path

from deel_seg.data.dataset_info import DatasetInfo, distinct_colours
from deel_seg.data.examples import Examples
from deel_seg.data.pairs import (
    examples_of,
    find_root,
    pair_by_stem,
    read_list,
    select_stems,
)
from deel_seg.data.read import ThresholdLabels

LAYOUT = (
    "images/X.jpg and masks/X.png or masks/X.jpg; if present, train.txt, val.txt and test.txt "
    "with one X a line."
)

INFO = DatasetInfo(
    name="kvasir",
    class_names=("background", "polyp"),
    palette=distinct_colours(2),
    splits=("train", "val", "test"),
)


def describe() -> DatasetInfo:
    """Returns the classes and splits."""
    return INFO


def open_split(split: str, size: tuple[int, int], root: str | Path | None) -> Examples:
    """Lists the pairs of a split; a mask is polyp from grey level 128 on.

    The data set has no official split. Without lists, the sorted names are cut into the
    first 80 percent for `train`, the next 10 for `val` and the rest for `test`.
    """
    folder = find_root(INFO.name, root, ("kvasir", "Kvasir-SEG"), LAYOUT)
    pairs = pair_by_stem(folder / "images", folder / "masks", LAYOUT)
    source = folder / f"{split}.txt"
    if any((folder / f"{name}.txt").exists() for name in INFO.splits):
        stems = [Path(name).stem for name, *_ in read_list(source, LAYOUT, columns=1)]
        pairs = select_stems(pairs, stems, source)
    else:
        source = folder / "images"
        low, high = {"train": (0, 8), "val": (8, 9), "test": (9, 10)}[split]
        pairs = pairs[len(pairs) * low // 10 : len(pairs) * high // 10]
    return examples_of(pairs, size, ThresholdLabels(), source=source)
