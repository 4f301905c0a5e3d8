"""Devices by the names that `keras.distribution` gives them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import keras

from deel_seg._backend import IS_TENSORFLOW
from deel_seg._checks import received

if IS_TENSORFLOW:
    import tensorflow as tf
else:
    import jax


def on_device(device: str | None) -> Any:
    """Context in which what is computed runs on a device; no other than this if it is None."""
    if device is None:
        return contextlib.nullcontext()
    return tf.device(device) if IS_TENSORFLOW else jax.default_device(_jax_device(device))


def moved(values: Any, device: str | None) -> Any:
    """A copy of tensors on a device; the tensors themselves if that is None."""
    if device is None:
        return values
    if IS_TENSORFLOW:
        with tf.device(device):
            return tf.nest.map_structure(tf.identity, values)
    return jax.device_put(values, _jax_device(device))


def _jax_device(name: str) -> Any:
    platform, number = name.split(":")
    return next(device for device in jax.devices(platform) if device.id == int(number))


def check_devices(devices: Sequence[str]) -> tuple[str, ...]:
    """Devices that are there, each of them once."""
    names = (devices,) if isinstance(devices, str) else tuple(devices)
    kinds = {str(name).split(":")[0] for name in names}
    try:
        there = [name for kind in kinds for name in keras.distribution.list_devices(kind)]
    except RuntimeError:  # JAX, of a kind of which it has none.
        there = []
    if not names or len(set(names)) < len(names) or not set(names) <= set(there):
        raise ValueError(
            "`devices` must name devices of `keras.distribution.list_devices`, each once. "
            f"{received(devices=devices)}, there are {keras.distribution.list_devices()}"
        )
    return names
