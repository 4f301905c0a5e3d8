"""Keras' `fit` and `evaluate` under `tf.distribute.MultiWorkerMirroredStrategy`."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops, tree

from deel_seg._replicas import in_cluster


class WorkerSteps(keras.Model):
    """What Keras' trainer for TensorFlow stumbles over where replicas are on several workers.

    It looks at a batch as if all of its parts were on this worker, and takes the mean of the logs
    of a step along an axis that they do not have. Nothing here is used elsewhere.
    """

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        if iterator is not None and in_cluster(self):
            strategy = self.distribute_strategy
            _, _, batches = next(iter(iterator))
            iterator, data_batch = (
                None,
                tree.map_structure(
                    lambda part: strategy.experimental_local_results(part)[0], next(iter(batches))
                ),
            )
        super()._maybe_symbolic_build(iterator=iterator, data_batch=data_batch)

    def compute_metrics(self, *args: Any, **kwargs: Any) -> Any:
        logs = super().compute_metrics(*args, **kwargs)
        if not in_cluster(self):
            return logs
        return tree.map_structure(lambda value: ops.reshape(value, (1,)), logs)
