"""Scalars and images for TensorBoard, written by TensorFlow alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from deel_seg._checks import received


class TensorBoardWriter:
    """Writes an event file that TensorBoard reads, and needs no tensorboard to do so.

    `tf.summary.scalar` and `tf.summary.image` do: they are the package's. What they write is
    written here with `tf.summary.write`, which is TensorFlow's.

    Args:
        log_dir: Folder of the event files; each writer starts a new one.

    Raises:
        ValueError: If the Keras backend is not TensorFlow.
    """

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                "`tensorboard` needs the TensorFlow backend; the CSV file is written under any. "
                f"{received(tensorboard=os.fspath(log_dir), backend=keras.backend.backend())}"
            )
        self.log_dir = os.fspath(log_dir)
        self._writer: Any = None

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Writes one number a name, to nearest in float32: TensorBoard shows no others."""
        import tensorflow as tf

        for name, value in values.items():
            self._write(name, tf.constant(value, tf.float32), step, "scalars", data_class=1)

    def images(self, pictures: Mapping[str, list[NDArray[np.uint8]]], step: int) -> None:
        """Writes pictures `(height, width, 3)`, all of a name under one heading."""
        import tensorflow as tf

        for name, group in pictures.items():
            if not group:
                continue
            height, width = group[0].shape[:2]
            encoded = [tf.io.encode_png(picture) for picture in group]
            tensor = tf.stack([tf.constant(str(width)), tf.constant(str(height)), *encoded])
            self._write(name, tensor, step, "images", data_class=3)

    def _write(self, name: str, tensor: Any, step: int, plugin: str, *, data_class: int) -> None:
        import tensorflow as tf

        if self._writer is None:
            self._writer = tf.summary.create_file_writer(self.log_dir)
        described = tf.compat.v1.SummaryMetadata
        metadata = described(
            plugin_data=described.PluginData(plugin_name=plugin), data_class=data_class
        )
        with self._writer.as_default():
            tf.summary.write(name, tensor, step=step, metadata=metadata)

    def flush(self) -> None:
        """Brings everything written so far into the file."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Closes the file; a later writing starts a new one."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
