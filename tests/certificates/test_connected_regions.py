from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from deel_seg._backend import IS_TENSORFLOW
from deel_seg.certificates.connected_regions import connected_regions
from tests.certificates.exact import numbers
from tests.certificates.region_search import searched_regions

SIZE = 24  # One size for most maps: each shape compiles anew.


def spiral(size: int) -> np.ndarray:
    """A path of ones, one pixel wide, that winds inwards between walls of zeros."""
    path = np.zeros((size, size), int)
    place, step = np.array([0, 0]), np.array([0, 1])
    path[0, 0] = 1
    lengths = [size - 1] * 3 + [n for k in range(size - 3, 0, -2) for n in (k, k)]
    for length in lengths:
        for _ in range(length):
            place = place + step
            path[tuple(place)] = 1
        step = np.array([step[1], -step[0]])
    return path


def snake(size: int) -> np.ndarray:
    """Rows of ones joined in turn at the right and at the left."""
    path = np.ones((size, size), int)
    path[1::4, :-1] = 0
    path[3::4, 1:] = 0
    return path


def maps() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    shape = (SIZE, SIZE)
    return {
        "one class": np.zeros(shape, int),
        "checkerboard": np.indices(shape).sum(0) % 2,
        "stripes": np.indices(shape)[1] % 3,
        "comb": ((np.indices(shape)[0] % 2 == 0) | (np.indices(shape)[1] == 0)).astype(int),
        "spiral": spiral(SIZE),
        "turned spiral": np.rot90(spiral(SIZE), 2),
        "snake": snake(SIZE),
        "upright snake": snake(SIZE).T,
        "two classes": generator.integers(0, 2, shape),
        "many classes": generator.integers(-3, 200, shape),
        "near the threshold": (generator.random(shape) < 0.6).astype(int),
        "blobs": np.kron(generator.integers(0, 3, (6, 6)), np.ones((4, 4), int)),
    }


MAPS = maps()


@pytest.mark.parametrize("connectivity", [4, 8])
def test_equals_a_search_from_pixel_to_pixel(connectivity: int) -> None:
    classes = np.stack(list(MAPS.values()))
    kept = np.ones_like(classes, bool)
    got = numbers(connected_regions(classes, connectivity=connectivity))
    for name, image, found in zip(MAPS, classes, got, strict=True):
        assert (found == searched_regions(image, kept[0], connectivity)).all(), name


@pytest.mark.parametrize("connectivity", [4, 8])
def test_equals_scipy(connectivity: int) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    structure = np.ones((3, 3)) if connectivity == 8 else None
    classes = np.stack(list(MAPS.values()))
    got = numbers(connected_regions(classes, connectivity=connectivity))
    for image, found in zip(classes, got, strict=True):
        count = 0
        for class_id in np.unique(image):
            regions, number = ndimage.label(image == class_id, structure)
            count += number
            # The same partition: pairs of numbers match one to one.
            inside = regions > 0
            pairs = {*zip(regions[inside].tolist(), found[inside].tolist(), strict=True)}
            assert len(pairs) == number == len({pair[1] for pair in pairs})
        assert found.max() == count


@pytest.mark.xla
@pytest.mark.parametrize("connectivity", [4, 8])
def test_masked_and_ignored_pixels_separate_regions(connectivity: int) -> None:
    generator = np.random.default_rng(1)
    classes = np.stack(list(MAPS.values()))
    mask = generator.random(classes.shape) < 0.7
    options: dict[str, Any] = {"mask": mask, "ignore_class": 1, "connectivity": connectivity}
    got = numbers(connected_regions(classes, **options))
    kept = mask & (classes != 1)
    for image, inside, found in zip(classes, kept, got, strict=True):
        assert (found == searched_regions(image, inside, connectivity)).all()
    assert (got[~kept] == 0).all() and (got[kept] > 0).all()


def test_a_spiral_takes_few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    from keras import ops

    from deel_seg.certificates.connected_regions import region_roots

    rounds = []

    def eager_loop(unfinished: Any, body: Any, state: Any) -> Any:
        while bool(unfinished(*state)):
            state = body(*state)
            rounds.append(None)
        return state

    monkeypatch.setattr(ops, "while_loop", eager_loop)
    path = spiral(64)[None]
    assert path.sum() > 2000
    roots = numbers(region_roots(path, path > 0, 4)).reshape(path.shape)
    assert (roots[path > 0] == 0).all()
    # One round for each pixel or each turn would be 2000 or 60.
    assert len(rounds) <= 20


def test_regions_do_not_reach_around_the_border_or_into_the_next_image() -> None:
    rows = np.array([[[1, 0, 1], [0, 0, 0], [1, 0, 1]], [[1, 0, 1], [0, 0, 0], [1, 0, 1]]])
    expected = [[1, 2, 3], [2, 2, 2], [4, 2, 5]]
    for connectivity in (4, 8):
        got = numbers(connected_regions(rows, connectivity=connectivity))
        assert got.tolist() == [expected, expected]


@pytest.mark.xla
def test_inside_a_compiled_function() -> None:
    classes = np.stack(list(MAPS.values()))
    expected = numbers(connected_regions(classes))
    if IS_TENSORFLOW:
        import tensorflow as tf

        signature = [tf.TensorSpec((None, None, None), "int64")]
        for jit_compile in (False, True):
            function = tf.function(connected_regions, signature, jit_compile=jit_compile)
            assert (numbers(function(tf.constant(classes, "int64"))) == expected).all()
    else:
        import jax

        assert (numbers(jax.jit(connected_regions)(classes)) == expected).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"connectivity": 6}, r"`connectivity` must be one of 4, 8\. Received: connectivity=6"),
        ({"classes": np.zeros((3, 4), int)}, r"`classes` must be integers of shape \(batch"),
        ({"classes": np.zeros((1, 3, 4))}, r"`classes` must be integers.*float"),
        ({"classes": np.zeros((1, 0, 4), int)}, r"`classes`.*none of them 0"),
        ({"mask": np.ones((1, 3, 5), bool)}, r"`mask` must be boolean of shape \(1, 3, 4\)"),
        ({"mask": np.ones((1, 3, 4), int)}, r"`mask` must be boolean"),
        ({"ignore_class": 0.5}, r"`ignore_class` must be an integer"),
    ],
)
def test_wrong_arguments_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        connected_regions(**{"classes": np.zeros((1, 3, 4), int), **changes})


def test_the_comparison_catches_missing_links() -> None:
    # The twin: one pass of smallest numbers along rows and columns leaves a spiral in pieces.
    path = spiral(SIZE)
    numbered = np.where(path > 0, np.arange(path.size).reshape(path.shape), path.size)
    for axis in (0, 1, 0, 1):
        numbered = np.where(path > 0, np.minimum(numbered, np.roll(numbered, 1, axis)), path.size)
    expected = searched_regions(path, path > 0, 4)
    assert len(np.unique(numbered[path > 0])) > len(np.unique(expected[path > 0])) == 1
