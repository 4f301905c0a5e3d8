"""Training in less memory: parts of a graph whose activations are computed once more."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import keras
from keras import ops, tree
from keras.src.backend import AutocastScope

from deel_seg._checks import received
from deel_seg.layers.kernels_together import composed_kernel, composed_kernels
from deel_seg.models.graph_parts import GraphPart, OperationFunction

Tensor = Any


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
