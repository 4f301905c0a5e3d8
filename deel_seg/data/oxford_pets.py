"""Oxford-IIIT Pet: cats and dogs with trimaps.

Parkhi, Vedaldi, Zisserman, Jawahar, Cats and Dogs, CVPR 2012.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from deel_seg._checks import check_choice
from deel_seg.data import pets_tfds
from deel_seg.data.dataset_info import VOID, DatasetInfo, distinct_colours
from deel_seg.data.examples import Examples
from deel_seg.data.pairs import examples_of, find_root, read_list
from deel_seg.data.read import IndexLabels

LAYOUT = (
    "images/X.jpg, annotations/trimaps/X.png, annotations/trainval.txt and annotations/test.txt "
    "with lines `X class species breed`."
)
_PET, _BACKGROUND, _BORDER = 1, 2, 3
_MEANING_OF_BORDER = {"class": 2, "ignore": VOID, "pet": 0}


def describe(*, border: str = "class") -> DatasetInfo:
    """Returns the classes and splits.

    Args:
        border: What the trimap's third value, "border or not classified", becomes: a
            `"class"` of its own, void (`"ignore"`), or part of the `"pet"`.
    """
    check_choice("border", border, _MEANING_OF_BORDER)
    names = ("pet", "background", "border") if border == "class" else ("pet", "background")
    colours = distinct_colours(3)
    return DatasetInfo(
        name="oxford_pets",
        class_names=names,
        palette=(colours[1], colours[0], colours[2])[: len(names)],
        splits=("trainval", "train", "val", "test"),
    )


def open_split(
    split: str, size: tuple[int, int], root: str | Path | None, *, border: str = "class"
) -> Examples:
    """Lists the pairs of a split, from files or else from tensorflow-datasets.

    `trainval` and `test` are the official lists; `val` is every tenth image of `trainval`
    and `train` the others.
    """
    check_choice("border", border, _MEANING_OF_BORDER)
    mapping = {_PET: 0, _BACKGROUND: 1, _BORDER: _MEANING_OF_BORDER[border]}
    official = "test" if split == "test" else "trainval"
    try:
        folder = find_root("oxford_pets", root, ("pets", "oxford_pets"), LAYOUT)
    except FileNotFoundError as error:
        if root is not None:
            raise
        return pets_tfds.examples_of(
            official, size, IndexLabels.of(mapping), partial(_part, split), reason=str(error)
        )
    source = folder / "annotations" / f"{official}.txt"
    stems = [name for name, *_ in read_list(source, LAYOUT, columns=1)]
    images, trimaps = folder / "images", folder / "annotations" / "trimaps"
    pairs = [
        (images / f"{stems[index]}.jpg", trimaps / f"{stems[index]}.png")
        for index in _part(split, len(stems))
    ]
    return examples_of(pairs, size, IndexLabels.of(mapping), source=source)


def _part(split: str, count: int) -> list[int]:
    """Returns which of the `count` images of the official list belong to `split`."""
    if split not in ("train", "val"):
        return list(range(count))
    # The lists are sorted by breed, so every tenth image draws on every breed.
    return [index for index in range(count) if (index % 10 == 9) == (split == "val")]
