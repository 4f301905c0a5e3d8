"""Reads an exported predictor back, if it is what was written."""

from __future__ import annotations

from pathlib import Path

import keras

from deel_seg._checks import received
from deel_seg.export.hashes import file_sha256, text_sha256, weights_sha256
from deel_seg.export.manifest import Manifest, RefusedArtefact
from deel_seg.export.predictor import CertifiedPredictor
from deel_seg.export.write_folder import FINGERPRINT, MANIFEST
from deel_seg.lipschitz import certified_lipschitz_constant


def verify_folder(folder: str | Path, *, fingerprint: str | None = None) -> Manifest:
    """Compares every file of an exported predictor with its manifest, without opening any.

    Hashes find what was damaged on the way. Whoever edits a file on purpose can mend them too:
    against that, keep the fingerprint that `CertifiedPredictor.save` returned in another place.

    Args:
        folder: As given to `CertifiedPredictor.save`.
        fingerprint: What that returned; `None` takes the one that lies in the folder.

    Returns:
        The manifest.

    Raises:
        RefusedArtefact: If a file is missing, added or another one than was written, or the
            manifest makes no sense; the message names it.
    """
    place = Path(folder)
    text = _text(place / MANIFEST)
    own = text_sha256(text)
    for right, source in (
        # To the last byte: a file cut short is another one, though what is left may say the same.
        (_text(place / FINGERPRINT) == f"{own}\n", FINGERPRINT),
        (fingerprint is None or fingerprint.removesuffix("\n") == own, "fingerprint"),
    ):
        if not right:
            raise RefusedArtefact(
                f"{MANIFEST} is not the one that was written: its hash is not that of {source}. "
                + received(folder=str(folder))
            )
    manifest = Manifest.from_json(text)
    paths = (path for path in place.rglob("*") if not path.is_dir())
    found = {path.relative_to(place).as_posix() for path in paths}
    for name in sorted((found ^ set(manifest.files)) - {MANIFEST, FINGERPRINT}):
        state = "is not in the manifest" if name in found else "is missing"
        raise RefusedArtefact(f"The file {name!r} {state}. " + received(folder=str(folder)))
    for name, expected in manifest.files.items():
        if file_sha256(place / name) != expected:
            raise RefusedArtefact(
                f"The file {name!r} is not the one that was written: its hash differs from the "
                "manifest's. " + received(folder=str(folder))
            )
    return manifest


def load_predictor(
    folder: str | Path, *, fingerprint: str | None = None, recompute: bool = False
) -> CertifiedPredictor:
    """Loads an exported predictor after comparing every file with its manifest.

    No code from the files is run: the network consists of Keras' own layers, and is read in safe
    mode.

    Args:
        folder: As given to `CertifiedPredictor.save`.
        fingerprint: What that returned, see `verify_folder`.
        recompute: Whether to prove the constant again, from the weights in the folder.

    Returns:
        The predictor, as it was saved.

    Raises:
        RefusedArtefact: As `verify_folder`, and if the weights have another hash than stated or do
            not prove the constant; the message holds both numbers.
        UnknownLipschitzBound: With `recompute`, if a layer has no known bound.
    """
    manifest = verify_folder(folder, fingerprint=fingerprint)
    try:
        network = keras.saving.load_model(
            Path(folder) / "network.keras", compile=False, safe_mode=True
        )
    except Exception as error:
        raise RefusedArtefact(f"'network.keras' cannot be loaded: {error}") from error
    if weights_sha256(network) != manifest.weights_sha256:
        raise RefusedArtefact(
            "The weights in 'network.keras' are not those that the manifest names. "
            + received(folder=str(folder))
        )
    if recompute:
        proved = certified_lipschitz_constant(network)
        if not proved <= manifest.lipschitz_constant:
            raise RefusedArtefact(
                f"The weights prove the constant {proved!r}, which is above the manifest's. "
                + received(lipschitz_constant=manifest.lipschitz_constant)
            )
    written = _text(Path(folder) / FINGERPRINT).removesuffix("\n")
    return CertifiedPredictor(network, manifest, written)


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedArtefact(f"The file {path.name!r} cannot be read: {error}") from error
