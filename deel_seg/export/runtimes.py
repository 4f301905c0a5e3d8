"""Writes a predictor for the programs that serve networks: TensorFlow, ONNX Runtime, LiteRT."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

from deel_seg._checks import check_choice, received

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


def _served(predictor: Any) -> tuple[Any, Any]:
    """A module that holds the network, and its function of images as the signature."""
    import tensorflow as tf

    spec = tf.TensorSpec(predictor.manifest.input_shape, tf.float32, name="images")
    module = tf.Module()
    module.network = predictor.network
    module.serve = tf.function(predictor.answer, input_signature=[spec], autograph=False)
    return module, spec


def _saved_model(predictor: Any, folder: Path) -> None:
    import tensorflow as tf

    module, _ = _served(predictor)
    signatures = {"serving_default": module.serve.get_concrete_function()}
    tf.saved_model.save(module, str(folder / "saved_model"), signatures=signatures)


def _onnx(predictor: Any, folder: Path) -> None:
    module, spec = _served(predictor)
    model, _ = _tf2onnx().convert.from_function(
        module.serve, input_signature=[spec], opset=_OPSET
    )
    (folder / "model.onnx").write_bytes(model.SerializeToString())


def _tflite(predictor: Any, folder: Path) -> None:
    import tensorflow as tf

    module, _ = _served(predictor)
    with warnings.catch_warnings():
        # Of a package to come that will hold the converter.
        warnings.simplefilter("ignore", DeprecationWarning)
        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [module.serve.get_concrete_function()], module
        )
    # Float32 only, and nothing that LiteRT does not bring along.
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    (folder / "model.tflite").write_bytes(converter.convert())


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
