"""Writes a folder of files with their manifest, so that it is there whole or not at all."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from deel_seg._checks import received
from deel_seg.export.hashes import folder_sha256, text_sha256
from deel_seg.export.manifest import Manifest

MANIFEST, FINGERPRINT = "manifest.json", "manifest.sha256"


def write_folder(folder: Path, write: Callable[[Path], None], manifest: Manifest) -> str:
    """Writes files by `write(place)`, their hashes into the manifest, and its hash beside it.

    Returns:
        The hash of the manifest.

    Raises:
        ValueError: If the folder exists.
    """
    if folder.exists():
        raise ValueError("`folder` must not exist yet. " + received(folder=str(folder)))
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside it, so that it can be moved in one step.
    place = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        write(place)
        text = dataclasses.replace(manifest, files=folder_sha256(place)).to_json()
        (place / MANIFEST).write_bytes(text.encode())
        (place / FINGERPRINT).write_bytes(f"{text_sha256(text)}\n".encode())
        place.chmod(0o755)
        place.rename(folder)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return text_sha256(text)
