"""A network that answers with its certificates, to be saved for other programs."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import keras
from keras import ops

from deel_seg._backend import compiled
from deel_seg._checks import check_real, received
from deel_seg.certificates.budgets import check_budgets
from deel_seg.certificates.objectives import exact_fraction
from deel_seg.export.hashes import weights_sha256
from deel_seg.export.manifest import Manifest
from deel_seg.export.portable_certificate import portable_certificate
from deel_seg.export.runtimes import check_formats, write_formats
from deel_seg.export.write_folder import write_folder
from deel_seg.lipschitz import UnknownLipschitzBound, certified_lipschitz_constant
from deel_seg.models import LipschitzModel
from deel_seg.vanilla import plain_network

Tensor = Any

_PACKAGES = ("deel_seg", "keras", "tensorflow", "numpy", "tf2onnx", "onnx")


class CertifiedPredictor:
    """Labels, radii and certificates of images, in one call; made by `certified_predictor`.

    Args:
        network: A network of Keras' own layers, from images to logits.
        manifest: What is stated of it.
        fingerprint: That of the folder it was loaded from.
    """

    def __init__(
        self, network: keras.Model, manifest: Manifest, fingerprint: str | None = None
    ) -> None:
        self.network, self.manifest, self.fingerprint = network, manifest, fingerprint
        self._compiled = compiled(self.answer, xla=False)

    def __call__(self, images: Any) -> dict[str, Tensor]:
        """Certifies images.

        Args:
            images: `(batch, height, width, channels)`, float32, in the manifest's `input_range`.

        Returns:
            `labels`: `(batch, height, width)`, int32, the predicted classes; `radius`: the same
                shape, float32, the budget that changes one pixel alone; `stability_radius`:
                `(batch,)`, the budget that changes the manifest's `fraction` of the predictions;
                `crs`: `(batch, len(eps))`, the share of predictions that no attack of each budget
                changes. All but the labels are lower bounds, and NaN where the network returns NaN.
        """
        return self._compiled(ops.convert_to_tensor(images, dtype="float32"))

    def answer(self, images: Tensor) -> dict[str, Tensor]:
        """As a call, uncompiled: what the exported graphs are traced from."""
        logits = self.network(images, training=False)
        answers = portable_certificate(
            logits,
            lipschitz_constant=self.manifest.lipschitz_constant,
            logit_tolerance=self.manifest.logit_tolerance,
            eps=self.manifest.eps,
            fraction=self.manifest.fraction,
        )
        return _nan_unless_same_size(answers, images, logits)

    def save(self, folder: str | Path, *, formats: Sequence[str] = ("saved_model",)) -> str:
        """Writes the predictor into a folder that does not exist yet.

        Beside the formats asked for it holds `network.keras`, the network of Keras' own layers that
        they were made of and from which its constant can be proved again, and `manifest.json`.

        Args:
            folder: Where to write. It appears there when it is complete, and not before.
            formats: Some of `"saved_model"`, `"onnx"` (needs tf2onnx) and `"tflite"`.

        Returns:
            The fingerprint: the hash of the manifest, which holds the hashes of all other files.
            Kept apart from the files, and given to `load_predictor`, it tells whether they are the
            ones that were written.

        Raises:
            ValueError: If the folder exists, a format is unknown, or the backend is not TensorFlow.
            ImportError: If a format needs a package that is not installed; the message names it.
        """
        formats = check_formats(formats)

        def write(place: Path) -> None:
            self.network.save(place / "network.keras")
            write_formats(self, place, formats)

        self.fingerprint = write_folder(Path(folder), write, self.manifest)
        return self.fingerprint


def _nan_unless_same_size(
    answers: dict[str, Tensor], images: Tensor, logits: Tensor
) -> dict[str, Tensor]:
    """No certificates where the strides do not divide the image: logits and pixels do not match."""
    known = [None not in shape[1:3] for shape in (tuple(images.shape), tuple(logits.shape))]
    if all(known):
        if tuple(images.shape[1:3]) != tuple(logits.shape[1:3]):
            raise ValueError(
                "The network returns logits of another size than the image, whose height and width "
                "its strides have to divide: pad it. "
                + received(image=tuple(images.shape), logits=tuple(logits.shape))
            )
        return answers
    pairs = zip(ops.shape(images)[1:3], ops.shape(logits)[1:3], strict=True)
    same = ops.all(ops.stack([ops.equal(size, other) for size, other in pairs]))
    return {
        name: values if name == "labels" else ops.where(same, values, float("nan"))
        for name, values in answers.items()
    }


def certified_predictor(
    model: keras.Model,
    folder: str | Path | None = None,
    *,
    eps: Sequence[float] = (0.1,),
    fraction: Any = 0.5,
    lipschitz_constant: float | None = None,
    input_range: tuple[float, float] = (0.0, 1.0),
    eps_unit: str = "l2 norm of the difference of two images, in the values of the input",
    logit_tolerance: float = 0.0,
    logit_tolerance_obtained: str | None = None,
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
        logit_tolerance_obtained: How that is known, for the manifest.
        formats: As in `CertifiedPredictor.save`.

    Returns:
        The predictor, to be called with images, or saved.

    Raises:
        ValueError: If an argument is out of range, the constant given is below the network's, or a
            layer has no form among Keras' own.
        UnknownLipschitzBound: If no constant is known; the message names the layer.

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
    tolerance = check_real("logit_tolerance", logit_tolerance, minimum=0.0)
    low, high = input_range
    check_real("input_range", high, minimum=check_real("input_range", low))
    formats = check_formats(formats) if folder is not None else ()
    network, constant, proved, obtained = _with_constant(model, lipschitz_constant)
    if tolerance == 0 and logit_tolerance_obtained is None:
        logit_tolerance_obtained = "none: the logits are taken for exact"
    manifest = Manifest(
        network=model.name,
        lipschitz_constant=constant,
        proved_constant=proved,
        obtained=obtained,
        input_shape=tuple(network.input_shape),
        input_range=(float(low), float(high)),
        normalization=_normalization(model),
        eps=tuple(budgets),
        eps_unit=eps_unit,
        fraction=str(share),
        logit_tolerance=tolerance,
        logit_tolerance_obtained=logit_tolerance_obtained or "given by the user",
        versions=_versions(),
        weights_sha256=weights_sha256(network),
    )
    predictor = CertifiedPredictor(network, manifest)
    if folder is not None:
        predictor.save(folder, formats=formats)
    return predictor


def _with_constant(
    model: keras.Model, given: float | None
) -> tuple[keras.Model, float, float | None, str]:
    """The plain network, its constant, the one its weights prove, and how the first was found."""
    ours = isinstance(model, LipschitzModel)
    network = model.vanilla_export() if ours else plain_network(model)
    own = model.proved_constant() if ours else 0.0
    proved: float | None = None
    obtained = "proved from the exported weights"
    try:
        proved = certified_lipschitz_constant(network)
    except UnknownLipschitzBound:
        if not ours:
            raise
        obtained = "proved from the weights of the network before its export"
    # Not less than before: a bound that came out tighter must not certify more.
    if proved is not None and not proved <= own:
        own = proved
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
