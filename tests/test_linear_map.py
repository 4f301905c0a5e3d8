"""What the tests of bounds rest on: whether a norm is exceeded is decided to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from tests.linear_map import exceeds

# Row sums settle the first; the norm of the others is below what they give.
MATRICES = {
    "ones": (np.ones((16, 16)), 16.0),
    "wide": (np.array([[3.0, -4.0, 0.0]]), 5.0),
    "tall": (np.array([[3.0], [-4.0], [0.0]]), 5.0),
    "rank one": (np.outer([2.0, -1.0, 2.0], [2.0, -1.0, 2.0]), 9.0),
}


@pytest.mark.parametrize("name", MATRICES)
def test_one_unit_of_the_last_place_is_seen(name: str) -> None:
    matrix, norm = MATRICES[name]
    assert not exceeds(matrix, norm)
    assert exceeds(matrix, float(np.nextafter(norm, 0.0)))


def test_a_norm_that_no_float_has() -> None:
    """The norm is the root of 2, which lies between two floats: the lower one is exceeded."""
    matrix = np.array([[1.0, 1.0], [-1.0, 1.0]])
    root = 2.0**0.5  # The nearest float, which lies above.
    assert not exceeds(matrix, root) and exceeds(matrix, float(np.nextafter(root, 0.0)))
