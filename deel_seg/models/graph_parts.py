"""A functional graph in parts of about equal memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import keras
from keras import tree

Tensor = Any
OperationFunction = Callable[[Any], Callable[..., Any]]

NOMINAL_SIZE = 256
"""Height and width at which activations of images of unknown size are compared."""


def call_options(inputs: Any, operation_fn: OperationFunction) -> dict[str, Any] | None:
    """What the layers of a graph are called with beside tensors; None if those are symbolic.

    Args:
        inputs: What the graph is given; of symbolic tensors nothing is computed.
        operation_fn: From a layer to what Keras calls in its place.
    """
    if any(
        tensor is None or isinstance(tensor, keras.KerasTensor) for tensor in tree.flatten(inputs)
    ):
        return None

    class Told:
        _call_context_args = ("training",)

        def __call__(self, **options: Any) -> Any:
            return options

    return operation_fn(Told())()


@dataclass(frozen=True)
class GraphPart:
    """Nodes of a functional graph that are computed one after the other.

    Args:
        nodes: Keras' nodes, in an order in which they can be computed.
        inputs: Ids of the symbolic tensors that they take from before.
        outputs: Ids of those that are needed after them.
    """

    nodes: Sequence[Any]
    inputs: Sequence[int]
    outputs: Sequence[int]

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """Its layers, each once; those within a nested model too."""
        tops = {id(node.operation): node.operation for node in self.nodes}
        found: dict[int, Any] = {}
        for top in tops.values():
            if isinstance(top, keras.layers.Layer):
                found.update((id(layer), layer) for layer in top._flatten_layers())
        return list(found.values())

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables of its layers, each once: weights, and the state of random layers."""
        found = {id(v): v for layer in self.layers for v in layer.variables}
        return list(found.values())

    def run(self, operation_fn: OperationFunction, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Its outputs.

        Args:
            operation_fn: From an operation to what is called in its place.
            inputs: The tensors it takes.
        """
        found = dict(zip(self.inputs, inputs, strict=True))
        for node in self.nodes:
            args, kwargs = node.arguments.fill_in(found)
            outputs = operation_fn(node.operation)(*args, **kwargs)
            found.update(zip(map(id, node.outputs), tree.flatten(outputs), strict=True))
        return [found[key] for key in self.outputs]


def cut_graph(graph: Any, count: int) -> list[GraphPart]:
    """Cuts a functional graph in parts of about equal memory, where little has to be kept.

    Args:
        graph: Keras' functional model.
        count: Number of parts, at least 1; no more than there are nodes come of it.
    """
    nodes = [
        node
        for depth in sorted(graph._nodes_by_depth, reverse=True)
        for node in graph._nodes_by_depth[depth]
        if not node.is_input
    ]
    sizes = _activation_sizes(graph, nodes)
    last_use = {id(t): i for i, node in enumerate(nodes) for t in node.input_tensors}
    last_use.update((id(tensor), len(nodes)) for tensor in graph.outputs)
    born = {id(t): -1 for t in graph.inputs}
    born.update((id(t), i) for i, node in enumerate(nodes) for t in node.outputs)

    def kept(cut: int) -> list[int]:
        """Ids of the tensors from before a cut that are needed after it."""
        return [key for key, start in born.items() if start < cut <= last_use.get(key, -1)]

    totals = list(accumulate(sum(sizes[id(t)] for t in node.outputs) for node in nodes))
    cuts = {0, len(nodes)}
    count = min(count, len(nodes))
    for number in range(1, count):
        ideal, slack = totals[-1] * number / count, 0.25 * totals[-1] / count
        near = [i + 1 for i, total in enumerate(totals) if abs(total - ideal) <= slack]
        nearest = min(range(len(nodes)), key=lambda i: abs(totals[i] - ideal)) + 1
        cuts.add(min(near or [nearest], key=lambda cut: sum(sizes[key] for key in kept(cut))))
    ends = sorted(cuts)
    return [_part(nodes[start:end], set(kept(start)), kept(end)) for start, end in pairwise(ends)]


def _part(nodes: Sequence[Any], before: set[int], after: Sequence[int]) -> GraphPart:
    used = {id(tensor) for node in nodes for tensor in node.input_tensors}
    made = {id(tensor) for node in nodes for tensor in node.outputs}
    return GraphPart(nodes, sorted(used & before), [key for key in after if key in made])


def _activation_sizes(graph: Any, nodes: Sequence[Any]) -> dict[int, int]:
    """Elements of every symbolic tensor of one image, by its id."""

    def known(tensor: Any) -> keras.KerasTensor:
        batch, *rest = tensor.shape
        return keras.KerasTensor(
            (batch or 1, *(side or NOMINAL_SIZE for side in rest)), dtype=tensor.dtype
        )

    found = {id(tensor): known(tensor) for tensor in graph.inputs}
    for node in nodes:
        args, kwargs = node.arguments.fill_in(found)
        outputs = tree.flatten(node.operation.compute_output_spec(*args, **kwargs))
        found.update(zip(map(id, node.outputs), outputs, strict=True))
    return {key: _elements(tensor) for key, tensor in found.items()}


def _elements(tensor: keras.KerasTensor) -> int:
    total = 1
    for side in tensor.shape:
        total *= side or 1
    return total
