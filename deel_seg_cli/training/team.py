"""Who trains a model together: devices, and the workers of a cluster."""

from __future__ import annotations

import contextlib
from typing import Any

import keras

STRATEGIES = ("none", "mirrored", "multi_worker", "data_parallel")


class Team:
    """Who trains this model together: devices, and the workers of a cluster.

    Made before anything is computed, as TensorFlow wants it of the workers.

    Args:
        name: One of `STRATEGIES`: TensorFlow's mirrored strategies over all devices of this
            machine, or over the workers that the environment variable TF_CONFIG tells of; or, on
            JAX, `keras.distribution.DataParallel`.
    """

    def __init__(self, name: str) -> None:
        self.strategy: Any = None
        self.is_chief = True
        if name == "data_parallel":
            keras.distribution.set_distribution(keras.distribution.DataParallel())
        elif name != "none":
            import tensorflow as tf

            if name == "mirrored":
                self.strategy = tf.distribute.MirroredStrategy(keras.distribution.list_devices())
            else:
                self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
                self.is_chief = bool(self.strategy.extended.should_checkpoint)

    def scope(self) -> Any:
        """Where models, optimisers and metrics are made."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()

    def wait(self) -> None:
        """Returns once every worker has come here."""
        if self.strategy:
            self.strategy.reduce("SUM", self.strategy.run(lambda: keras.ops.ones(())), axis=None)
