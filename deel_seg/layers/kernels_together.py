"""The kernels of a network's layers, composed side by side in a training step."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterable, Iterator
from typing import Any

from keras import ops

from deel_seg.parametrizations import AdaptiveOrthogonalKernel, tangent

Tensor = Any

# What the model that is being called has composed for its layers. A variable of the context and not
# of the layers: replicas trace the same layers in threads of their own.
_composed: contextvars.ContextVar[dict[int, Tensor] | None] = contextvars.ContextVar(
    "composed", default=None
)


def composed_kernel(layer: Any) -> Tensor | None:
    """The kernel that the model being called has composed for a layer, if it has."""
    kernels = _composed.get()
    return None if kernels is None else kernels.get(id(layer))


@contextlib.contextmanager
def composed_together(layers: Iterable[Any]) -> Iterator[None]:
    """Composes the kernels of layers, those of one shape together, for calls in this context.

    The gradient that reaches a kernel goes on to the factors of its layer, as where the layer
    composes its kernel itself.

    Args:
        layers: `OrthogonalKernelLayer`s, built.
    """
    plans: dict[AdaptiveOrthogonalKernel, list[Any]] = {}
    for layer in layers:
        plans.setdefault(layer.plan, []).append(layer)
    kernels: dict[int, Tensor] = {}
    for plan, alike in plans.items():
        # Read by copy: TensorFlow's custom gradients take tensors, and no variables.
        values = [
            {name: tangent(ops.copy(factor)) for name, factor in layer.named_factors.items()}
            for layer in alike
        ]
        made = plan.together([(each.get("projectors"), each.get("matrix")) for each in values])
        kernels.update(zip(map(id, alike), made, strict=True))
    with composed_kernels(kernels):
        yield


@contextlib.contextmanager
def composed_kernels(kernels: dict[int, Tensor]) -> Iterator[None]:
    """Hands these kernels, by the ids of their layers, to calls in this context."""
    before = _composed.set(kernels)
    try:
        yield
    finally:
        _composed.reset(before)
