"""Functional graphs of Keras, and how something is carried through one, from input to output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from deel_seg._checks import received

Carried = TypeVar("Carried")


def functional_graph(model: Any) -> Any | None:
    """The functional graph that `model` runs, if that is all it runs."""
    module = getattr(getattr(type(model), "call", None), "__module__", None)
    if module == "keras.src.models.sequential":
        return model._functional
    # A subclass with a `call` of its own has a graph too, but may compute anything.
    return model if module == "keras.src.models.functional" else None


def producer_of(tensor: Any) -> Any:
    """Keras' node of the call that a symbolic tensor comes from."""
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def carried(
    graph: Any,
    start: Sequence[Carried],
    step: Callable[[Any, list[Carried]], Sequence[Carried]],
) -> list[Carried]:
    """What reaches the outputs of a graph.

    Args:
        graph: As of `functional_graph`.
        start: What its inputs have, one for each.
        step: From a node (a layer where it is called) and what its inputs have to what its outputs
            have, one for each.
    """
    found = {id(tensor): value for tensor, value in zip(graph.inputs, start, strict=True)}
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            if node.is_input:
                continue
            outgoing = step(node, [found[id(tensor)] for tensor in node.input_tensors])
            for tensor, value in zip(node.outputs, outgoing, strict=True):
                found[id(tensor)] = value
    return [found[id(tensor)] for tensor in graph.outputs]


def single_graph(model: Any) -> Any:
    """The graph of a functional model with one input and one output, or raises."""
    graph = functional_graph(model)
    if graph is None or len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ValueError(
            "`model` must be a functional (or built sequential) model with one input and one "
            "output, whose `call` is Keras' own. " + received(model=getattr(model, "name", model))
        )
    return graph
