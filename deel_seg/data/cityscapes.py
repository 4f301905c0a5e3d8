"""Cityscapes, street scenes in nineteen classes.

Cordts et al., The Cityscapes Dataset for Semantic Urban Scene Understanding, CVPR 2016.
"""

from __future__ import annotations

from pathlib import Path

from deel_seg.data.dataset_info import VOID, Colour, DatasetInfo
from deel_seg.data.examples import Examples
from deel_seg.data.pairs import Pair, examples_of, find_root, require
from deel_seg.data.read import IndexLabels

LAYOUT = (
    "leftImg8bit/{split}/{city}/X_leftImg8bit.png and gtFine/{split}/{city}/X_gtFine_labelIds.png."
)
_IMAGE_END, _LABEL_END = "_leftImg8bit.png", "_gtFine_labelIds.png"

# (id in the files, name, customary colour), in the order of the official training ids.
_CLASSES: tuple[tuple[int, str, Colour], ...] = (
    (7, "road", (128, 64, 128)),
    (8, "sidewalk", (244, 35, 232)),
    (11, "building", (70, 70, 70)),
    (12, "wall", (102, 102, 156)),
    (13, "fence", (190, 153, 153)),
    (17, "pole", (153, 153, 153)),
    (19, "traffic light", (250, 170, 30)),
    (20, "traffic sign", (220, 220, 0)),
    (21, "vegetation", (107, 142, 35)),
    (22, "terrain", (152, 251, 152)),
    (23, "sky", (70, 130, 180)),
    (24, "person", (220, 20, 60)),
    (25, "rider", (255, 0, 0)),
    (26, "car", (0, 0, 142)),
    (27, "truck", (0, 0, 70)),
    (28, "bus", (0, 60, 100)),
    (31, "train", (0, 80, 100)),
    (32, "motorcycle", (0, 0, 230)),
    (33, "bicycle", (119, 11, 32)),
)
_IDS_IN_FILES = 34

INFO = DatasetInfo(
    name="cityscapes",
    class_names=tuple(name for _, name, _ in _CLASSES),
    palette=tuple(colour for _, _, colour in _CLASSES),
    splits=("train", "val"),
)


def describe() -> DatasetInfo:
    """Returns the classes and splits; the labels of the test split are not public."""
    return INFO


def open_split(split: str, size: tuple[int, int], root: str | Path | None) -> Examples:
    """Lists the finely annotated pairs of a split; ids outside the 19 classes become void."""
    folder = find_root(INFO.name, root, ("cityscapes", "Cityscapes"), LAYOUT)
    images = require(folder / "leftImg8bit" / split, LAYOUT)
    labels = require(folder / "gtFine" / split, LAYOUT)
    pairs: list[Pair] = []
    for image in sorted(images.glob(f"*/*{_IMAGE_END}")):
        name = image.name.removesuffix(_IMAGE_END)
        pairs.append((image, labels / image.parent.name / f"{name}{_LABEL_END}"))
    mapping = dict.fromkeys((*range(_IDS_IN_FILES), VOID), VOID)
    mapping.update({value: label for label, (value, _, _) in enumerate(_CLASSES)})
    return examples_of(pairs, size, IndexLabels.of(mapping), source=images)
