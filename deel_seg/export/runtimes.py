"""Writes a predictor for the programs that serve networks: TensorFlow, ONNX Runtime, LiteRT."""

from __future__ import annotations

import importlib
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

from deel_seg._checks import check_choice, received

SIGNATURE = "serving_default"
_OPSET = 18  # The first with all that is needed in the form tf2onnx writes it.


def check_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """Returns the formats if they are known and can be written here, or raises.

    Raises:
        ValueError: If one is unknown, or the backend is not TensorFlow.
        ImportError: If a package is missing; the message names it.
    """
    if isinstance(formats, str):
        raise ValueError("`formats` must be a sequence of names. " + received(formats=formats))
    for name in formats:
        check_choice("formats", name, tuple(_WRITERS))
    if formats and keras.backend.backend() != "tensorflow":
        raise ValueError(
            "Predictors are written on Keras' TensorFlow backend, which network.keras can be "
            "loaded on. " + received(backend=keras.backend.backend())
        )
    if "onnx" in formats:
        _tf2onnx()
    return tuple(dict.fromkeys(formats))


def write_formats(predictor: Any, folder: Path, formats: Sequence[str]) -> None:
    """Writes each format into `folder`.

    Args:
        predictor: A `CertifiedPredictor`.
        folder: An existing folder.
        formats: As returned by `check_formats`.
    """
    for name in formats:
        _WRITERS[name](predictor, folder)


def _serving_function(predictor: Any) -> tuple[Any, Any]:
    """What is served, as a function of images, and what it takes."""
    import tensorflow as tf

    spec = tf.TensorSpec(predictor.manifest.input_shape, tf.float32, name="images")
    return tf.function(predictor.answer, input_signature=[spec], autograph=False), spec


def _saved_model(predictor: Any, folder: Path) -> None:
    _write_saved_model(predictor, folder / "saved_model")


def _write_saved_model(predictor: Any, folder: Path) -> None:
    function, _ = _serving_function(predictor)
    archive = keras.export.ExportArchive()
    archive.track(predictor.network)
    archive.add_endpoint(SIGNATURE, function)
    archive.write_out(str(folder), verbose=False)


def _onnx(predictor: Any, folder: Path) -> None:
    function, spec = _serving_function(predictor)
    model, _ = _tf2onnx().convert.from_function(function, input_signature=[spec], opset=_OPSET)
    (folder / "model.onnx").write_bytes(model.SerializeToString())


def _tflite(predictor: Any, folder: Path) -> None:
    import tensorflow as tf

    # By way of a SavedModel of Keras: converted from a function, the variables stay outside.
    with tempfile.TemporaryDirectory() as place:
        _write_saved_model(predictor, Path(place) / "saved_model")
        converter = tf.lite.TFLiteConverter.from_saved_model(
            f"{place}/saved_model", signature_keys=[SIGNATURE]
        )
        # Float32 only, and nothing that LiteRT does not bring along.
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        content = converter.convert()
    with warnings.catch_warnings():
        # Its interpreter is to move to the package ai-edge-litert, which need not be here.
        warnings.simplefilter("ignore")
        details = tf.lite.Interpreter(model_content=content).get_tensor_details()
    if any("ReadVariable" in tensor["name"] for tensor in details):
        raise RuntimeError(
            "The converted network reads its weights from variables that LiteRT does not set. "
            + received(network=predictor.network.name)
        )
    (folder / "model.tflite").write_bytes(content)


def _tf2onnx() -> Any:
    try:
        return importlib.import_module("tf2onnx")
    except ImportError as error:
        raise ImportError(
            "Writing ONNX needs tf2onnx: pip install 'deel_seg[onnx]'. " + received(format="onnx")
        ) from error


_WRITERS: dict[str, Callable[[Any, Path], None]] = {
    "saved_model": _saved_model,
    "onnx": _onnx,
    "tflite": _tflite,
}
