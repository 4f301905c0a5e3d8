"""Reads the pictures of a folder in batches, ahead of what is certified."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from deel_seg.data.read import LabelDecoder
from deel_seg.folders.kept import Kept
from deel_seg.folders.pictures import (
    Picture,
    UnreadablePicture,
    digest_of,
    read_picture,
    size_of,
)

_READ_AHEAD = 4  # Batches.


def batches_of(pictures: Mapping[str, Path], batch_size: int) -> Iterator[list[str]]:
    """Names of pictures of one size, one after the other."""
    batch: list[str] = []
    last: tuple[int, int] | None = None
    for name, path in pictures.items():
        size = size_of(path)
        if batch and (len(batch) == batch_size or size is None or size != last):
            yield batch
            batch = []
        batch.append(name)
        last = size
    if batch:
        yield batch


def read_unless_kept(
    name: str,
    pictures: Mapping[str, Path],
    labels: Mapping[str, Path],
    decoder: LabelDecoder,
    channels: int,
    kept: Kept,
) -> Picture | UnreadablePicture | None:
    """A picture; None for one that was certified; or why it cannot be."""
    path, label = pictures[name], labels.get(name)
    try:
        if kept.has(name, digest_of(path, label)):
            return None
        return read_picture(path, label, decoder, channels=channels)
    except (UnreadablePicture, OSError) as error:
        return UnreadablePicture(str(error))


def read_ahead(
    pool: ThreadPoolExecutor, batches: Iterable[list[str]], read: Callable[[str], Any]
) -> Iterator[tuple[list[str], list[Any]]]:
    """Batches of names with what was read of them, a few of them read in advance."""
    waiting: list[tuple[list[str], list[Future]]] = []
    for names in batches:
        waiting.append((names, [pool.submit(read, name) for name in names]))
        if len(waiting) > _READ_AHEAD:
            first, futures = waiting.pop(0)
            yield first, [future.result() for future in futures]
    for names, futures in waiting:
        yield names, [future.result() for future in futures]
