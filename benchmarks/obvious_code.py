"""CRPA as one would write it down in each framework: top-k, sort, cumulated sum, count.

It is not sound: float32 sums over a million pixels are off by more than the last digits.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np


def with_numpy(logits: np.ndarray, labels: np.ndarray, capacity: float) -> np.ndarray:
    """NumPy has no top-k along an axis; a partition at the second largest is the nearest to it."""
    two = np.partition(logits, -2, axis=-1)[..., -2:]
    correct = np.argmax(logits, axis=-1) == labels
    costs = np.where(correct, (two[..., 1] - two[..., 0]) ** 2 / 2, 0)
    costs = np.sort(costs.reshape(len(costs), -1), axis=-1)
    lost = np.sum(np.cumsum(costs, axis=-1) <= capacity, axis=-1)
    return 1 - lost / costs.shape[-1]


def with_tensorflow(logits: Any, labels: Any, capacity: float) -> Any:
    """To be called in a `tf.function`."""
    tf = importlib.import_module("tensorflow")
    values, indices = tf.math.top_k(logits, 2)
    correct = tf.equal(indices[..., 0], labels)
    costs = tf.where(correct, (values[..., 0] - values[..., 1]) ** 2 / 2, 0.0)
    costs = tf.sort(tf.reshape(costs, (tf.shape(costs)[0], -1)), axis=-1)
    lost = tf.reduce_sum(tf.cast(tf.cumsum(costs, axis=-1) <= capacity, tf.int32), axis=-1)
    return 1 - lost / tf.shape(costs)[-1]


def with_pytorch(logits: Any, labels: Any, capacity: float) -> Any:
    """To be called under `torch.inference_mode`."""
    torch = importlib.import_module("torch")
    values, indices = torch.topk(logits, 2, dim=-1)
    correct = indices[..., 0] == labels
    costs = torch.where(correct, (values[..., 0] - values[..., 1]) ** 2 / 2, 0.0)
    costs = torch.sort(costs.reshape(len(costs), -1), dim=-1).values
    lost = torch.sum(torch.cumsum(costs, dim=-1) <= capacity, dim=-1)
    return 1 - lost / costs.shape[-1]


def with_jax(logits: Any, labels: Any, capacity: float) -> Any:
    """To be called in a `jax.jit`."""
    jax = importlib.import_module("jax")
    jnp = jax.numpy
    values, indices = jax.lax.top_k(logits, 2)
    correct = indices[..., 0] == labels
    costs = jnp.where(correct, (values[..., 0] - values[..., 1]) ** 2 / 2, 0)
    costs = jnp.sort(costs.reshape(len(costs), -1), axis=-1)
    lost = jnp.sum(jnp.cumsum(costs, axis=-1) <= capacity, axis=-1)
    return 1 - lost / costs.shape[-1]
