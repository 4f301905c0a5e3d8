"""From numbered examples to batches: order, reading, augmentation, prefetching.

Everything random is drawn from `(seed, epoch)` and the number of the batch, never from a
state, so any epoch can be made again without those before it.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import tensorflow as tf

from deel_seg.data.augment import augment_batch
from deel_seg.data.augmentation import Augmentation
from deel_seg.data.cache import ReadBatch


def batches(
    read_batch: ReadBatch,
    *,
    count: int,
    size: tuple[int, int],
    batch_size: int,
    steps: int,
    shuffle: bool,
    augmentation: Augmentation | None,
    seed: int,
    repeat: bool,
    initial_epoch: int,
) -> Any:
    """Builds the `tf.data.Dataset` that `load` returns; see there for the arguments."""

    def epoch_batches(epoch: Any) -> Any:
        order = tf.range(count, dtype=tf.int64)
        if shuffle:
            keys = tf.random.stateless_uniform((count,), seed=tf.stack([seed, epoch]))
            order = tf.argsort(keys, stable=True)
        indices = tf.data.Dataset.from_tensor_slices(order).batch(batch_size).take(steps)
        return indices.enumerate().map(lambda step, chosen: (epoch, step, chosen))

    def make_batch(epoch: Any, step: Any, indices: Any) -> tuple[Any, Any]:
        pixels = tf.numpy_function(read_batch, [indices], tf.uint8)
        pixels = tf.ensure_shape(pixels, (None, *size, 4))
        images, labels = tf.cast(pixels[..., :3], tf.float32) / 255.0, pixels[..., 3]
        if augmentation is not None:
            batch_seed = tf.random.fold_in(tf.stack([seed, epoch]), step)
            images, labels = augment_batch(
                images, labels, seed=batch_seed, augmentation=augmentation
            )
        images = tf.ensure_shape(images, (None, *size, 3))
        return images, tf.ensure_shape(tf.cast(labels, tf.int32), (None, *size))

    if repeat:
        epochs = tf.data.Dataset.range(initial_epoch, np.iinfo(np.int64).max)
    else:
        epochs = _one_epoch_per_iterator(initial_epoch)
    dataset = epochs.flat_map(epoch_batches)
    dataset = dataset.map(make_batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    length = tf.data.INFINITE_CARDINALITY if repeat else steps
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(length))
    dataset = dataset.prefetch(tf.data.AUTOTUNE)
    # Workers of a cluster share out each batch; there are no files to share out instead.
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.with_options(options)


def _one_epoch_per_iterator(initial_epoch: int) -> Any:
    """Returns a dataset of one number, which is one higher each time it is iterated."""
    counter = itertools.count(initial_epoch)

    def next_epoch(_: Any) -> Any:
        epoch = tf.numpy_function(lambda: np.int64(next(counter)), [], tf.int64)
        return tf.ensure_shape(epoch, ())

    return tf.data.Dataset.from_tensors(0).map(next_epoch)
