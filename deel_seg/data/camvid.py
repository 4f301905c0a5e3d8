"""CamVid, road scenes in eleven classes, as prepared for SegNet.

Brostow et al., Segmentation and Recognition Using Structure from Motion Point Clouds, ECCV
2008; eleven classes as in Badrinarayanan et al., SegNet, PAMI 2017.
"""

from __future__ import annotations

from pathlib import Path

from deel_seg.data.dataset_info import VOID, DatasetInfo
from deel_seg.data.examples import Examples
from deel_seg.data.pairs import examples_of, find_root, read_list
from deel_seg.data.read import IndexLabels, identity_mapping

LAYOUT = (
    "train.txt, val.txt and test.txt with lines `train/X.png trainannot/X.png`, beside the "
    "folders train/, trainannot/, val/, valannot/, test/ and testannot/."
)
_SEGNET_VOID = 11

INFO = DatasetInfo(
    name="camvid",
    class_names=(
        "Sky",
        "Building",
        "Pole",
        "Road",
        "Pavement",
        "Tree",
        "SignSymbol",
        "Fence",
        "Car",
        "Pedestrian",
        "Bicyclist",
    ),
    # The customary colours of SegNet.
    palette=(
        (128, 128, 128),
        (128, 0, 0),
        (192, 192, 128),
        (128, 64, 128),
        (60, 40, 222),
        (128, 128, 0),
        (192, 128, 128),
        (64, 64, 128),
        (64, 0, 128),
        (64, 64, 0),
        (0, 128, 192),
    ),
    splits=("train", "val", "test"),
)


def describe() -> DatasetInfo:
    """Returns the classes and splits."""
    return INFO


def open_split(split: str, size: tuple[int, int], root: str | Path | None) -> Examples:
    """Lists the pairs of a split. Labels 0..10 stay, 11 and 255 become void.

    Paths in the lists count by their last two parts, since SegNet's own start with
    `/SegNet/CamVid/`.
    """
    folder = find_root(INFO.name, root, ("camvid", "CamVid"), LAYOUT)
    source = folder / f"{split}.txt"
    pairs = [
        (folder.joinpath(*Path(image).parts[-2:]), folder.joinpath(*Path(label).parts[-2:]))
        for image, label, *_ in read_list(source, LAYOUT, columns=2)
    ]
    mapping = {**identity_mapping(INFO.num_classes), _SEGNET_VOID: VOID}
    return examples_of(pairs, size, IndexLabels.of(mapping), source=source)
