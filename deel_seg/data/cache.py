"""Keeps decoded pixels, in memory or in a file, so that each picture is decoded once."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deel_seg.data.examples import Examples, Pixels

MEMORY_LIMIT = 2**30
"""Decoded bytes up to which a split is kept in memory unless told otherwise."""

ReadBatch = Callable[[NDArray[np.int64]], Pixels]
"""From indices `(batch,)` to uint8 pixels `(batch, height, width, 4)`."""


def batch_reader(
    examples: Examples, size: tuple[int, int], cache: bool | str | Path | None
) -> ReadBatch:
    """Returns the function that reads batches, through the cache asked for.

    Args:
        examples: The examples to read.
        size: `(height, width)` of their pixels.
        cache: `True` keeps pixels in memory once read, `False` reads files each time, `None`
            decides by `MEMORY_LIMIT`. A path is a folder for one file of pixels, which is
            written in full here, reused by later runs, and abandoned when a file of the
            data set changes.
    """
    shape = (len(examples), *size, 4)
    if cache is None:
        cache = bool(np.prod(shape, dtype=np.int64) <= MEMORY_LIMIT)
    if cache is False:
        return lambda indices: np.stack([examples.read(int(index)) for index in indices])
    if cache is True:
        return _MemoryCache(examples, shape)
    pixels = np.load(_cache_file(examples, shape, Path(cache)), mmap_mode="r")
    return lambda indices: pixels[indices]


class _MemoryCache:
    """An array filled as its images are first asked for.

    Threads that ask for the same missing image at once write the same pixels twice, and an
    image is marked only after its pixels are there, so no lock is needed.
    """

    def __init__(self, examples: Examples, shape: tuple[int, ...]) -> None:
        self._examples = examples
        self._pixels = np.empty(shape, np.uint8)
        self._known = np.zeros(shape[0], bool)

    def __call__(self, indices: NDArray[np.int64]) -> Pixels:
        for index in indices[~self._known[indices]]:
            self._pixels[index] = self._examples.read(int(index))
            self._known[index] = True
        return self._pixels[indices]


def _cache_file(examples: Examples, shape: tuple[int, ...], folder: Path) -> Path:
    """Returns the file of all pixels, written first if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(repr((examples.fingerprint, shape)).encode()).hexdigest()[:24]
    path = folder / f"pixels-{key}.npy"
    if path.exists():
        return path
    # Written under another name and then renamed: a run that is cut short leaves no file
    # that looks complete.
    handle, draft = tempfile.mkstemp(dir=folder, suffix=".npy.part")
    os.close(handle)
    try:
        pixels = np.lib.format.open_memmap(draft, mode="w+", dtype=np.uint8, shape=shape)
        with ThreadPoolExecutor() as pool:
            for index, image in enumerate(pool.map(examples.read, range(shape[0]))):
                pixels[index] = image
        pixels.flush()
        Path(draft).replace(path)
    finally:
        Path(draft).unlink(missing_ok=True)
    return path
