"""Explicit matrices of linear maps, their singular values, and an exact check of a norm bound."""

from __future__ import annotations

import functools
import inspect
from fractions import Fraction
from typing import Any

import keras
import numpy as np
from keras import ops


def matrix_of(
    layer: Any, shape: tuple[int, ...], *, training: bool = False, impulse: float = 1.0
) -> np.ndarray:
    """Matrix `(outputs, inputs)` of an affine map of `shape`, by one impulse for each input value.

    The entries are what the layer returns, in float64. `impulse` may be chosen such that the
    layer's own arithmetic rounds nothing (a mean over n pixels of an impulse of n, say).
    """
    count = int(np.prod(shape))
    impulses = (impulse * np.eye(count, dtype="float32")).reshape(count, *shape)
    origin = _run(layer, np.zeros((1, *shape), "float32"), training)
    return (_run(layer, impulses, training) - origin).T / impulse


def _run(layer: Any, inputs: np.ndarray, training: bool) -> np.ndarray:
    outputs = ops.convert_to_numpy(call(layer, inputs, training=training))
    return outputs.astype("float64").reshape(len(inputs), -1)


def call(layer: Any, inputs: Any, *, training: bool = False) -> Any:
    """Outputs of a layer. On JAX in one compiled piece, which is ten times as fast as eagerly."""
    if keras.backend.backend() == "tensorflow":
        return layer(inputs, training=training)
    import jax

    if not layer.built:
        layer.build(np.shape(inputs))
    takes_mode = "training" in inspect.signature(layer.call).parameters
    options = {"training": training} if takes_mode else {}
    run = jax.jit(functools.partial(layer.stateless_call, **options))
    outputs, _ = run(
        [variable.value for variable in layer.trainable_variables],
        [variable.value for variable in layer.non_trainable_variables],
        inputs,
    )
    return outputs


def singular_values(matrix: np.ndarray) -> np.ndarray:
    """In float64, the largest first; as many as the shorter side."""
    return np.linalg.svd(matrix, compute_uv=False)


def exceeds(matrix: np.ndarray, bound: float) -> bool:
    """Whether the largest singular value of `matrix` is above `bound`: exactly, without slack.

    The singular values of LAPACK are right to some `1e-14`. Only where the answer hangs on that,
    it is found in rational numbers: `|M| <= b` if and only if `b^2 I - M^T M` has no negative
    eigenvalue, block by block of inputs that share no output.
    """
    largest = float(singular_values(matrix)[0]) if matrix.size else 0.0
    if abs(largest - bound) > 1e-12 * max(bound, 1.0):
        return largest > bound
    return any(not _at_most(block, bound) for block in _blocks(matrix))


def _blocks(matrix: np.ndarray) -> list[np.ndarray]:
    """Splits a matrix into the blocks it is the direct sum of."""
    left = set(range(matrix.shape[1]))
    blocks = []
    while left:
        columns, grown = {left.pop()}, True
        while grown:
            rows = np.any(matrix[:, sorted(columns)] != 0, axis=1)
            reached = set(np.flatnonzero(np.any(matrix[rows] != 0, axis=0)).tolist()) | columns
            grown = len(reached) > len(columns)
            columns = reached
        left -= columns
        blocks.append(matrix[np.ix_(rows, sorted(columns))])
    return blocks


def _at_most(block: np.ndarray, bound: float) -> bool:
    """Whether `bound^2 I - M^T M` is positive semidefinite, by elimination in whole numbers.

    It is where the largest sums of a row's and a column's sizes multiply to `b^2` at most (Schur's
    test), which is quick and settles kernels of ones. What else there is goes in Bareiss' order, in
    which every division leaves no rest: fractions would be reduced again and again, for minutes.
    """
    if not block.size:
        return True
    if block.shape[0] < block.shape[1]:
        block = block.T  # M M^T has the same eigenvalues but zeros.
    values = [Fraction(float(value)) for value in (*block.ravel(), bound)]
    unit = max(value.denominator for value in values)  # Powers of two.
    *entries, whole_bound = (int(value * unit) for value in values)
    whole = np.array(entries, object).reshape(block.shape)
    sizes = abs(whole)
    if sizes.sum(axis=0).max() * sizes.sum(axis=1).max() <= whole_bound**2:
        return True
    rest = whole_bound**2 * np.eye(block.shape[1], dtype=int).astype(object) - whole.T @ whole
    before = 1
    while len(rest):
        pivot, row, others = rest[0, 0], rest[0, 1:], rest[1:, 1:]
        if pivot < 0 or (pivot == 0 and row.any()):
            return False
        rest = others if pivot == 0 else (others * pivot - np.outer(row, row)) // before
        before = pivot or before
    return True


def symbol_singular_values(
    kernel: np.ndarray, size: int, *, stride: int = 1, dilation: int = 1, groups: int = 1
) -> np.ndarray:
    """Singular values of a circular convolution on a `size x size` torus, by FFT in float64.

    Args:
        kernel: `(height, width, c_in / groups, c_out)`.
        size: Multiple of the stride.
        stride: The frequencies that it folds together are taken as one block.
        dilation: Distance between taps.
        groups: Channel groups; each is a map of its own.
    """
    values = []
    for part in np.split(kernel.astype("float64"), groups, axis=-1):
        height, width, channels, filters = part.shape
        taps = np.zeros((size, size, channels, filters))
        for row in range(height):
            for column in range(width):
                taps[row * dilation % size, column * dilation % size] += part[row, column]
        symbol = np.fft.fft2(taps, axes=(0, 1))
        small = size // stride
        folded = symbol.reshape(stride, small, stride, small, channels, filters)
        folded = folded.transpose(1, 3, 0, 2, 4, 5).reshape(small, small, -1, filters) / stride
        values.append(np.linalg.svd(folded, compute_uv=False).ravel())
    return np.sort(np.concatenate(values))[::-1]
