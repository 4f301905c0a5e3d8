"""Validation data as batches of images and labels, pass after pass."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from keras import ops

from deel_seg._checks import received

Tensor = Any


def check_data(data: Any, steps: int | None) -> Any:
    """Returns `data`, or raises where it cannot be passed over again and again.

    Raises:
        ValueError: For what is no iterable, for an iterator, which is spent after one pass, and
            for an endless `tf.data.Dataset` without `steps`.
    """
    is_sequence = hasattr(data, "__len__") and hasattr(data, "__getitem__")
    if isinstance(data, Iterator) or not (isinstance(data, Iterable) or is_sequence):
        raise ValueError(
            "`data` must give batches (images, labels) each time that it is iterated, such as a "
            f"tf.data.Dataset or a list does. {received(data=type(data).__name__)}"
        )
    # tf.data's name for it, tf.data.INFINITE_CARDINALITY, needs TensorFlow to be there.
    endless = hasattr(data, "cardinality") and int(data.cardinality()) == -1
    if endless and steps is None:
        raise ValueError(f"`data` is endless: pass steps=... {received(steps=steps)}")
    return data


def batches(data: Any, steps: int | None) -> Iterator[tuple[Tensor, Tensor]]:
    """Images `(batch, H, W, channels)` and labels of one pass, of `steps` batches at most."""
    # A keras.utils.PyDataset can be indexed, but not iterated.
    one_pass = data if isinstance(data, Iterable) else (data[i] for i in range(len(data)))
    empty = True
    for batch in itertools.islice(one_pass, steps):
        empty = False
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise ValueError(
                "`data` must give batches (images, labels). "
                f"{received(batch=type(batch).__name__, parts=_parts(batch))}"
            )
        images, labels = (x if ops.is_tensor(x) else np.asarray(x) for x in batch)
        yield ops.convert_to_tensor(images), ops.convert_to_tensor(_narrow(labels))
    if empty:
        raise ValueError(f"`data` must give at least one batch. {received(batches=0)}")


def _narrow(labels: Any) -> Any:
    """Wide integers cut to the range of int32: a backend without them would wrap them around."""
    if not isinstance(labels, np.ndarray) or labels.dtype not in ("int64", "uint32", "uint64"):
        return labels
    labels = np.minimum(labels, 2**31 - 1)
    return (np.maximum(labels, -(2**31)) if labels.dtype == "int64" else labels).astype("int32")


def _parts(batch: Any) -> int | None:
    return len(batch) if isinstance(batch, (tuple, list)) else None
