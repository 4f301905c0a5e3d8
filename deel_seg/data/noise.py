"""Noise that is the same each time."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def with_noise(stream: Any, deviation: float, *, seed: int) -> Any:
    """Batches whose images have Gaussian noise added, not clipped.

    It follows from the seed and the number of the batch: whoever begins the stream anew gets the
    same.

    Args:
        stream: A `tf.data.Dataset` of images and labels, in a fixed order.
        deviation: Standard deviation.
        seed: Of the noise.
    """

    def add(number: Any, batch: tuple[Any, Any]) -> tuple[Any, Any]:
        images, labels = batch
        key = tf.stack([tf.cast(seed, tf.int64), number])
        return images + deviation * tf.random.stateless_normal(tf.shape(images), key), labels

    return stream.enumerate().map(add, num_parallel_calls=tf.data.AUTOTUNE)
