"""The data sets by name, and the checks all of them share."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

from deel_seg._checks import check_choice, received
from deel_seg.data import camvid, cityscapes, folder, kvasir, oxford_pets, runway, shapes
from deel_seg.data.dataset_info import DatasetInfo
from deel_seg.data.examples import Examples

# Each module has `describe(**options)` and `open_split(split, size, root, **options)`.
DATASETS: dict[str, ModuleType] = {
    "shapes": shapes,
    "runway": runway,
    "camvid": camvid,
    "oxford_pets": oxford_pets,
    "kvasir": kvasir,
    "cityscapes": cityscapes,
    "folder": folder,
}


def info(name: str, **options: Any) -> DatasetInfo:
    """Returns the classes, colours and splits of a data set; opens no file.

    Args:
        name: `"shapes"`, `"runway"`, `"camvid"`, `"oxford_pets"`, `"kvasir"`, `"cityscapes"` or
            `"folder"`.
        **options: The data set's own options, as `load` takes them: `border` of
            `oxford_pets`, `num_classes` (required) and `class_names` of `folder`.

    Raises:
        ValueError: If the name or an option is unknown, or a required option is missing.

    Example:
    >>> from deel_seg.data import info
    >>> info("camvid").num_classes
    11
    >>> info("oxford_pets", border="ignore").class_names
    ('pet', 'background')
    """
    check_choice("name", name, DATASETS)
    _check_options(name, options)
    used = inspect.signature(DATASETS[name].describe).parameters
    return DATASETS[name].describe(**{key: options[key] for key in options if key in used})


def open_split(
    name: str, split: str, size: tuple[int, int], root: str | Path | None, options: dict[str, Any]
) -> Examples:
    """Lists the examples of a split after checking name, split, options and files."""
    splits = info(name, **options).splits
    if splits and split not in splits:
        listed = ", ".join(map(repr, splits))
        raise ValueError(
            f"`split` of data set {name!r} must be one of {listed}. {received(split=split)}"
        )
    return DATASETS[name].open_split(split, size, root, **options)


def _check_options(name: str, options: dict[str, Any]) -> None:
    parameters = inspect.signature(DATASETS[name].open_split).parameters.values()
    known = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    for option, value in options.items():
        if option not in known:
            listed = ", ".join(known) or "none"
            raise ValueError(
                f"Data set {name!r} has no option `{option}`; its own options are: {listed}. "
                f"{received(**{option: value})}"
            )
    for option, default in known.items():
        if default is inspect.Parameter.empty and option not in options:
            raise ValueError(f"Data set {name!r} needs the option `{option}`.")
