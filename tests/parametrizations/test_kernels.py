"""Kernels of every shape: their norm and their orthogonality, from the symbol in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from keras import ops

from deel_seg._backend import compiled
from deel_seg.parametrizations import (
    AdaptiveOrthogonalKernel,
    OrthonormalInitializer,
    block_convolution,
    factor_counts,
)
from tests.linear_map import symbol_singular_values

SHAPES: list[dict[str, Any]] = [
    {"in_channels": 4, "out_channels": 4, "kernel_size": (1, 1)},
    {"in_channels": 3, "out_channels": 64, "kernel_size": (3, 3), "strides": (2, 2)},
    {"in_channels": 64, "out_channels": 64, "kernel_size": (3, 3)},
    {"in_channels": 16, "out_channels": 8, "kernel_size": (7, 7)},
    {"in_channels": 5, "out_channels": 5, "kernel_size": (11, 11)},
    {"in_channels": 8, "out_channels": 16, "kernel_size": (3, 3), "groups": 4},
    {"in_channels": 2, "out_channels": 8, "kernel_size": (2, 2), "strides": (2, 2)},
    {"in_channels": 6, "out_channels": 7, "kernel_size": (5, 5), "strides": (3, 3)},
]


def kernel_of(plan: AdaptiveOrthogonalKernel, spoil: float = 0.0) -> np.ndarray:
    generator = np.random.default_rng(0)

    def factor(shape: Any) -> Any:
        if shape is None:
            return None
        values = ops.convert_to_numpy(OrthonormalInitializer(seed=0)(shape))
        return values + (spoil * generator.normal(size=shape)).astype("float32")

    factors = [factor(plan.projectors_shape), factor(plan.matrix_shape)]
    present = [ops.convert_to_tensor(values) for values in factors if values is not None]

    def compose(*values: Any) -> Any:
        left = list(values)
        return plan(*[None if values is None else left.pop(0) for values in factors])

    return ops.convert_to_numpy(compiled(compose)(*present))


@pytest.mark.parametrize("index", range(len(SHAPES)))
@pytest.mark.parametrize("spoil", [0.0, 0.01, 30.0])
def test_norm_of_the_kernel(index: int, spoil: float) -> None:
    plan = AdaptiveOrthogonalKernel(**SHAPES[index])
    kernel = kernel_of(plan, spoil)
    assert kernel.shape == (
        *plan.kernel_size, plan.in_channels // plan.groups, plan.out_channels
    )  # fmt: skip
    values = symbol_singular_values(kernel, 12, stride=plan.strides[0], groups=plan.groups)
    assert values[0] <= 1.0
    if not spoil:
        # Rounding, and the allowance of 1.5e-5 for it.
        assert values[-1] > 1.0 - 1e-4


def test_without_the_allowance_rounding_would_exceed_one() -> None:
    plan = AdaptiveOrthogonalKernel(64, 64, (3, 3))
    kernel = kernel_of(plan).astype("float64") / (1.0 - 2.0**-16)
    assert symbol_singular_values(kernel, 12)[0] > 1.0


def test_every_projector_changes_the_kernel() -> None:
    size = (3, 2)
    count = factor_counts(size)
    projectors = ops.convert_to_numpy(OrthonormalInitializer(seed=0)((1, count, 4, 2)))
    other = ops.convert_to_numpy(OrthonormalInitializer(seed=1)((1, count, 4, 2)))
    compose = compiled(lambda values: block_convolution(values, size, 4, 4))
    before = ops.convert_to_numpy(compose(ops.convert_to_tensor(projectors)))
    for index in range(count):
        changed = projectors.copy()
        changed[:, index] = other[:, index]
        after = ops.convert_to_numpy(compose(ops.convert_to_tensor(changed)))
        assert np.max(np.abs(after - before)) > 1e-2
    assert count == 2 + 2 + 1


def test_groups_are_independent_kernels() -> None:
    plan = AdaptiveOrthogonalKernel(4, 4, (3, 3), groups=2)
    single = AdaptiveOrthogonalKernel(2, 2, (3, 3))
    projectors = OrthonormalInitializer(seed=0)(plan.projectors_shape)
    parts = [
        ops.convert_to_numpy(single(projectors[group : group + 1], None)) for group in range(2)
    ]
    whole = ops.convert_to_numpy(plan(projectors, None))
    # The same products, batched in another way.
    np.testing.assert_allclose(whole, np.concatenate(parts, axis=-1), atol=1e-6)
