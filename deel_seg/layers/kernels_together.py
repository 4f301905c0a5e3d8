"""The kernels of a network's layers, composed side by side in a training step."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from keras import ops

from deel_seg.parametrizations import AdaptiveOrthogonalKernel, tangent

Tensor = Any

# What the model that is being called has composed for its layers. A variable of the context and not
# of the layers: replicas trace the same layers in threads of their own.
_composed: contextvars.ContextVar[dict[int, Tensor] | None] = contextvars.ContextVar(
    "composed", default=None
)
_hand_out: contextvars.ContextVar[Callable[[], dict[int, Tensor]] | None] = contextvars.ContextVar(
    "hand_out", default=None
)


def composed_kernel(layer: Any) -> Tensor | None:
    """The kernel that the model being called has composed for a layer, if it has."""
    kernels = _composed.get()
    return None if kernels is None else kernels.get(id(layer))


def composed_side_by_side(
    layers: Sequence[Any], values: Sequence[Sequence[Tensor]]
) -> list[Tensor]:
    """Kernels of layers from these values of their factors, those of one shape together.

    Args:
        layers: `OrthogonalKernelLayer`s, built.
        values: For each layer, tensors in the order of its `named_factors`.
    """
    plans: dict[AdaptiveOrthogonalKernel, list[int]] = {}
    for index, layer in enumerate(layers):
        plans.setdefault(layer.plan, []).append(index)
    kernels: dict[int, Tensor] = {}
    for plan, alike in plans.items():
        named = [
            dict(zip(layers[index].named_factors, map(tangent, values[index]), strict=True))
            for index in alike
        ]
        made = plan.together([(each.get("projectors"), each.get("matrix")) for each in named])
        kernels.update(zip(alike, made, strict=True))
    return [kernels[index] for index in range(len(layers))]


@contextlib.contextmanager
def composed_together(layers: Iterable[Any]) -> Iterator[None]:
    """Composes the kernels of layers, those of one shape together, for calls in this context.

    The gradient that reaches a kernel goes on to the factors of its layer, as where the layer
    composes its kernel itself. Kernels that are handed out already stay as they are.

    Args:
        layers: `OrthogonalKernelLayer`s, built.
    """
    kernels = {**(_composed.get() or {}), **_handed_out()}
    missing = [layer for layer in layers if id(layer) not in kernels]
    # Read by copy: TensorFlow's custom gradients take tensors, and no variables.
    values = [[ops.copy(factor) for factor in layer.factors] for layer in missing]
    made = composed_side_by_side(missing, values)
    kernels.update(zip(map(id, missing), made, strict=True))
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


@contextlib.contextmanager
def kernels_handed_out(hand_out: Callable[[], dict[int, Tensor]]) -> Iterator[None]:
    """Lets models that are called in this context ask here for kernels, by the ids of layers.

    When they are called, and not before: by then a gradient tape records.
    """
    before = _hand_out.set(hand_out)
    try:
        yield
    finally:
        _hand_out.reset(before)


def _handed_out() -> dict[int, Tensor]:
    hand_out = _hand_out.get()
    return {} if hand_out is None else hand_out()
