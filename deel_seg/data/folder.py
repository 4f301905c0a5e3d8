"""Any data set of images and masks of class numbers in two folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from deel_seg._checks import check_integer, received
from deel_seg.data.dataset_info import VOID, DatasetInfo, distinct_colours
from deel_seg.data.examples import Examples
from deel_seg.data.pairs import examples_of, find_root, pair_by_stem, require
from deel_seg.data.read import IndexLabels, check_mapping

LAYOUT = (
    "{split}/images/ and {split}/masks/ with files of the same names; or images/ and masks/, "
    "which make the split 'all'."
)


def describe(*, num_classes: int, class_names: Sequence[str] | None = None) -> DatasetInfo:
    """Returns the classes; the splits are the folders found when loading.

    Args:
        num_classes: Number of classes, at most 255.
        class_names: One name per class; `"class 0"`, `"class 1"`, ... when left out.
    """
    check_integer("num_classes", num_classes, minimum=1)
    if num_classes > VOID:
        raise ValueError(f"`num_classes` must be at most 255. {received(num_classes=num_classes)}")
    names = tuple(class_names or (f"class {index}" for index in range(num_classes)))
    if len(names) != num_classes:
        raise ValueError(
            f"`class_names` must hold {num_classes} names. {received(class_names=class_names)}"
        )
    return DatasetInfo("folder", names, distinct_colours(num_classes), splits=())


def open_split(
    split: str,
    size: tuple[int, int],
    root: str | Path | None,
    *,
    num_classes: int,
    class_names: Sequence[str] | None = None,
    mapping: Mapping[int, int] | None = None,
    palette_indices: bool = False,
) -> Examples:
    """Lists the pairs of a split.

    Args:
        split: Name of the folder that holds `images` and `masks`, or `"all"`.
        size: `(height, width)` of the pixels.
        root: The data set's folder.
        num_classes: Number of classes.
        class_names: For `info`; not needed here.
        mapping: The label of each value a mask may hold, 255 for void. By default masks hold
            the labels themselves.
        palette_indices: Whether masks with a colour palette may be read by their numbers.
    """
    info = describe(num_classes=num_classes, class_names=class_names)
    mapping = check_mapping("mapping", mapping, num_classes)
    base = find_root(info.name, root, (), LAYOUT)
    folder = base if split == "all" and (base / "images").is_dir() else base / split
    if not folder.is_dir():
        found = sorted(path.parent.name for path in base.glob("*/images"))
        found += ["all"] if (base / "images").is_dir() else []
        raise ValueError(
            f"`split` must be one of those in {base}: {', '.join(found) or 'none found'}. "
            f"Expected: {LAYOUT} {received(split=split)}"
        )
    pairs = pair_by_stem(folder / "images", require(folder / "masks", LAYOUT), LAYOUT)
    decoder = IndexLabels.of(mapping, palette_indices=palette_indices)
    return examples_of(pairs, size, decoder, source=folder)
