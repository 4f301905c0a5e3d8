"""Reads the pictures of a folder that are not certified yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from deel_seg.data.read import LabelDecoder
from deel_seg.folders.kept import Kept
from deel_seg.folders.pictures import (
    Picture,
    UnreadablePicture,
    digest_of,
    read_picture,
)


class Reader:
    """Reads the pictures that are not certified yet.

    Args:
        pictures: Their files by name.
        labels: Label files, of those that have one.
        decoder: What those mean.
        channels: Of the network.
        kept: What was found of other pictures.
    """

    def __init__(
        self,
        pictures: Mapping[str, Path],
        labels: Mapping[str, Path],
        decoder: LabelDecoder,
        channels: int,
        kept: Kept,
    ) -> None:
        self._pictures, self._labels, self._kept = pictures, labels, kept
        self._decoder, self._channels = decoder, channels

    def __call__(self, names: Sequence[str]) -> dict[str, Picture | UnreadablePicture]:
        """The pictures of a batch, or why they cannot be read; empty where all are certified.

        Where one is missing all are read: networks round otherwise in a batch of another size, and
        a run that was stopped would write other last digits.
        """
        kept = {name for name in names if self._is_kept(name)}
        found = {name: self._read(name) for name in names if name not in kept}
        if any(isinstance(each, Picture) for each in found.values()):
            found |= {name: self._read(name) for name in kept}
        return {name: found[name] for name in names if name in found}

    def _is_kept(self, name: str) -> bool:
        try:
            digest = digest_of(self._pictures[name], self._labels.get(name))
        except OSError:
            return False
        return self._kept.has(name, digest)

    def _read(self, name: str) -> Picture | UnreadablePicture:
        path, label = self._pictures[name], self._labels.get(name)
        try:
            return read_picture(path, label, self._decoder, channels=self._channels)
        except (UnreadablePicture, OSError) as error:
            return UnreadablePicture(str(error))
