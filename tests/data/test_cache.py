from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deel_seg.data import cache
from deel_seg.data.cache import batch_reader
from deel_seg.data.examples import Examples

SIZE = (2, 3)
ORDER = np.array([2, 0, 2], np.int64)


class Source:
    """Examples that count how often each is read."""

    def __init__(self) -> None:
        self.reads = [0, 0, 0]

    def examples(self, fingerprint: str = "one") -> Examples:
        return Examples(("a", "b", "c"), self.read, fingerprint)

    def read(self, index: int) -> np.ndarray:
        self.reads[index] += 1
        return np.full((*SIZE, 4), index, np.uint8)


def expect(batch: np.ndarray) -> None:
    assert batch.dtype == np.uint8
    assert batch.shape == (3, *SIZE, 4)
    assert batch[:, 0, 0, 0].tolist() == ORDER.tolist()


def test_memory_reads_each_image_once_and_only_when_needed() -> None:
    source = Source()
    read = batch_reader(source.examples(), SIZE, True)
    expect(read(ORDER))
    assert source.reads[1] == 0
    before = list(source.reads)
    expect(read(ORDER))
    assert source.reads == before


def test_no_cache_reads_each_time() -> None:
    source = Source()
    read = batch_reader(source.examples(), SIZE, False)
    expect(read(ORDER))
    expect(read(ORDER))
    assert source.reads == [2, 0, 4]


@pytest.mark.parametrize(("limit", "reads"), [(3 * 2 * 3 * 4, 1), (3 * 2 * 3 * 4 - 1, 2)])
def test_small_splits_are_kept_by_default(
    monkeypatch: pytest.MonkeyPatch, limit: int, reads: int
) -> None:
    monkeypatch.setattr(cache, "MEMORY_LIMIT", limit)
    source = Source()
    read = batch_reader(source.examples(), SIZE, None)
    for _ in range(2):
        read(np.array([1], np.int64))
    assert source.reads == [0, reads, 0]


def test_a_file_serves_later_runs_until_something_changes(tmp_path: Path) -> None:
    first, second, third = Source(), Source(), Source()
    expect(batch_reader(first.examples(), SIZE, tmp_path)(ORDER))
    assert first.reads == [1, 1, 1]
    expect(batch_reader(second.examples(), SIZE, str(tmp_path))(ORDER))
    assert second.reads == [0, 0, 0]
    expect(batch_reader(third.examples("two"), SIZE, tmp_path)(ORDER))
    assert third.reads == [1, 1, 1]


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    def broken(index: int) -> np.ndarray:
        raise ValueError("broken.png")

    with pytest.raises(ValueError, match=r"broken\.png"):
        batch_reader(Examples(("a",), broken, "one"), SIZE, tmp_path)
    assert not list(tmp_path.iterdir())
