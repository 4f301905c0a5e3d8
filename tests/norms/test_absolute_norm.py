"""The norm of the absolute values of a kernel, against matrices, without slack."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deel_seg.norms import Kernel, absolute_norm_above
from tests.linear_map import singular_values
from tests.norms.test_convolution_norm import matrix_of_convolution

shapes = st.fixed_dictionaries(
    {
        "kernel": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "strides": st.tuples(st.integers(1, 3), st.integers(1, 2)),
        "dilation": st.tuples(st.integers(1, 2), st.integers(1, 2)),
        "inputs": st.integers(1, 3),
        "filters": st.integers(1, 3),
        "groups": st.integers(1, 2),
        "padding": st.sampled_from(["valid", "full", "circular"]),
        "seed": st.integers(0, 2**31),
    }
)


@settings(deadline=None, max_examples=20)
@given(shapes)
def test_never_below_the_norm_of_the_absolute_values(case: dict) -> None:
    generator = np.random.default_rng(case["seed"])
    strides, dilation, groups = case["strides"], case["dilation"], case["groups"]
    kernel = generator.normal(size=(*case["kernel"], case["inputs"], case["filters"] * groups))
    kernel *= 10.0 ** generator.uniform(-3, 3, kernel.shape)
    bound = absolute_norm_above(kernel, strides, dilation=dilation, groups=groups)
    size = tuple(5 * stride for stride in strides)
    matrix = matrix_of_convolution(kernel, size, strides, dilation, groups, case["padding"])
    assert not stretched_beyond(np.abs(matrix), bound)


def stretched_beyond(matrix: np.ndarray, bound: float) -> bool:
    """Whether the vector that is stretched most is stretched by more, in exact arithmetic."""
    if not matrix.size:
        return False
    vector = [Fraction(float(value)) for value in np.linalg.svd(matrix)[2][0]]
    after = [
        sum((Fraction(float(row[i])) * vector[i] for i in np.flatnonzero(row)), Fraction())
        for row in matrix
    ]
    return sum(value**2 for value in after) > Fraction(bound) ** 2 * sum(v**2 for v in vector)


@pytest.mark.parametrize("strides", [(1, 1), (2, 1)])
def test_reached_where_the_image_is_wrapped_around(strides: tuple[int, int]) -> None:
    kernel = np.random.default_rng(0).normal(size=(3, 2, 2, 3))
    matrix = matrix_of_convolution(np.abs(kernel), (6, 6), strides)
    bound = absolute_norm_above(kernel, strides)
    assert singular_values(matrix)[0] >= bound * (1 - 2e-3)
    assert bound > singular_values(matrix_of_convolution(kernel, (6, 6), strides))[0]
    # Without one of the taps it would be caught.
    assert stretched_beyond(matrix, absolute_norm_above(kernel[:, :1], strides))


def test_of_a_kernel_with_all_that_it_depends_on() -> None:
    values = np.random.default_rng(0).normal(size=(3, 3, 2, 4))
    kernel = Kernel(values, (2, 2), (1, 1), 2)
    assert kernel.absolute_norm_above() == absolute_norm_above(values, (2, 2), groups=2)
    assert absolute_norm_above(0 * values) == 0.0
    with pytest.raises(ValueError, match="finite"):
        absolute_norm_above(values * np.nan)
