"""Convolution, sorted pairs and centering as one computation, for inference on a processor.

XLA fuses the three by itself. TensorFlow's own kernels write every step to memory: the halves that
are sorted are cut out of what the convolution wrote, and the shift is a pass of its own over what
was sorted. Two ways around that:

- Where a graph knows the size of its images, all that follows a convolution with few filters is
  left to XLA, one pass over what the convolution wrote.
- Elsewhere XLA would compile anew for every size, and many filters are convolved as fast in halves:
  there the convolution yields the halves apart, and each shift is added where it costs least, in
  the bias of a convolution, before it or behind it, if there is one to take it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from keras import ops

from deel_seg._backend import compiled, compiles_with_xla, exact_matmul, is_concrete
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

_MANY_FILTERS = 128  # From which on halves of the kernel are convolved as fast as the whole.


@dataclass(frozen=True)
class SortedConvolution:
    """Layers that follow each other, with nothing else in between.

    Args:
        convolution: Without groups, on images that are not wrapped around.
        sorting: What sorts pairs of its outputs.
        centering: What shifts them at last.
        pointwise: A convolution of single pixels behind them, if one follows: its bias takes what
            the shift comes to.
    """

    convolution: OrthogonalConvolution
    sorting: MaxMin
    centering: BatchCentering
    pointwise: OrthogonalConv2D | None = None

    def __call__(self, inputs: Tensor) -> Tensor:
        """What the layers, called one after the other, make of the inputs at inference.

        Without the shift, where `pointwise` takes it.
        """
        convolution = self.convolution
        # By copy: what compiles takes tensors, and no variables.
        bias = None if convolution.bias is None else ops.copy(convolution.bias)
        shift = None if self.pointwise else self.centering.inference_shift()
        kernel = convolution.cast_kernel(False)
        if convolution.filters < _MANY_FILTERS and _may_use_xla(inputs):
            return _pairs_in_one_pass(convolution.convolve(inputs, kernel), bias, shift)
        of_smaller = []
        if shift is not None and (bias is not None or isinstance(convolution, OrthogonalConv2D)):
            # The larger of a pair needs the first shift. Both get it, for that is the bias, or in
            # its place, which costs nothing; then only the smaller one is left to shift.
            of_larger, second = ops.split(shift, 2)
            bias = ops.tile(of_larger, 2) + (0.0 if bias is None else bias)
            shift, of_smaller = None, [second - of_larger]
        kernels = ops.split(kernel, 2, axis=convolution.filter_axis)
        halves = [convolution.convolve(inputs, half) for half in kernels]
        if bias is not None:
            halves = [half + own for half, own in zip(halves, ops.split(bias, 2), strict=True)]
        pairs = sorted_and_shifted(*halves, *of_smaller)
        return pairs if shift is None else pairs + shift

    def call_pointwise(self, inputs: Tensor) -> Tensor:
        """What `pointwise` makes of the shifted pairs, from those that are not shifted."""
        pointwise: Any = self.pointwise
        kernel = pointwise.cast_kernel(False)
        bias = exact_matmul(self.centering.inference_shift()[None], kernel[0, 0])[0]
        if pointwise.bias is not None:
            bias = bias + ops.convert_to_tensor(pointwise.bias)
        return pointwise.scaled(pointwise.convolve(inputs, kernel) + bias)


def _may_use_xla(images: Tensor) -> bool:
    """Whether they are part of a graph that is for images of one size, and runs here."""
    known = not is_concrete(images) and None not in tuple(images.shape)[1:3]
    return known and compiles_with_xla() and not _for_other_programs.get()


@contextmanager
def for_other_programs() -> Iterator[None]:
    """Within it, graphs hold nothing that XLA has to compile: not every program can."""
    token = _for_other_programs.set(True)
    try:
        yield
    finally:
        _for_other_programs.reset(token)


_for_other_programs: ContextVar[bool] = ContextVar("for_other_programs", default=False)


@with_gradient
def sorted_and_shifted(first: Tensor, second: Tensor, *shift: Tensor) -> tuple[Tensor, Any]:
    """The larger of each pair, beside the smaller plus the shift, if there is one."""
    # As of `MaxMin`: gradients go back to where the values came from, also where two are equal.
    in_place = first >= second

    def gradient(*upstream: Tensor) -> tuple[Tensor, ...]:
        larger, smaller = ops.split(*upstream, 2, axis=-1)
        return (
            ops.where(in_place, larger, smaller),
            ops.where(in_place, smaller, larger),
            *(ops.sum(smaller, axis=(0, 1, 2)) for _ in shift),
        )

    # In this order, see `PairSorting`.
    smaller = ops.minimum(second, first)
    for offset in shift:
        smaller = smaller + offset
    return ops.concatenate([ops.maximum(first, second), smaller], axis=-1), gradient


def _in_one_pass(outputs: Tensor, bias: Tensor | None, shift: Tensor | None) -> Tensor:
    pairs = sorted_and_shifted(*ops.split(outputs if bias is None else outputs + bias, 2, axis=-1))
    return pairs if shift is None else pairs + shift


_pairs_in_one_pass = compiled(_in_one_pass)


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

    behind = {id(node.input_tensors[0]): node for node in nodes if len(node.input_tensors) == 1}

    def pointwise_behind(node: Any) -> OrthogonalConv2D | None:
        """The convolution of single pixels that alone takes what a node yields."""
        (tensor,) = node.outputs
        next_node = behind.get(id(tensor))
        if next_node is None or before(next_node, BatchCentering) is not node:
            return None
        layer = next_node.operation
        alone = calls[id(layer)] == 1 and _is_simple(next_node)
        return layer if alone and _is_pointwise(layer) else None

    found = []
    for node in nodes:
        if type(node.operation) is not BatchCentering or not _is_simple(node):
            continue
        sorting = before(node, MaxMin)
        convolution = sorting and before(sorting, OrthogonalConv2D, OrthogonalConv2DTranspose)
        if calls[id(node.operation)] == 1 and convolution and _has_halves(convolution.operation):
            layers = (convolution.operation, sorting.operation, node.operation)
            found.append(SortedConvolution(*layers, pointwise_behind(node)))
    # A convolution that is the first of others has their shift to take.
    firsts = {id(together.convolution) for together in found}
    return [
        replace(together, pointwise=None) if id(together.pointwise) in firsts else together
        for together in found
    ]


def _is_simple(node: Any) -> bool:
    """Whether a layer is called on a tensor and nothing else, and not always as in training."""
    options = node.arguments.kwargs
    return len(node.arguments.args) == 1 and not any(options.values())


def _is_pointwise(layer: Any) -> bool:
    """Whether it sums over the channels of each pixel, and of all of them."""
    return (
        type(layer) is OrthogonalConv2D
        and layer.kernel_size == (1, 1)
        and layer.groups == 1
        and layer.padding != "circular"
    )


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
            if together.pointwise and together.pointwise.compute_dtype != "float32":
                together = replace(together, pointwise=None)
            if together.pointwise:
                instead[id(together.pointwise)] = _ignoring_options(together.call_pointwise)
            first, *others = layers
            instead[id(first)] = _ignoring_options(together)
            instead.update(
                (id(layer), _ignoring_options(lambda tensor: tensor)) for layer in others
            )
    return lambda operation: instead.get(id(operation)) or operation_fn(operation)


def _ignoring_options(function: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    return lambda tensor, **_: function(tensor)
