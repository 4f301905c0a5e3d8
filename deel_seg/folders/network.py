"""A network to certify pictures with, read from a file or an exported folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from deel_seg._checks import received
from deel_seg.export import CertifiedPredictor, RefusedArtefact, certified_predictor, load_predictor
from deel_seg.export.write_folder import MANIFEST

LONGEST_REASON = 200
"""Characters of another library's error that are shown whole."""


class RefusedModel(ValueError):
    """A file that no certified network can be read from; the message says what to do."""


def open_predictor(model: Any) -> CertifiedPredictor:
    """A predictor of what was saved: its plain network, its proved constant, its manifest.

    Args:
        model: A folder that `certified_predictor` wrote; a `.keras` file of a `LipschitzModel`, or
            of another functional model whose constant can be proved; such a model; or a predictor.

    Returns:
        The predictor.

    Raises:
        RefusedModel: If there is no such file, it is not readable, or has no proved constant.

    Example:
    >>> import deel_seg
    >>> model = deel_seg.LipDeepLabV3({"widths": [8], "aspp_rates": [2]}, num_classes=3)
    >>> deel_seg.folders.open_predictor(model).manifest.lipschitz_constant
    1.0
    """
    if isinstance(model, CertifiedPredictor):
        return model
    if not isinstance(model, keras.Model) and Path(model).is_dir():
        return _load_folder(Path(model))
    network = open_network(model)
    try:
        return certified_predictor(network)
    except (TypeError, ValueError) as error:
        raise RefusedModel(
            f"Nothing can be certified of {network.name!r}: {_one_line(error)} Train a network of "
            "deel_seg.layers, such as deel_seg.LipDeepLabV3, whose constant is proved."
        ) from error


def open_network(model: Any) -> keras.Model:
    """A Keras model as it was saved.

    Args:
        model: A `.keras` file, or a model, which is returned.

    Raises:
        RefusedModel: If there is no such file, or it cannot be read as a Keras model.
    """
    if isinstance(model, keras.Model):
        return model
    path = Path(model)
    if not path.is_file():
        raise RefusedModel(f"`model` must be a .keras file that is there. {_got(model)}")
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras, h5py and zipfile raise a dozen types.
        raise RefusedModel(
            f"{path} cannot be read as a Keras model: {_one_line(error)} Save one with "
            'model.save("model.keras").'
        ) from error


def _load_folder(path: Path) -> CertifiedPredictor:
    if not (path / MANIFEST).exists():
        raise RefusedModel(
            f"`model` must be a .keras file or a folder that certified_predictor wrote, with a "
            f"{MANIFEST}. {_got(path)}"
        )
    try:
        return load_predictor(path)
    except RefusedArtefact as error:
        raise RefusedModel(f"{path} is not what was exported: {error}") from error


def _one_line(error: Exception) -> str:
    """Its text; of a long one the first sentence, for all of it is in the error's cause."""
    text = " ".join(str(error).split()) or type(error).__name__
    if len(text) > LONGEST_REASON:
        text = text.partition(". ")[0]
    return text if text.endswith(".") else f"{text}."


def _got(model: Any) -> str:
    return received(model=str(model))
