"""Weights in a file, with a checksum: a damaged file must not become a network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from deel_seg._checks import received

CHECKSUM = "sha256"


def add_checksum(store: Any, weights: Mapping[str, Any]) -> None:
    """Writes weights by name, and what they are known again by; nothing where there are none."""
    for name, values in weights.items():
        store[name] = values
    if weights:
        store[CHECKSUM] = _checksum(weights)


def without_checksum(layer_name: str, store: Any) -> dict[str, np.ndarray]:
    """Weights by name, as `add_checksum` wrote them.

    Args:
        layer_name: For the message.
        store: What holds them, by name.

    Raises:
        ValueError: If they are not what was written.
    """
    weights = {name: np.array(store[name]) for name in store.keys()}
    if not weights:
        return weights
    stated = weights.pop(CHECKSUM, None)
    if stated is None:
        raise ValueError(
            f"The weights of layer {layer_name!r} have no checksum in the file. "
            + received(weights=sorted(weights))
        )
    if not np.array_equal(stated, _checksum(weights)):
        raise ValueError(
            f"The weights of layer {layer_name!r} in the file are not those that were written: "
            "their checksum is another one. " + received(sha256=stated.tobytes().hex())
        )
    return weights


def _checksum(weights: Mapping[str, Any]) -> np.ndarray:
    digest = hashlib.sha256()
    for name in sorted(weights):
        # Float64 holds all of them exactly, in whatever type a file keeps them.
        values = np.asarray(ops.convert_to_numpy(weights[name]), "float64")
        digest.update(f"{name}{values.shape}".encode())
        digest.update(values.tobytes())
    return np.frombuffer(digest.digest(), "uint8")
