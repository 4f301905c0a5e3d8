"""What a curve of certified IoUs keeps of the images it has seen, and how that is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from keras import ops
from numpy.typing import NDArray

from deel_seg._backend import compiled
from deel_seg._checks import received
from deel_seg.certificates.data_set_iou import GRID, Surpluses, batch_surpluses
from deel_seg.certificates.data_set_iou_sums import added
from deel_seg.certificates.pixels import kept_pixels

Tensor = Any


class IoUTotals(NamedTuple):
    """Sums over images, all of them int32."""

    sums: Surpluses
    num_images: Tensor  # (): images in which a pixel counts
    skipped: Tensor  # (): images in which none does

    def plus(self, other: IoUTotals) -> IoUTotals:
        """The totals of two parts of a data set."""
        return IoUTotals(
            added(self.sums, other.sums),
            self.num_images + other.num_images,
            self.skipped + other.skipped,
        )

    def to_arrays(self) -> dict[str, NDArray[np.int32]]:
        """The totals by name, as NumPy arrays."""
        return {name: ops.convert_to_numpy(part) for name, part in self._parts().items()}

    def _parts(self) -> dict[str, Tensor]:
        return {**self.sums._asdict(), "num_images": self.num_images, "skipped": self.skipped}

    @classmethod
    def of_nothing(cls, classes: int, budgets: int) -> IoUTotals:
        """The totals of no image."""
        sums = Surpluses(
            ops.zeros((3, classes, budgets, GRID + 1), dtype="int32"),
            ops.zeros((classes,), dtype="int32"),
            ops.zeros((), dtype="int32"),
        )
        return cls(sums, ops.zeros((), dtype="int32"), ops.zeros((), dtype="int32"))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], classes: int, budgets: int) -> IoUTotals:
        """The totals that `to_arrays` gave.

        Raises:
            ValueError: For arrays that are missing, or of another shape or type.
        """
        parts = {}
        for name, like in cls.of_nothing(classes, budgets)._parts().items():
            if name not in arrays:
                raise ValueError(f"The state must hold `{name}`. {received(names=sorted(arrays))}")
            array, shape = np.asarray(arrays[name]), tuple(like.shape)
            if array.dtype != np.int32 or array.shape != shape:
                raise ValueError(
                    f"`{name}` of the state must be int32 of shape {shape}. "
                    f"{received(dtype=str(array.dtype), shape=array.shape)}"
                )
            parts[name] = ops.convert_to_tensor(array)
        sums = Surpluses(*(parts.pop(name) for name in Surpluses._fields))
        return cls(sums, **parts)


def _batch_totals(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor | None,
    lipschitz_constant: Tensor,
    logit_tolerance: Tensor,
    class_ids: Tensor,
    eps: Tensor,
    *,
    ignore_class: int | None,
    **static: Any,
) -> tuple[IoUTotals, Tensor]:
    """As `batch_surpluses` for images of weight 1; and whether all images could be read."""
    kept = ops.any(kept_pixels(labels, mask, ignore_class), axis=(1, 2))
    weights = ops.cast(kept, "float32")
    sums = batch_surpluses(
        logits,
        labels,
        mask,
        lipschitz_constant,
        logit_tolerance,
        class_ids,
        eps,
        weights,
        ignore_class=ignore_class,
        **static,
    )
    counts = (ops.sum(ops.cast(flags, "int32")) for flags in (kept, ops.logical_not(kept)))
    return IoUTotals(sums, *counts), ops.equal(sums.bad, 0)


compiled_batch_totals = compiled(
    _batch_totals, static_argnames=("p", "num_classes", "ignore_class", "class_groups")
)
