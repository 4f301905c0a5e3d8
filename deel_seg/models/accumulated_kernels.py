"""Kernels of a network where an optimiser adds up the gradients of several batches.

All batches of an update meet the same weights. Their kernels are composed for the first of them,
and the gradients of the kernels are added up: they go on to the weights once, with the last batch,
which is right because they do so linearly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

from deel_seg._backend import branch
from deel_seg._derivatives import vjp
from deel_seg.layers.kernels_together import composed_side_by_side

Tensor = Any


def updates_after(optimizer: Any) -> Callable[[], Tensor] | None:
    """Whether the next batch updates the weights, if it is not each of them that does."""
    if not _batches(optimizer) or _seen(optimizer) is None:
        return None
    return lambda: _updates_next(optimizer)


class AccumulatedKernels:
    """The kernels of layers for one batch, and what comes of their gradients.

    The sums of gradients are variables of the optimiser, as the sums that it makes itself are:
    saved with it, a training that was cut off between two batches goes on as if it had not been.

    Args:
        layers: `OrthogonalKernelLayer`s, built and trained.
        sums: The sum of each.
        optimizer: Keras optimiser, built, with `gradient_accumulation_steps`.
    """

    def __init__(self, layers: Sequence[Any], sums: Sequence[Any], optimizer: Any) -> None:
        self.layers = layers
        self.sums = sums
        self._optimizer = optimizer
        self._is_last = _updates_next(optimizer)
        self._before = ops.copy(_seen(optimizer))
        # What Keras multiplies the loss by, and divides the gradients by before it adds them up.
        self._scale = optimizer.scale_loss(ops.ones((), "float32"))
        self._added: Sequence[Tensor] | None = None

    def kernels(self) -> list[Tensor]:
        """Kernels of the weights as they are: those kept, where they were made of them."""
        pairs = [
            pair
            for layer in self.layers
            for pair in zip(layer.factors, layer.factors_of_kernel, strict=True)
        ]
        same = ops.all(ops.stack([ops.all(ops.equal(factor, kept)) for factor, kept in pairs]))
        kernels = branch(
            same,
            lambda: [ops.copy(layer.kernel) for layer in self.layers],
            lambda: composed_side_by_side(self.layers, self.factors()),
        )
        for layer, kernel in zip(self.layers, kernels, strict=True):
            layer.keep_kernel(kernel)
        return list(kernels)

    def factors(self) -> list[list[Tensor]]:
        """Values of the factors of each layer."""
        return [[ops.copy(factor) for factor in layer.factors] for layer in self.layers]

    def pulled_back(self, factors: Sequence[Tensor], gradients: Sequence[Tensor]) -> list[Tensor]:
        """Gradients of the factors, for the optimiser: zeros before the last batch of an update.

        NaN where a gradient of a kernel is not finite, on any batch: an optimiser that scales the
        loss leaves such a batch out.

        Args:
            factors: Values of all factors, layer by layer.
            gradients: Gradients of the kernels from this batch.
        """
        finite = ops.all(ops.stack([ops.all(ops.isfinite(gradient)) for gradient in gradients]))
        nothing = ops.where(finite, 0.0, float("nan"))
        totals = list(gradients)
        if self._added is None:  # A second call of the model in one step adds its own alone.
            totals = [
                ops.convert_to_tensor(total) * self._scale + gradient
                for total, gradient in zip(self.sums, gradients, strict=True)
            ]
        self._added = (
            gradients
            if self._added is None
            else [a + b for a, b in zip(self._added, gradients, strict=True)]
        )
        return list(
            branch(
                self._is_last,
                lambda: list(vjp(self._composed, factors, totals)),
                lambda: [ops.zeros_like(factor) + nothing for factor in factors],
            )
        )

    def _composed(self, *factors: Tensor) -> list[Tensor]:
        remaining = iter(factors)
        values = [[next(remaining) for _ in layer.factors] for layer in self.layers]
        return composed_side_by_side(self.layers, values)

    def handed_out(self, kernels: Sequence[Tensor]) -> dict[int, Tensor]:
        """Kernels by the ids of their layers, whose gradients are added up."""

        @ops.custom_gradient
        def of_factors(*factors: Tensor) -> tuple[list[Tensor], Any]:
            def gradient(*upstream: Tensor) -> list[Tensor]:
                return self.pulled_back(factors, upstream)

            return [ops.copy(kernel) for kernel in kernels], gradient

        flat = [factor for factors in self.factors() for factor in factors]
        return dict(zip(map(id, self.layers), of_factors(*flat), strict=True))

    def add_up(self) -> None:
        """Writes the sums, after the optimiser's step: zero again where it was the last."""
        if self._added is None:
            return
        # A batch that the optimiser left out, for its gradients were not finite, is not counted.
        taken = ops.not_equal(_seen(self._optimizer), self._before)
        for total, gradient in zip(self.sums, self._added, strict=True):
            so_far = ops.convert_to_tensor(total)
            more = ops.where(self._is_last, 0.0, so_far + gradient / self._scale)
            total.assign(ops.where(taken, more, so_far))


def kernel_sums(layers: Sequence[Any], optimizer: Any) -> dict[int, Any]:
    """The optimiser's variables for sums of gradients, by the places of their layers."""
    known = {variable.name: variable for variable in _inner(optimizer).variables}
    named = {index: known.get(_name(index)) for index in range(len(layers))}
    return {index: total for index, total in named.items() if total is not None}


def build_kernel_sums(layers: Sequence[Any], optimizer: Any) -> None:
    """Makes them for the layers that are trained, where the optimiser has none yet."""
    known = kernel_sums(layers, optimizer)
    for index, layer in enumerate(layers):
        if index not in known and is_trained(layer):
            _inner(optimizer).add_variable(layer.kernel.shape, dtype="float32", name=_name(index))


def is_trained(layer: Any) -> bool:
    """Whether all factors of a layer are."""
    return all(factor.trainable for factor in layer.factors)


def _name(index: int) -> str:
    return f"kernel_gradient_{index}"


def _inner(optimizer: Any) -> Any:
    """The optimiser that updates the weights, where another scales the loss around it."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def _updates_next(optimizer: Any) -> Tensor:
    return ops.equal(ops.mod(_seen(optimizer) + 1, _batches(optimizer)), 0)


def _batches(optimizer: Any) -> int | None:
    return getattr(_inner(optimizer), "gradient_accumulation_steps", None)


def _seen(optimizer: Any) -> Any:
    """Keras' own count of batches: the public one is of updates."""
    return getattr(_inner(optimizer), "_iterations", None)
