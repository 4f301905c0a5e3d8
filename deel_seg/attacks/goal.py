"""What an attack is after: pixels that are to leave a class, or to become one."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from deel_seg._checks import check_integer, received

Tensor = Any


class Goal(NamedTuple):
    """Pixels and their classes, and what is to become of them.

    The constructors below make one: `untargeted`, `vanishing`, `fabrication`, `targeted`.
    """

    classes: Tensor  # (batch, H, W) int32; 0 where the mask is False
    mask: Tensor  # (batch, H, W) bool: the pixels that count
    sign: Tensor  # scalar float32: 1 if they are to leave their class, -1 if they are to become it

    @property
    def counted(self) -> np.ndarray:
        """Number of pixels that count, `(batch,)`."""
        return ops.convert_to_numpy(self.mask).sum((1, 2))

    def margins(self, logits: Tensor) -> Tensor:
        """How far each pixel is from what is wanted of it, `(batch, H, W)`; 0 at a tie.

        Args:
            logits: `(batch, H, W, classes)`, of `as_classes`.
        """
        own = ops.one_hot(self.classes, logits.shape[-1], dtype="bool")
        others = ops.max(ops.where(own, -np.inf, logits), axis=-1)
        return self.sign * (ops.sum(ops.where(own, logits, 0.0), axis=-1) - others)

    def open(self, logits: Tensor) -> Tensor:
        """The pixels that count and are not yet what is wanted, bool."""
        inside = ops.equal(ops.cast(ops.argmax(logits, axis=-1), "int32"), self.classes)
        return ops.logical_and(self.mask, ops.equal(inside, self.sign > 0))

    def hits(self, logits: Tensor) -> Tensor:
        """Number of the pixels that count and are what is wanted, `(batch,)` int32."""
        done = ops.logical_and(self.mask, ops.logical_not(self.open(logits)))
        return ops.sum(ops.cast(done, "int32"), axis=(1, 2))


def as_classes(logits: Tensor) -> Tensor:
    """Logits of two classes in place of a single signed one, which is class 1 above 0.

    They are as far apart as the single ones: what a change of the margin costs stays the same.
    """
    logits = ops.cast(logits, "float32")
    if logits.shape[-1] > 1:
        return logits
    return ops.concatenate([-logits, logits], axis=-1) * math.sqrt(0.5)


def untargeted(labels: Any, *, ignore_class: int | None = None, mask: Any = None) -> Goal:
    """Pixels are to be classified as anything but their label.

    Args:
        labels: `(batch, H, W)`, integer class ids.
        ignore_class: Label of the pixels left out, such as 255 for void.
        mask: `(batch, H, W)`, bool; pixels outside are left out.
    """
    labels, kept = _checked("labels", labels, mask)
    return _goal(labels, kept if ignore_class is None else kept & (labels != ignore_class), 1.0)


def vanishing(labels: Any, *, class_id: int, mask: Any = None) -> Goal:
    """All pixels of a class are to leave it: a polyp, or a runway, that is no longer seen.

    Args:
        labels: `(batch, H, W)`: labels, for the false negative rate, or clean predictions, for
            the stability of what was found.
        class_id: The class.
        mask: As in `untargeted`.
    """
    labels, kept = _checked("labels", labels, mask)
    return _goal(labels, kept & (labels == check_integer("class_id", class_id, minimum=0)), 1.0)


def fabrication(region: Any, *, class_id: int) -> Goal:
    """All pixels of a region are to become a class: an object where there is none.

    Args:
        region: `(batch, H, W)`, bool.
        class_id: The class.
    """
    region = np.asarray(region)
    if region.dtype != bool or region.ndim != 3:
        raise ValueError(
            "`region` must be bool and have shape (batch, height, width). "
            + received(shape=region.shape, dtype=str(region.dtype))
        )
    classes = np.full(region.shape, check_integer("class_id", class_id, minimum=0))
    return _goal(classes, region, -1.0)


def targeted(targets: Any, *, ignore_class: int | None = None, mask: Any = None) -> Goal:
    """Each pixel is to become a class of its own: a segmentation of the attacker's choice.

    Args:
        targets: `(batch, H, W)`, integer class ids.
        ignore_class: Target of the pixels that may be anything.
        mask: As in `untargeted`.
    """
    targets, kept = _checked("targets", targets, mask)
    return _goal(targets, kept if ignore_class is None else kept & (targets != ignore_class), -1.0)


def _checked(name: str, labels: Any, mask: Any) -> tuple[np.ndarray, np.ndarray]:
    labels = ops.convert_to_numpy(labels)
    if labels.ndim != 3 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"`{name}` must be integers of shape (batch, height, width). "
            + received(shape=labels.shape, dtype=str(labels.dtype))
        )
    if mask is None:
        return labels, np.ones(labels.shape, bool)
    mask = ops.convert_to_numpy(mask)
    if mask.dtype != bool or mask.shape != labels.shape:
        raise ValueError(
            f"`mask` must be bool and have the shape of `{name}`, {labels.shape}. "
            + received(shape=mask.shape, dtype=str(mask.dtype))
        )
    return labels, mask


def _goal(classes: np.ndarray, mask: np.ndarray, sign: float) -> Goal:
    return Goal(np.where(mask, classes, 0).astype("int32"), mask, np.float32(sign))
