"""Check of the class that a certificate is about."""

from __future__ import annotations

from typing import Any

from deel_seg._checks import check_integer, received
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
