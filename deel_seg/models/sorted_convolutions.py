"""Convolution, sorted pairs and centering as one computation, for inference on a processor.

XLA fuses the three by itself. TensorFlow's own kernels write every step to memory: the halves that
are sorted are cut out of what the convolution wrote, and the shift is a pass of its own over what
was sorted. Here the convolution yields the halves apart, and each shift is added where it costs
least.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras import ops

from deel_seg._derivatives import with_gradient
from deel_seg.layers import (
    BatchCentering,
    MaxMin,
    OrthogonalConv2D,
    OrthogonalConv2DTranspose,
)
from deel_seg.layers.orthogonal_convolution import OrthogonalConvolution
from deel_seg.models.graph_parts import OperationFunction

Tensor = Any


@dataclass(frozen=True)
class SortedConvolution:
    """Layers that follow each other, with nothing else in between.

    Args:
        convolution: Without groups, on images that are not wrapped around.
        sorting: What sorts pairs of its outputs.
        centering: What shifts them at last.
    """

    convolution: OrthogonalConvolution
    sorting: MaxMin
    centering: BatchCentering

    def __call__(self, inputs: Tensor) -> Tensor:
        """What the layers, called one after the other, make of the inputs at inference."""
        convolution = self.convolution
        shifts = ops.split(self.centering.inference_shift(), 2)
        # The larger of a pair needs the first shift. Both get it, for that is the bias, or in its
        # place; then only the smaller one is left to shift.
        bias = ops.tile(shifts[0], 2)
        if convolution.bias is not None:
            bias = bias + ops.convert_to_tensor(convolution.bias)
        kernels = ops.split(convolution.cast_kernel(False), 2, axis=convolution.filter_axis)
        halves = [
            convolution.convolve(inputs, kernel) + offset
            for kernel, offset in zip(kernels, ops.split(bias, 2), strict=True)
        ]
        return sorted_and_shifted(*halves, shifts[1] - shifts[0])


@with_gradient
def sorted_and_shifted(first: Tensor, second: Tensor, shift: Tensor) -> tuple[Tensor, Any]:
    """The larger of each pair, beside the smaller plus `shift`."""
    # As of `MaxMin`: gradients go back to where the values came from, also where two are equal.
    in_place = first >= second

    def gradient(*upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        larger, smaller = ops.split(*upstream, 2, axis=-1)
        return (
            ops.where(in_place, larger, smaller),
            ops.where(in_place, smaller, larger),
            ops.sum(smaller, axis=(0, 1, 2)),
        )

    pairs = [ops.maximum(first, second), ops.minimum(first, second) + shift]
    return ops.concatenate(pairs, axis=-1), gradient


def sorted_convolutions(graph: Any) -> list[SortedConvolution]:
    """Those of a functional graph, each layer of which is called once and used by the next alone.

    Args:
        graph: Keras' functional model.
    """
    nodes = [node for level in graph._nodes_by_depth.values() for node in level]
    uses = Counter(id(tensor) for node in nodes for tensor in node.input_tensors)
    uses.update(id(tensor) for tensor in graph.outputs)
    calls = Counter(id(node.operation) for node in nodes)
    maker = {id(tensor): node for node in nodes for tensor in node.outputs}

    def before(node: Any, *kinds: type) -> Any:
        """The node that alone feeds this one, and nothing else; None if it is of no such kind."""
        (tensor,) = node.input_tensors
        made_by = maker[id(tensor)]
        # By the very class: a subclass may compute anything.
        fits = type(made_by.operation) in kinds and _is_simple(made_by)
        return made_by if fits and uses[id(tensor)] == 1 == calls[id(made_by.operation)] else None

    found = []
    for node in nodes:
        if type(node.operation) is not BatchCentering or not _is_simple(node):
            continue
        sorting = before(node, MaxMin)
        convolution = sorting and before(sorting, OrthogonalConv2D, OrthogonalConv2DTranspose)
        if calls[id(node.operation)] == 1 and convolution and _has_halves(convolution.operation):
            layers = (convolution.operation, sorting.operation, node.operation)
            found.append(SortedConvolution(*layers))
    return found


def _is_simple(node: Any) -> bool:
    """Whether a layer is called on a tensor and nothing else, and not always as in training."""
    options = node.arguments.kwargs
    return len(node.arguments.args) == 1 and not any(options.values())


def _has_halves(convolution: OrthogonalConvolution) -> bool:
    return getattr(convolution, "groups", 1) == 1 and convolution.padding != "circular"


def joined(operation_fn: OperationFunction, found: list[SortedConvolution]) -> OperationFunction:
    """`operation_fn`, but where the first of three layers does what all of them do.

    Args:
        operation_fn: From an operation to what is called in its place.
        found: Layers that do belong together; those of which one has a factor, or computes in half
            precision, are called as they are.
    """
    instead: dict[int, Callable[..., Any]] = {}
    for together in found:
        layers = (together.convolution, together.sorting, together.centering)
        if all(
            layer.compute_dtype == "float32" and layer.output_factor("float32") == 1.0
            for layer in layers
        ):
            first, *others = layers
            instead[id(first)] = _ignoring_options(together)
            instead.update(
                (id(layer), _ignoring_options(lambda tensor: tensor)) for layer in others
            )
    return lambda operation: instead.get(id(operation)) or operation_fn(operation)


def _ignoring_options(function: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    return lambda tensor, **_: function(tensor)
