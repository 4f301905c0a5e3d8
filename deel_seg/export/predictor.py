"""A network that answers with its certificates, to be saved for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
from keras import ops

from deel_seg._backend import compiled
from deel_seg._checks import received
from deel_seg.export.manifest import Manifest
from deel_seg.export.portable import portable_certificate
from deel_seg.export.runtimes import check_formats, write_formats
from deel_seg.export.write_folder import write_folder

Tensor = Any


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
                changes. All but the labels are lower bounds, and NaN where the network returns NaN
                or logits of another size than the image.

        Raises:
            ValueError: If the images have another shape than the manifest's.
        """
        images = ops.convert_to_tensor(images, dtype="float32")
        expected, shape = self.manifest.input_shape, tuple(images.shape)
        if len(shape) != len(expected) or any(
            wanted is not None and size != wanted
            for size, wanted in zip(shape, expected, strict=True)
        ):
            raise ValueError(f"`images` must have the shape {expected}. " + received(shape=shape))
        return self._compiled(images)

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
