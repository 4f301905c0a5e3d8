from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from deel_seg.certificates import CertificateCurve, pixel_radius
from deel_seg.certificates.callbacks import curve_board
from deel_seg.certificates.callbacks.curve_board import _single
from deel_seg.certificates.callbacks.curve_picture import curve_figure, curve_picture
from deel_seg.certificates.callbacks.radius_pictures import certified_picture, radius_picture
from deel_seg.certificates.callbacks.tensorboard import TensorBoardWriter
from tests.certificates.callbacks.example import DATA, curve_over
from tests.certificates.metrics.example import LOGITS, VOID_LABELS, compiled_model

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
            for record in tf.data.TFRecordDataset(str(path)) if path.is_file() else ():
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

    def fit(*callbacks: Any, **options: Any) -> dict[str, list[float]]:
        fitted = compiled_model().fit(
            LOGITS, VOID_LABELS, verbose=0, callbacks=list(callbacks), **options
        )
        return fitted.history

    def pictures(value: Any) -> list[np.ndarray]:
        _, _, *encoded = tf.make_ndarray(value.tensor).tolist()
        return [tf.io.decode_png(png).numpy() for png in encoded]

    @pytest.fixture(scope="module")
    def logged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict, CertificateCurve]:
        """Two epochs beside Keras' own callback in one folder, killed, and gone on with from 1."""
        folder = tmp_path_factory.mktemp("logs")
        first, second = (
            curve_over(tensorboard=folder, num_images=2, image_eps=0.5) for _ in range(2)
        )
        fit(first, keras.callbacks.TensorBoard(folder), epochs=2)
        history = fit(second, keras.callbacks.TensorBoard(folder), epochs=3, initial_epoch=1)
        return folder, history, second

    def test_files_hold_the_values_of_the_library(logged: Any) -> None:
        folder, history, curve = logged
        found = events(folder)
        names = [name for name in history if name.startswith("val_")]
        assert len(names) == 8
        for name in names:
            written = float(tf.make_ndarray(found[name, 2].tensor))
            value = history[name][-1]
            assert written == value or _is_next(written, value, name), name
        for eps, crpa in zip(curve.curve["eps"], curve.curve["crpa"], strict=True):
            name = f"val_crpa@{str(eps).replace('.', '_')}"
            assert 0 <= crpa - float(tf.make_ndarray(found[name, 2].tensor)) < 2**-23

    def _is_next(written: float, value: float, name: str) -> bool:
        """Whether a float32 is the one beside a value, on the safe side."""
        away = np.inf if name.endswith("lipschitz_constant") else -np.inf
        beyond = float(np.nextafter(np.float32(written), np.float32(-away)))
        return min(written, beyond) < value < max(written, beyond)

    def test_pictures_are_those_of_the_library(logged: Any) -> None:
        folder, _, curve = logged
        found = events(folder)
        images, labels = DATA[0]
        radii = pixel_radius(images, labels, ignore_class=255)  # The model is the identity.
        radii = keras.ops.convert_to_numpy(radii)[:2]
        assert (radii > 0).any()
        for name, expected in (
            ("val_radius", [radius_picture(radius, 0.5) for radius in radii]),
            ("val_certified@0_5", [certified_picture(radius, 0.5) for radius in radii]),
            ("val_certified_curve", [curve_picture(curve.curve)]),
        ):
            np.testing.assert_array_equal(pictures(found[name, 2]), expected, err_msg=name)

    def test_the_curve_is_drawn_as_it_is(logged: Any) -> None:
        _, _, curve = logged
        columns = {name: column[::-1] for name, column in curve.curve.items()}
        lines = {line.get_label(): line for line in curve_figure(columns).axes[0].lines}
        assert set(lines) == {"crpa", "crs"}
        for name, line in lines.items():
            drawn = [curve.curve["eps"], curve.curve[name]]
            np.testing.assert_array_equal(line.get_xydata().T, drawn)
        blank = curve_picture({**curve.curve, "crpa": [0.0, 0.0]})
        assert (blank != curve_picture(curve.curve)).any()

    def test_tensorboard_shows_each_epoch_once_and_both_callbacks(logged: Any) -> None:
        from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer

        folder, history, _ = logged
        runs = EventMultiplexer().AddRunsFromDirectory(str(folder)).Reload()
        assert set(runs.Runs()) == {".", "train", "validation"}
        shown = runs.Tensors(".", "val_crpa@0_1")
        assert [event.step for event in shown] == [0, 1, 2]
        assert [event.step for event in runs.Tensors(".", "val_certified_curve")] == [0, 1, 2]
        values = [float(tf.make_ndarray(event.tensor_proto)) for event in shown[1:]]
        assert values == [_single(value, up=False) for value in history["val_crpa@0_1"]]
        for run, name in (("train", "epoch_loss"), ("validation", "epoch_crpa@0_1")):
            assert {event.step for event in runs.Tensors(run, name)} == {0, 1, 2}

    @pytest.mark.parametrize("value", [0.1, 0.7, 1 / 3, 1.0, 0.0, 1e-60, 1e39, np.inf])
    def test_no_bound_is_written_too_good(value: float) -> None:
        assert float(np.float32(0.1)) > 0.1  # What rounding to nearest does.
        assert _single(value, up=False) <= value <= _single(value, up=True)
        assert _single(value, up=True) - _single(value, up=False) <= 2**-23 or not value < 1

    def test_what_is_not_a_number_stays_so() -> None:
        assert np.isnan(_single(np.nan, up=False)) and np.isnan(_single(np.nan, up=True))

    def test_without_matplotlib_all_but_the_curve(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(curve_board, "has_matplotlib", lambda: False)
        with pytest.warns(UserWarning, match=r"deel_seg\[visualize\]"):
            board = curve_board.CurveBoard(tmp_path, prefix="val_", top=1.0, eps=0.5)
        board.write(0, {"val_crpa@0_1": 0.5}, {}, [np.ones((2, 2), np.float32)])
        board.close()
        assert {name for name, _ in events(tmp_path)} == {
            "val_crpa@0_1", "val_radius", "val_certified@0_5"
        }  # fmt: skip
