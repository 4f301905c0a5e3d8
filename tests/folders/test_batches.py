"""Which pictures of a folder are certified together."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from deel_seg.folders import batches
from deel_seg.folders.batches import at_once, batches_of
from deel_seg.folders.measure import row_length


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Seven small ones, two large ones, a broken one, and three small ones."""
    folder = tmp_path_factory.mktemp("pictures")
    found = {}
    for index in range(13):
        path = found[f"{index:02}"] = folder / f"{index:02}.png"
        Image.new("L", (40, 40) if index in (7, 8) else (4, 6)).save(path)
    found["09"].write_bytes(b"no picture")
    return found


@pytest.mark.parametrize(
    ("batch_size", "numbers"),
    [(1, 13 * [1]), (2, [2, 2, 2, 1, 2, 1, 2, 1]), (3, [3, 3, 1, 2, 1, 3]),
     (5, [5, 2, 2, 1, 2, 1]), (None, [4, 2, 1, 1, 1, 1, 2, 1])],
)  # fmt: skip
def test_pictures_of_one_size_in_a_row(
    pictures: dict[str, Path],
    batch_size: int | None,
    numbers: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batches, "PIXELS_AT_ONCE", 7 * 24)
    found = list(batches_of(pictures, batch_size))
    assert [len(batch) for batch in found] == numbers
    assert [name for batch in found for name in batch] == list(pictures)


def test_no_more_pixels_at_once_than_a_picture_of_512x512_has() -> None:
    for pixels in (2**12, 5000, 2**14, 2**18 - 1, 2**18):
        number = at_once((pixels, 1))
        assert number * pixels <= 512 * 512 < 2 * number * pixels
        # As many rows as are filled up for a length are there for each of its pictures.
        assert at_once((row_length(pixels), 1)) == number
    assert at_once((1, 1)) == 64
    assert at_once((2000, 3000)) == at_once(None) == 1
