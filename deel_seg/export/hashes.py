"""Hashes by which files and weights are known again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import keras
from keras import ops


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def text_sha256(text: str) -> str:
    """SHA-256 of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def weights_sha256(network: keras.Model) -> str:
    """SHA-256 over all weights of a network, in order, with their shapes and dtypes."""
    digest = hashlib.sha256()
    for weight in network.weights:
        values = ops.convert_to_numpy(weight)
        digest.update(f"{values.dtype}{values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def folder_sha256(folder: Path) -> dict[str, str]:
    """Hash of every file below a folder, by its path from there."""
    return {
        path.relative_to(folder).as_posix(): file_sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
