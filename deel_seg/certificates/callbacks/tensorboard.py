"""Scalars and images for TensorBoard, written by TensorFlow alone."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from deel_seg._checks import received


class TensorBoardWriter:
    """Writes event files that TensorBoard reads, and needs no tensorboard to do so.

    `tf.summary.scalar` and `tf.summary.image` are functions of the package tensorboard, which
    TensorFlow does not bring along. An event file is a TFRecord file of TensorFlow's own messages.

    Each file begins by saying from which step on it takes the place of earlier ones, so that what
    a resumed run does again is shown once.

    Args:
        log_dir: Folder of the event files; each writer starts a new one.

    Raises:
        ValueError: If the Keras backend is not TensorFlow: to import it beside another one takes
            seconds, and memory of the accelerator that the other one has reserved.
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
            self._write(name, tf.make_tensor_proto(value, tf.float32), step, "scalars")

    def images(self, pictures: Mapping[str, list[NDArray[np.uint8]]], step: int) -> None:
        """Writes pictures `(height, width, 3)`, all of a name under one heading."""
        import tensorflow as tf

        for name, group in pictures.items():
            if not group:
                continue
            height, width = group[0].shape[:2]
            encoded = [tf.io.encode_png(picture).numpy() for picture in group]
            values = [str(width).encode(), str(height).encode(), *encoded]
            self._write(name, tf.make_tensor_proto(values, tf.string), step, "images")

    def _write(self, name: str, tensor: Any, step: int, plugin: str) -> None:
        import tensorflow as tf

        v1 = tf.compat.v1
        metadata = v1.SummaryMetadata(
            plugin_data=v1.SummaryMetadata.PluginData(plugin_name=plugin),
            data_class={"scalars": "DATA_CLASS_SCALAR", "images": "DATA_CLASS_BLOB_SEQUENCE"}[
                plugin
            ],
        )
        value = v1.Summary.Value(tag=name, metadata=metadata, tensor=tensor)
        if self._writer is None:
            self._open(step)
        self._event(step=step, summary=v1.Summary(value=[value]))

    def _open(self, step: int) -> None:
        import tensorflow as tf

        # TensorBoard takes files whose names hold "tfevents", in the order of their names.
        name = f"events.out.tfevents.{time.time_ns()}.{platform.node()}.{os.getpid()}.v2"
        tf.io.gfile.makedirs(self.log_dir)
        self._writer = tf.io.TFRecordWriter(os.path.join(self.log_dir, name))  # noqa: PTH118
        self._event(file_version="brain.Event:2")
        start = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
        self._event(step=step, session_log=start)

    def _event(self, **values: Any) -> None:
        import tensorflow as tf

        event = tf.compat.v1.Event(wall_time=time.time(), **values)
        self._writer.write(event.SerializeToString())

    def flush(self) -> None:
        """Brings everything written so far into the file."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Closes the file; a later writing starts a new one."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
