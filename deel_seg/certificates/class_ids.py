"""The classes that certificates are about."""

from __future__ import annotations

from typing import Any

from deel_seg._checks import check_integer, received
from deel_seg.certificates.class_groups import Groups, one_of_each
from deel_seg.certificates.pixels import label_count


def check_class_id(name: str, value: Any, *, num_classes: int, ignore_class: int | None) -> int:
    """Returns `value` as the id of a class of the model that is not left out, or raises."""
    class_id = check_integer(name, value)
    if not 0 <= class_id < label_count(num_classes):
        raise ValueError(
            f"`{name}` must lie in [0, {label_count(num_classes)}). {received(**{name: value})}"
        )
    if class_id == ignore_class:
        raise ValueError(
            f"`{name}` must not be `ignore_class`, whose pixels are left out. "
            f"{received(**{name: value}, ignore_class=ignore_class)}"
        )
    return class_id


def counted_classes(num_classes: int, ignore_class: int | None) -> list[int]:
    """Ids of all classes that are not left out, in increasing order."""
    return [class_id for class_id in range(num_classes) if class_id != ignore_class]


def check_class_ids(
    value: Any, *, num_classes: int, ignore_class: int | None, class_groups: Groups | None = None
) -> list[int]:
    """Returns `value` as ids of different classes or groups, at least one, or raises."""
    options: dict[str, Any] = {"num_classes": num_classes, "ignore_class": ignore_class}
    try:
        class_ids = [check_class_id("class_ids", class_id, **options) for class_id in value]
    except TypeError:
        raise ValueError(
            f"`class_ids` must be a sequence of classes. {received(class_ids=value)}"
        ) from None
    if not class_ids or len(set(class_ids)) < len(class_ids):
        raise ValueError(
            f"`class_ids` must hold different classes, at least one. {received(class_ids=value)}"
        )
    if len(one_of_each(class_ids, class_groups)) < len(class_ids):
        raise ValueError(
            f"`class_ids` must hold one class of each group. {received(class_ids=value)}"
        )
    return class_ids
