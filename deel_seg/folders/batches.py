"""Which pictures of a folder are certified together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from deel_seg.folders.pictures import size_of

PIXELS_AT_ONCE = 512 * 512  # Where a processor gains no more from more of them.
_MOST = 64


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
    """How many pictures of a size have no more pixels than one of 512x512: 1, 2, 4, ... or 64.

    Example:
    >>> from deel_seg.folders.batches import at_once
    >>> at_once((128, 128)), at_once((375, 500)), at_once((1024, 2048))
    (16, 1, 1)
    """
    pixels = PIXELS_AT_ONCE if size is None else max(1, size[0] * size[1])
    return min(_MOST, 1 << max(1, PIXELS_AT_ONCE // pixels).bit_length() - 1)


def _parts(batch: list[str], most: int) -> Iterator[list[str]]:
    """A batch of so many whole; a smaller one in parts, each the largest power of two that fits."""
    while batch:
        taken = most if len(batch) >= most else 1 << len(batch).bit_length() - 1
        yield batch[:taken]
        batch = batch[taken:]
