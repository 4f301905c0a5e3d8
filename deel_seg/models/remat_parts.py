"""Training in less memory: a graph in parts whose activations are computed once more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import keras
from keras import ops, tree
from keras.src.backend import AutocastScope

from deel_seg._checks import received
from deel_seg.layers.kernels_together import composed_kernel, composed_kernels

Tensor = Any
OperationFunction = Callable[[Any], Callable[..., Any]]

NOMINAL_SIZE = 256
"""Height and width at which activations of images of unknown size are compared."""


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


def trains(inputs: Any, operation_fn: OperationFunction) -> bool:
    """Whether the layers of a graph are called on tensors with `training=True`.

    Args:
        inputs: What the graph is given; of symbolic tensors nothing is computed.
        operation_fn: From a layer to what Keras calls in its place.
    """
    if any(
        tensor is None or isinstance(tensor, keras.KerasTensor) for tensor in tree.flatten(inputs)
    ):
        return False

    class Told:
        _call_context_args = ("training",)

        def __call__(self, **options: Any) -> Any:
            return options

    return operation_fn(Told())().get("training") is True


def run_in_parts(
    model: Any, parts: Sequence[GraphPart], inputs: Any, operation_fn: OperationFunction
) -> Any:
    """Outputs of a model's graph; for the gradients each part is computed a second time.

    So of the first time only what passes between parts is kept. The second time nothing is
    assigned, and random layers draw what they drew before.

    Args:
        model: Keras' functional model.
        parts: Those of `cut_graph`.
        inputs: Tensors, as the graph takes them.
        operation_fn: From an operation to what is called in its place.
    """
    tensors = dict(zip(map(id, model.inputs), tree.flatten(inputs), strict=True))
    for part in parts:
        taken = [tensors[key] for key in part.inputs]
        tensors.update(zip(part.outputs, _run_twice(part, operation_fn, taken), strict=True))
    outputs = [tensors[id(tensor)] for tensor in model.outputs]
    return tree.pack_sequence_as(model._outputs_struct, outputs)


def _run_twice(
    part: GraphPart, operation_fn: OperationFunction, inputs: Sequence[Tensor]
) -> list[Tensor]:
    trained = [variable for variable in part.variables if variable.trainable]
    state = [variable for variable in part.variables if not variable.trainable]
    # Not in the half precision that a mixed model reads its variables in; and by copy, for
    # TensorFlow would read when a value is used, and find what was assigned since.
    with AutocastScope(None):
        values = {id(variable): ops.copy(variable) for variable in (*trained, *state)}
    # What is composed for the whole network is an input here: its gradient has to come out.
    kernels = {id(layer): composed_kernel(layer) for layer in part.layers}
    kernels = {key: kernel for key, kernel in kernels.items() if kernel is not None}
    ends = list(accumulate([len(inputs), len(kernels)]))
    assigned: list[keras.Variable] = []

    def run(*tensors: Tensor) -> tuple[Tensor, ...]:
        mapping = [
            *zip(trained, tensors[ends[1] :], strict=True),
            *((variable, values[id(variable)]) for variable in state),
        ]
        scope = keras.StatelessScope(mapping, collect_losses=True, initialize_variables=False)
        passed = dict(zip(kernels, tensors[ends[0] : ends[1]], strict=True))
        given = {id(variable): scope.get_current_value(variable) for variable in state}
        with scope, composed_kernels(passed):
            outputs = part.run(operation_fn, tensors[: ends[0]])
        if scope.losses:
            names = [layer.name for layer in part.layers if layer.activity_regularizer is not None]
            raise ValueError(
                "`remat_parts` must be 1 where layers add losses of their activations. "
                + received(layers=names)
            )
        # The same ones each time; most of the state, a kept kernel say, no step changes.
        assigned[:] = [v for v in state if scope.get_current_value(v) is not given[id(v)]]
        return (*outputs, *(scope.get_current_value(variable) for variable in assigned))

    results = keras.remat(run)(
        *inputs, *kernels.values(), *(values[id(variable)] for variable in trained)
    )
    count = len(part.outputs)
    for variable, value in zip(assigned, results[count:], strict=True):
        variable.assign(value)
    return list(results[:count])
