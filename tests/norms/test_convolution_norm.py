"""Bounds of convolutions against the largest singular value of their matrices, without slack."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deel_seg.norms import convolution_norm, convolution_norm_above
from tests.linear_map import exceeds, singular_values, symbol_singular_values

Pair = tuple[int, int]


def matrix_of_convolution(
    kernel: np.ndarray,
    size: Pair,
    strides: Pair = (1, 1),
    dilation: Pair = (1, 1),
    groups: int = 1,
    padding: str = "circular",
) -> np.ndarray:
    """Matrix `(outputs, inputs)`; zero padding is as wide as a tap reaches, or none ("valid")."""
    height, width, inputs, filters = kernel.shape
    span = [(k - 1) * d + 1 for k, d in zip((height, width), dilation, strict=True)]
    before = [0 if padding in ("valid", "circular") else n - 1 for n in span]
    counts = [
        n // s if padding == "circular" else (n + 2 * b - reach) // s + 1
        for n, s, b, reach in zip(size, strides, before, span, strict=True)
    ]
    total = inputs * groups
    matrix = np.zeros((*counts, filters, *size, total))
    for row, column, tap_y, tap_x in itertools.product(
        range(counts[0]), range(counts[1]), range(height), range(width)
    ):
        y = row * strides[0] + tap_y * dilation[0] - before[0]
        x = column * strides[1] + tap_x * dilation[1] - before[1]
        if padding == "circular":
            y, x = y % size[0], x % size[1]
        elif not (0 <= y < size[0] and 0 <= x < size[1]):
            continue
        for group, part in enumerate(np.split(kernel[tap_y, tap_x], groups, axis=-1)):
            out = slice(group * filters // groups, (group + 1) * filters // groups)
            into = slice(group * inputs, (group + 1) * inputs)
            matrix[row, column, out, y, x, into] += part.T
    return matrix.reshape(math.prod(counts) * filters, -1)


shapes = st.fixed_dictionaries(
    {
        "size": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "kernel": st.tuples(st.integers(1, 4), st.integers(1, 4)),
        "strides": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "dilation": st.tuples(st.integers(1, 2), st.integers(1, 2)),
        "inputs": st.integers(1, 3),
        "outputs": st.integers(1, 3),
        "groups": st.integers(1, 2),
        "padding": st.sampled_from(["circular", "full", "valid"]),
    }
)


@settings(deadline=None, max_examples=150)
@given(
    shape=shapes,
    kind=st.sampled_from(["normal", "ones", "one tap", "positive"]),
    seed=st.integers(0, 2**31),
)
def test_never_below_the_norm_of_the_matrix(shape: dict[str, Any], kind: str, seed: int) -> None:
    generator = np.random.default_rng(seed)
    kernel = generator.normal(
        size=(*shape["kernel"], shape["inputs"], shape["groups"] * shape["outputs"])
    ).astype("float32")
    if kind == "ones":
        kernel = np.ones_like(kernel)
    elif kind == "one tap":
        kernel[1:] = kernel[:, 1:] = 0
    elif kind == "positive":
        kernel = np.abs(kernel)
    size = tuple(s * n for s, n in zip(shape["strides"], shape["size"], strict=True))
    if shape["padding"] == "valid":
        reach = [(k - 1) * d for k, d in zip(shape["kernel"], shape["dilation"], strict=True)]
        size = tuple(n + r for n, r in zip(size, reach, strict=True))
    options = {name: shape[name] for name in ("dilation", "groups")}
    matrix = matrix_of_convolution(
        kernel, size, shape["strides"], padding=shape["padding"], **options
    )
    bound = convolution_norm_above(kernel, shape["strides"], **options)
    assert not exceeds(matrix, bound)
    if shape["padding"] == "circular":
        at_size = convolution_norm_above(kernel, shape["strides"], circular=size, **options)
        assert not exceeds(matrix, at_size)
        assert at_size <= bound
        # The grid is that of the image: what is left is the tightness of the norms.
        assert at_size <= singular_values(matrix)[0] * 1.003


@pytest.mark.parametrize(("size", "stride"), [((3, 3), 1), ((5, 5), 1), ((3, 3), 2), ((2, 2), 2)])
@pytest.mark.parametrize(("inputs", "outputs"), [(3, 8), (16, 16), (24, 6)])
def test_close_to_the_largest_norm_of_any_size(
    size: Pair, stride: int, inputs: int, outputs: int
) -> None:
    kernel = np.random.default_rng(0).normal(size=(*size, inputs, outputs))
    torus = symbol_singular_values(kernel, 32 * stride, stride=stride)[0]
    assert torus <= convolution_norm_above(kernel, (stride, stride)) <= 1.013 * torus


def orthogonal_kernel(channels: int, taps: int, seed: int = 0) -> np.ndarray:
    """An orthogonal matrix, and convolutions `[A, I - A]` with projectors A along one axis."""
    generator = np.random.default_rng(seed)
    kernel = np.linalg.qr(generator.normal(size=(channels, channels)))[0][None]
    for _ in range(taps - 1):
        basis = np.linalg.qr(generator.normal(size=(channels, channels // 2)))[0]
        kept = kernel @ basis @ basis.T
        longer = np.zeros((len(kernel) + 1, channels, channels))
        longer[:-1] += kept
        longer[1:] += kernel - kept
        kernel = longer
    return kernel[:, None]


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize(("channels", "taps"), [(4, 1), (8, 3), (32, 5)])
def test_a_nearly_orthogonal_kernel(channels: int, taps: int, dtype: str) -> None:
    kernel = orthogonal_kernel(channels, taps).astype(dtype).astype("float64")
    torus = symbol_singular_values(kernel, 16)[0]
    bound = convolution_norm_above(kernel)
    assert torus <= bound <= torus * (1 + {"float64": 1e-11, "float32": 2e-5}.get(dtype, 2e-3))


@pytest.mark.parametrize("factor", [1e-30, 0.5, 1.0, 7.0, 1e30])
def test_a_factor_of_the_kernel_is_one_of_the_bound(factor: float) -> None:
    kernel = orthogonal_kernel(6, 3)
    bound = convolution_norm_above(factor * kernel)
    assert factor <= bound <= factor * (1 + 1e-9)


@pytest.mark.parametrize("change", [1e-6, 1e-4, 1e-2, 0.5, 10.0])
def test_a_kernel_that_was_changed_is_seen(change: float) -> None:
    kernel = orthogonal_kernel(16, 3)
    kernel[1, 0, 3, 5] += change
    torus = symbol_singular_values(kernel, 32)[0]
    assert torus <= convolution_norm_above(kernel) <= torus * 1.013
    kernel[1, 0, 3, :] *= 1.0 + change
    assert convolution_norm_above(kernel) >= symbol_singular_values(kernel, 32)[0]


def test_the_largest_norm_lies_between_the_points_of_a_size() -> None:
    # At even sizes the frequency of an alternating image is on the grid, at odd ones it is not.
    kernel = np.array([1.0, -1.0]).reshape(1, 2, 1, 1)
    odd = convolution_norm_above(kernel, circular=(5, 5))
    assert 2.0 * math.cos(math.pi / 10) <= odd < 1.91
    assert 2.0 <= convolution_norm_above(kernel) < 2.03
    assert 2.0 <= convolution_norm_above(kernel, circular=(4, 4)) < 2.001


@pytest.mark.parametrize("fault", ["no inflation", "one group", "no strides", "coarse grid"])
def test_a_broken_bound_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    strides, groups = (1, 1), 1
    kernel = np.array([1.0, -1.0, 1.0]).reshape(1, 3, 1, 1)
    size, stated = (1, 40), {}
    if fault == "no inflation":
        monkeypatch.setattr(convolution_norm, "inflation", lambda degrees, points: 1.0)
        monkeypatch.setattr(convolution_norm, "_grid", lambda taps: ((1, 5), 1.0))
    elif fault == "coarse grid":
        monkeypatch.setattr(convolution_norm, "_grid", lambda taps: ((1, 1), 1.0))
    elif fault == "one group":
        kernel, groups, size = generator.normal(size=(1, 1, 2, 4)), 2, (1, 1)
        kernel[..., 2:] *= 9.0
        stated["kernel"] = kernel[..., :2]
    else:
        kernel, strides, size = np.ones((2, 2, 1, 1)), (2, 2), (4, 4)
        stated["kernel"] = kernel[:1, :1]
    bound = convolution_norm_above(stated.get("kernel", kernel), strides)
    matrix = matrix_of_convolution(kernel, size, strides, groups=groups)
    assert exceeds(matrix, bound)
    monkeypatch.undo()
    assert not exceeds(matrix, convolution_norm_above(kernel, strides, groups=groups))


def test_bad_kernels() -> None:
    kernel = np.ones((3, 3, 2, 4))
    assert convolution_norm_above(0 * kernel) == 0.0
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="`kernel` must be finite"):
            convolution_norm_above(value * kernel)
    with pytest.raises(ValueError, match=r"`kernel` must be of shape.*groups=3"):
        convolution_norm_above(kernel, groups=3)
    with pytest.raises(ValueError, match="`kernel` must be of shape"):
        convolution_norm_above(kernel[0])
    with pytest.raises(ValueError, match=r"`circular` must be a size.*circular=\(5, 4\)"):
        convolution_norm_above(kernel, (2, 2), circular=(5, 4))
