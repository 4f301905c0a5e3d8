"""Makes a predictor of a network, with the constant that its weights prove."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import keras
from keras import ops

from deel_seg._checks import check_range, check_real, received
from deel_seg.certificates.budgets import check_budgets
from deel_seg.certificates.objectives import exact_fraction
from deel_seg.export.hashes import weights_sha256
from deel_seg.export.manifest import Manifest
from deel_seg.export.predictor import CertifiedPredictor
from deel_seg.export.runtimes import check_formats
from deel_seg.export.tolerance import measured_tolerance
from deel_seg.lipschitz import certified_lipschitz_constant
from deel_seg.models import LipschitzModel
from deel_seg.vanilla import plain_network

_PACKAGES = ("deel_seg", "keras", "tensorflow", "numpy", "tf2onnx", "onnx")


def certified_predictor(
    model: keras.Model,
    folder: str | Path | None = None,
    *,
    eps: Sequence[float] = (0.1,),
    fraction: Any = 0.5,
    lipschitz_constant: float | None = None,
    input_range: tuple[float, float] = (0.0, 1.0),
    eps_unit: str = "l2 norm of the difference of two images, in the values of the input",
    logit_tolerance: float | None = None,
    images: Any = None,
    formats: Sequence[str] = ("saved_model",),
) -> CertifiedPredictor:
    r"""Turns a network into a servable that returns its predictions with their certificates.

    The network becomes one of Keras' own layers (`LipschitzModel.vanilla_export`), and its constant
    is proved from the weights that are exported. The certificates are those of
    `deel_seg.export.portable_certificate`: in float32, less than 2e-5 below the library's own, and
    the same in every format.

    Args:
        model: A `LipschitzModel`, or any functional Keras model whose constant can be proved.
        folder: Where to save it at once, see `CertifiedPredictor.save`; `None` does not save.
        eps: Budgets of `crs`, different ones `>= 0`.
        fraction: Share of the predictions that `stability_radius` is about.
        lipschitz_constant: To certify with a larger constant than the network's own.
        input_range: Smallest and largest value of an image, for the manifest.
        eps_unit: What a budget measures, for the manifest.
        logit_tolerance: How far each logit that a runtime computes may be from the exact one.
            `None` takes ten times the largest error that is seen against float64, which is a
            measurement and no proof; see `deel_seg.lipschitz.logit_error_bound` for one.
        images: `(count, height, width, channels)`, where to look for that error; `None` draws some
            at random.
        formats: As in `CertifiedPredictor.save`.

    Returns:
        The predictor, to be called with images, or saved.

    Raises:
        ValueError: If an argument is out of range, the constant given is below the network's, or a
            layer has no form among Keras' own.
        UnknownLipschitzBound: If the exported network has no known constant; the message names the
            layer. `ScaledL2NormPooling2D` is one: Keras has no layer for its root.

    Example:
    >>> import numpy as np, deel_seg
    >>> model = deel_seg.LipDeepLabV3({"widths": [8], "aspp_rates": [2]}, num_classes=3)
    >>> predictor = deel_seg.export.certified_predictor(model, eps=[0.1, 0.25])
    >>> answers = predictor(np.full((1, 8, 8, 3), 0.5, "float32"))
    >>> {name: tuple(values.shape) for name, values in sorted(answers.items())}
    {'crs': (1, 2), 'labels': (1, 8, 8), 'radius': (1, 8, 8), 'stability_radius': (1,)}
    >>> predictor.manifest.lipschitz_constant
    1.0
    """
    budgets = check_budgets(eps)
    share = exact_fraction("fraction", fraction, allow_zero=False)
    if logit_tolerance is not None:
        check_real("logit_tolerance", logit_tolerance, minimum=0.0)
    low, high = check_range("input_range", input_range)
    formats = check_formats(formats) if folder is not None else ()
    network, constant, proved, obtained = _with_constant(model, lipschitz_constant)
    tolerance, seen = logit_tolerance, "given"
    if tolerance is None:
        tolerance, seen = measured_tolerance(network, images, input_range)
    manifest = Manifest(
        network=model.name,
        lipschitz_constant=constant,
        proved_constant=proved,
        obtained=obtained,
        input_shape=tuple(network.input_shape),
        input_range=(low, high),
        normalization=_normalization(model),
        eps=tuple(budgets),
        eps_unit=eps_unit,
        fraction=str(share),
        logit_tolerance=tolerance,
        logit_tolerance_obtained=seen,
        versions=_versions(),
        weights_sha256=weights_sha256(network),
    )
    predictor = CertifiedPredictor(network, manifest)
    if folder is not None:
        predictor.save(folder, formats=formats)
    return predictor


def _with_constant(
    model: keras.Model, given: float | None
) -> tuple[keras.Model, float, float, str]:
    """The plain network, its constant, the one its weights prove, and how the first was found."""
    ours = isinstance(model, LipschitzModel)
    network = model.vanilla_export() if ours else plain_network(model)
    # Of what is exported: its weights were rounded once more than those of the library's network.
    own = proved = certified_lipschitz_constant(network)
    obtained = "proved from the exported weights"
    # Not less than before: a bound that came out tighter must not certify more.
    if ours and not model.proved_constant() <= proved:
        own = model.proved_constant()
    check_real("lipschitz_constant", own, minimum=0.0, exclusive_minimum=True)
    if given is None:
        return network, own, proved, obtained
    constant = check_real("lipschitz_constant", given, minimum=0.0, exclusive_minimum=True)
    if constant < own:
        raise ValueError(
            f"`lipschitz_constant` must not be below the network's, {own!r}: more would be "
            "certified than holds. " + received(lipschitz_constant=given)
        )
    return network, constant, proved, f"given; the network's own, {own!r}, {obtained}"


def _normalization(model: keras.Model) -> tuple[dict[str, Any], ...]:
    found = []
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.Normalization):
            mean, variance = (
                ops.convert_to_numpy(values).ravel().tolist()
                for values in (layer.mean, layer.variance)
            )
            found.append({"layer": layer.name, "mean": mean, "variance": variance})
    return tuple(found)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
