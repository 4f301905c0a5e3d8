"""Reads the pictures of a folder in batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from deel_seg.data.read import LabelDecoder
from deel_seg.folders.kept import Kept
from deel_seg.folders.pictures import (
    Picture,
    UnreadablePicture,
    digest_of,
    read_picture,
    size_of,
)

PIXELS_AT_ONCE = 512 * 512  # Where a processor gains no more from more of them.


def batches_of(pictures: Mapping[str, Path], batch_size: int | None) -> Iterator[list[str]]:
    """Names of pictures of one size, one after the other.

    Args:
        pictures: Their files by name.
        batch_size: How many; None for as many as have the pixels of one of 512x512. Those that are
            left where the size changes come in eights, fours, twos and ones: something is compiled
            for each number of pictures.
    """
    batch: list[str] = []
    last, most = None, 1
    for name, path in pictures.items():
        size = size_of(path)
        if batch and (len(batch) == most or size is None or size != last):
            yield from _parts(batch, most)
            batch = []
        batch.append(name)
        last, most = size, batch_size or at_once(size)
    yield from _parts(batch, most)


def at_once(size: tuple[int, int] | None) -> int:
    """The largest of 1, 2, 4, ... pictures of a size that have no more pixels than one of 512x512.

    Example:
    >>> from deel_seg.folders.reading import at_once
    >>> at_once((128, 128)), at_once((375, 500)), at_once((1024, 2048))
    (16, 1, 1)
    """
    pixels = PIXELS_AT_ONCE if size is None else max(1, size[0] * size[1])
    return 1 << max(1, PIXELS_AT_ONCE // pixels).bit_length() - 1


def _parts(batch: list[str], most: int) -> Iterator[list[str]]:
    """A batch of so many whole; a smaller one in parts, each the largest power of two that fits."""
    while batch:
        taken = most if len(batch) >= most else 1 << len(batch).bit_length() - 1
        yield batch[:taken]
        batch = batch[taken:]


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
