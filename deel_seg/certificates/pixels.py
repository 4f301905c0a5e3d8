"""Which pixels count, and whether an image can be certified at all."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from deel_seg._checks import received

Tensor = Any

_NO_CLASS = -(2**31)  # Stands for a float label that is no integer.


def integer_labels(y_true: Any) -> Tensor:
    """Labels `(batch, H, W)` from `(batch, H, W)` or `(batch, H, W, 1)`, of any dtype."""
    labels = ops.convert_to_tensor(y_true)
    if len(labels.shape) == 4 and labels.shape[-1] == 1:
        labels = ops.squeeze(labels, axis=-1)
    if len(labels.shape) != 3:
        raise ValueError(
            "`y_true` must have shape (batch, height, width) or (batch, height, width, 1). "
            f"{received(shape=tuple(labels.shape))}"
        )
    dtype = keras.backend.standardize_dtype(labels.dtype)
    if "float" not in dtype:
        # In eight bits neither all classes nor an `ignore_class` of -1 has a place.
        small = dtype in ("bool", "int8", "uint8", "int16", "uint16")
        return ops.cast(labels, "int32") if small else labels
    # Beyond 2^30 a float may not fit int32, and no class has such an id.
    whole = ops.logical_and(ops.equal(labels, ops.floor(labels)), ops.abs(labels) < 2.0**30)
    return ops.cast(ops.where(whole, labels, float(_NO_CLASS)), "int32")


def label_count(num_classes: int) -> int:
    """Number of label values: the single logit of a binary model tells two classes apart."""
    return max(num_classes, 2)


def predicted_class(logits: Tensor, num_classes: int) -> Tensor:
    """Predicted class of every pixel, `(batch, H, W)` int32; 1 where a single logit is > 0."""
    if num_classes == 1:
        return ops.cast(logits[..., 0] > 0, "int32")
    return ops.cast(ops.argmax(logits, axis=-1), "int32")


def kept_pixels(labels: Tensor, mask: Tensor | None, ignore_class: int | None) -> Tensor:
    """The pixels that count, `(batch, H, W)` bool: not `ignore_class`, and inside `mask`."""
    if ignore_class is None:
        kept = ops.ones_like(labels, dtype="bool")
    else:
        kept = ops.not_equal(labels, ignore_class)
    return kept if mask is None else ops.logical_and(kept, mask)


def named_class(labels: Tensor, num_classes: int) -> Tensor:
    """Whether each label names a class, bool."""
    return ops.logical_and(labels >= 0, labels < label_count(num_classes))


def named_by(labels: Tensor, classes: Sequence[int]) -> Tensor:
    """Pixels whose label is one of some classes, bool."""
    return functools.reduce(ops.logical_or, [ops.equal(labels, k) for k in classes])


def certifiable_images(logits: Tensor, labels: Tensor, kept: Tensor, num_classes: int) -> Tensor:
    """Images free of NaN and inf logits and of kept labels that name no class, `(batch,)` bool."""
    finite = ops.all(ops.isfinite(logits), axis=(1, 2, 3))
    labelled = ops.logical_or(named_class(labels, num_classes), ops.logical_not(kept))
    return ops.logical_and(finite, ops.all(labelled, axis=(1, 2)))
