from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from deel_seg.certificates.callbacks.tensorboard import TensorBoardWriter
from tests.certificates.callbacks.example import curve_over

if keras.backend.backend() != "tensorflow":

    def test_another_backend_is_refused(tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"TensorFlow backend.*backend='jax'"):
            TensorBoardWriter(tmp_path)
        with pytest.raises(ValueError, match="TensorFlow backend"):
            curve_over(tensorboard=tmp_path)

else:
    import tensorflow as tf
    from tensorflow.core.util import event_pb2

    def events(folder: Path) -> dict[tuple[str, int], Any]:
        """What a folder's event files hold: the value behind each name and step."""
        found = {}
        for path in sorted(folder.iterdir()):
            for record in tf.data.TFRecordDataset(str(path)):
                event = event_pb2.Event.FromString(record.numpy())
                for value in event.summary.value:
                    found[value.tag, event.step] = value
        return found

    def test_scalars_and_images(tmp_path: Path) -> None:
        writer = TensorBoardWriter(tmp_path)
        assert not list(tmp_path.iterdir())
        picture = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
        writer.scalars({"val_crpa@0_1": 0.25}, 7)
        writer.images({"radius": [picture, picture[::-1]], "none": []}, 7)
        writer.close()
        found = events(tmp_path)
        assert set(found) == {("val_crpa@0_1", 7), ("radius", 7)}
        scalar, images = found["val_crpa@0_1", 7], found["radius", 7]
        assert scalar.metadata.plugin_data.plugin_name == "scalars"
        assert float(tf.make_ndarray(scalar.tensor)) == 0.25
        assert images.metadata.plugin_data.plugin_name == "images"
        width, height, *encoded = tf.make_ndarray(images.tensor).tolist()
        assert (width, height) == (b"5", b"4")
        decoded = [tf.io.decode_png(png).numpy() for png in encoded]
        np.testing.assert_array_equal(decoded, [picture, picture[::-1]])

    def test_a_closed_writer_starts_a_new_file(tmp_path: Path) -> None:
        writer = TensorBoardWriter(tmp_path)
        for step in range(2):
            writer.scalars({"a": step}, step)
            writer.flush()
            writer.close()
            writer.close()
        assert set(events(tmp_path)) == {("a", 0), ("a", 1)}
