"""Padding and tiles: every logit once, and a constant that is not too small."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from deel_seg.folders.tiles import Tiling, pad, smallest_multiple

TILINGS = [
    Tiling((1, 1)),
    Tiling((4, 2)),
    Tiling((2, 2), tile=(6, 4)),
    Tiling((2, 2), tile=(6, 8), overlap=1),
    Tiling((2, 2), tile=(8, 8), overlap=3),
]
SIZES = [(1, 1), (5, 7), (6, 8), (13, 9), (24, 16)]


def certified_in_parts(tiling: Tiling, image: np.ndarray, function: Any) -> np.ndarray:
    """`function` of every tile of a picture, put together."""
    padded = pad(image, tiling.padded(image.shape[:2]), 0.0)
    whole = np.full_like(padded, np.nan)
    for tile in tiling.tiles(padded.shape[:2]):
        whole[tile.written] = function(padded[tile.taken])[tile.own]
    return whole[: image.shape[0], : image.shape[1]]


@pytest.mark.parametrize("tiling", TILINGS)
@pytest.mark.parametrize("size", SIZES)
def test_every_logit_is_written_once(tiling: Tiling, size: tuple[int, int]) -> None:
    padded = tiling.padded(size)
    assert padded[0] >= size[0] and padded[1] >= size[1]
    count = np.zeros(padded, int)
    for tile in tiling.tiles(padded):
        shape = np.zeros(padded)[tile.taken].shape
        assert shape == (tiling.tile or padded), "a tile of another size"
        assert all(length % by == 0 for length, by in zip(shape, tiling.multiple, strict=True))
        assert count[tile.written].shape == np.zeros(shape)[tile.own].shape
        count[tile.written] += 1
    assert (count == 1).all()
    image = np.random.default_rng(0).random((*size, 1))
    assert (certified_in_parts(tiling, image, lambda part: part) == image).all()


def largest_stretch(tiling: Tiling, size: tuple[int, int], function: Any) -> float:
    """The norm of the whole map, for a linear function of tiles."""
    columns = []
    for index in range(size[0] * size[1]):
        image = np.zeros(size[0] * size[1])
        image[index] = 1.0
        columns.append(certified_in_parts(tiling, image.reshape(*size, 1), function).ravel())
    return float(np.linalg.norm(np.stack(columns, 1), 2))


@pytest.mark.parametrize("overlap", [0, 1, 2, 3])
def test_the_constant_is_not_below_that_of_the_whole(overlap: int) -> None:
    tiling, size = Tiling((1, 1), tile=(8, 8), overlap=overlap), (14, 14)
    found = {}
    for shift in range(-overlap, overlap + 1):
        # Looks to one side, as far as it can: a map of norm 1, which two tiles make of one pixel.
        for axes in ((0,), (1,), (0, 1)):
            move = [shift if axis in axes else 0 for axis in (0, 1)]
            found[(shift, axes)] = largest_stretch(
                tiling, size, lambda part, move=move: np.roll(part, move, axis=(0, 1))
            )
    factor = tiling.constant_factor(size)
    # numpy's norm of such a matrix errs by some units in the last place.
    assert all(stretch <= factor * (1 + 1e-12) for stretch in found.values())
    assert factor <= tiling.largest_factor
    if overlap:
        assert max(found.values()) > 1.4, "a factor of 1 would be exposed"
    else:
        assert factor == 1.0


def test_what_strides_divide() -> None:
    inputs = keras.Input((None, None, 3))
    halved = keras.layers.Conv2D(4, 3, strides=2, padding="same")(inputs)
    quartered = keras.layers.Conv2D(4, 3, strides=2, padding="same")(halved)
    network = keras.Model(inputs, keras.layers.UpSampling2D(4)(quartered))
    assert smallest_multiple(network) == (4, 4)
    as_it_is = keras.layers.Identity()
    assert smallest_multiple(keras.Model(inputs, as_it_is(inputs))) == (1, 1)
    fixed = keras.Input((12, 20, 3))
    assert smallest_multiple(keras.Model(fixed, as_it_is(fixed))) == (12, 20)
    with pytest.raises(ValueError, match="for no multiple"):
        smallest_multiple(keras.Model(inputs, halved))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overlap": 2}, "`overlap` needs `tile`"),
        ({"tile": (6, 8)}, "`tile` must be a multiple"),
        ({"tile": (8, 8), "overlap": 4}, "`overlap` must leave"),
        ({"tile": (8, 8), "overlap": -1}, "`overlap` must be at least 0"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Tiling((4, 4), **options)
