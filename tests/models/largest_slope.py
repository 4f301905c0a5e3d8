"""How steep a network is seen to be: a lower bound of its Lipschitz constant."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
from keras import ops

from deel_seg._backend import compiled
from deel_seg._derivatives import vjp
from deel_seg.layers.orthogonal_kernel import OrthogonalKernelLayer
from tests.linear_map import call


def largest_slope(model: Any, shape: tuple[int, ...], *, steps: int = 12, pairs: int = 16) -> float:
    """Largest of the ratios over random pairs and of the Jacobian's norm at a random point.

    The norm comes from power iteration on `J^T J`. `J v` is taken with two pullbacks: the pullback
    of `u -> J^T u`, which is linear, along `v`.
    """
    with frozen_kernels(model):
        return _largest_slope(model, shape, steps, pairs)


@contextlib.contextmanager
def frozen_kernels(model: Any) -> Iterator[None]:
    """The kernels that inference uses, as constants: the same map, and far less to trace."""
    owners = [
        layer for layer in model._flatten_layers() if isinstance(layer, OrthogonalKernelLayer)
    ]
    for layer in owners:
        kernel = ops.convert_to_numpy(layer.effective_kernel())
        layer.effective_kernel = functools.partial(_constant, kernel)
    try:
        yield
    finally:
        for layer in owners:
            del layer.effective_kernel


def _constant(kernel: np.ndarray, training: bool | None = False) -> Any:
    return ops.convert_to_tensor(kernel)


def _largest_slope(model: Any, shape: tuple[int, ...], steps: int, pairs: int) -> float:
    generator = np.random.default_rng(0)
    point = ops.convert_to_tensor(generator.uniform(size=(1, *shape)).astype("float32"))
    result = _largest_ratio(model, shape, pairs, generator)
    outputs = call(model, point)

    def gram(vector: Any) -> Any:
        def pull(cotangent: Any) -> Any:
            return vjp(lambda x: model(x, training=False), [point], cotangent)[0]

        pushed = vjp(pull, [ops.zeros_like(outputs)], vector)[0]
        return pushed, pull(pushed)

    apply = compiled(gram)
    vector = generator.normal(size=(1, *shape))
    for _ in range(steps):
        vector = vector / np.linalg.norm(vector)
        pushed, pulled = apply(ops.convert_to_tensor(vector.astype("float32")))
        result = max(result, float(np.linalg.norm(ops.convert_to_numpy(pushed).astype("float64"))))
        vector = ops.convert_to_numpy(pulled).astype("float64")
    return result


def _largest_ratio(model: Any, shape: tuple[int, ...], pairs: int, generator: Any) -> float:
    first = generator.uniform(size=(pairs, *shape)).astype("float32")
    lengths = np.logspace(-2, 0, pairs).reshape(pairs, 1, 1, 1)
    second = (first + lengths * generator.normal(size=first.shape)).astype("float32")
    moved = np.asarray(call(model, first), "float64") - np.asarray(call(model, second), "float64")
    distances = np.linalg.norm((first - second).reshape(pairs, -1).astype("float64"), axis=1)
    return float(np.max(np.linalg.norm(moved.reshape(pairs, -1), axis=1) / distances))
