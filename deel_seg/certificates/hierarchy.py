"""One certificate at several levels of a hierarchy of classes."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from deel_seg._checks import received
from deel_seg.certificates.class_groups import check_group_lists

Levels = Mapping[str, Sequence[Sequence[int]] | None]


def certify_hierarchy(
    certificate: Callable[..., Any], *arguments: Any, levels: Levels, **options: Any
) -> dict[str, Any]:
    """Certifies the same images at every level of a hierarchy of classes, from fine to coarse.

    A car taken for a truck is an error at the finest level, and none where vehicles are one class.
    What an attack spoils at a coarse level it spoils at a finer one too, so that accuracy and
    stability, and their radii, never fall from one level to the next, but for the rounding of a
    price that many members share. The metrics of one class do not compare from level to level,
    for its group has other pixels.

    Args:
        certificate: Any function of this module that takes `class_groups`, or one of your own.
        *arguments: What it takes by position: logits and mostly labels.
        levels: Name to `class_groups`, `None` for classes apart. Each group of a level lies within
            a group of the next one.
        **options: What it takes by keyword, the same at all levels; not `class_groups`.

    Returns:
        Name to what `certificate` returns, in the order of `levels`.

    Raises:
        ValueError: If `certificate` takes no groups, if `levels` is empty, if one of them is not
            made of disjoint groups, or does not take those of the one before together; and
            whatever `certificate` raises.

    Example:
    Two pixels of class 0, each with a runner-up near by: of class 1, and of class 2.

    >>> import numpy as np
    >>> from deel_seg.certificates import certify_hierarchy, worst_case_pixel_accuracy
    >>> logits = np.array([[[[5.0, 4.0, 0.0, 0.0], [5.0, 0.0, 4.0, 0.0]]]], dtype="float32")
    >>> levels = {"fine": None, "coarse": [(0, 1)], "coarsest": [(0, 1, 2)]}
    >>> labels = np.array([[[0, 0]]])
    >>> worst = certify_hierarchy(
    ...     worst_case_pixel_accuracy, logits, labels, levels=levels, eps=1.0
    ... )
    >>> {name: float(value[0]) for name, value in worst.items()}
    {'fine': 0.0, 'coarse': 0.5, 'coarsest': 1.0}
    """
    _check_certificate(certificate)
    if "class_groups" in options:
        raise ValueError(
            "`class_groups` must be left out: `levels` says what they are. "
            f"{received(class_groups=options['class_groups'])}"
        )
    _check_levels(levels)
    return {
        name: certificate(*arguments, class_groups=class_groups, **options)
        for name, class_groups in levels.items()
    }


def _check_certificate(certificate: Any) -> None:
    parameters = inspect.signature(certificate).parameters if callable(certificate) else {}
    kinds = [parameter.kind for parameter in parameters.values()]
    if "class_groups" not in parameters and inspect.Parameter.VAR_KEYWORD not in kinds:
        raise ValueError(
            "`certificate` must be a function that takes `class_groups`. "
            f"{received(certificate=certificate)}"
        )


def _check_levels(levels: Any) -> None:
    if not isinstance(levels, Mapping) or not levels:
        raise ValueError(
            "`levels` must be a dict from names to class groups, not empty. "
            f"{received(levels=levels)}"
        )
    read = [(name, _read_level(name, class_groups)) for name, class_groups in levels.items()]
    for (finer, groups), (coarser, wider) in itertools.pairwise(read):
        for group in groups:
            if len(group) > 1 and not any(set(group) <= set(other) for other in wider):
                raise ValueError(
                    "`levels` must go from fine to coarse, each group within one of the next "
                    f"level. {received(level=coarser, before=finer, torn_apart=group)}"
                )


def _read_level(name: Any, class_groups: Any) -> list[list[int]]:
    if class_groups is None:
        return []
    try:
        return check_group_lists(class_groups)
    except ValueError as error:
        raise ValueError(f"`levels[{name!r}]` is not a level: {error}") from None
