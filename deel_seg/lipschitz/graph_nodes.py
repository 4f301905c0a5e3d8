"""Looks around in Keras' functional graphs."""

from __future__ import annotations

from typing import Any


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
