"""Walks a functional graph from input to output and carries the l2 bound along."""

from __future__ import annotations

import math
from typing import Any

import keras

from deel_seg.layers import LipschitzLayer
from deel_seg.lipschitz.deel_lip_rules import deel_lip_bound
from deel_seg.lipschitz.keras_rules import keras_bound


class UnknownLipschitzBound(ValueError):
    """A layer in the graph has no known Lipschitz bound; the message names it."""


def lipschitz_bound(model: keras.Model) -> float:
    """Bound of the l2 Lipschitz constant of a functional model at inference, from its layers.

    Each tensor of the graph gets the bound of the map from the model's input to it: a layer
    multiplies by its own, an addition sums those of its branches, a concatenation takes the root
    of the sum of squares. A branch used twice counts twice. Nested functional models are walked
    too. Several inputs are taken together, as one vector; so are several outputs.

    Layers known: those of `deel_seg.layers`; of deel-lip, the ones that work on Keras 3; of Keras,
    the ones that are listed in `keras_rules`.

    Args:
        model: Functional (or sequential, built) Keras model.

    Returns:
        The bound, as a float.

    Raises:
        UnknownLipschitzBound: If a layer has no known bound; the message names it.
        ValueError: If the model is no functional graph.

    Example:

    >>> import keras
    >>> from deel_seg.layers import OrthogonalConv2D
    >>> from deel_seg.lipschitz import lipschitz_bound
    >>> x = keras.Input((None, None, 3))
    >>> y = OrthogonalConv2D(8, 3)(x)
    >>> lipschitz_bound(keras.Model(x, keras.layers.Add()([y, y])))
    2.0
    """
    name = getattr(model, "name", model)
    graph = _graph(model)
    if graph is None:
        raise ValueError(
            "A Lipschitz constant is known of functional (and built sequential) models only, "
            f"whose `call` is Keras' own. Received: model={name!r}"
        )
    model = graph
    bounds: dict[int, float] = {id(tensor): 1.0 for tensor in model.inputs}
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.is_input:
                continue
            incoming = [bounds[id(tensor)] for tensor in node.input_tensors]
            outgoing = _bound_of(node.operation, incoming, node)
            for tensor in node.outputs:
                bounds[id(tensor)] = outgoing
    return _together([bounds[id(tensor)] for tensor in model.outputs])


def _graph(model: Any) -> Any | None:
    """The functional graph that `model` runs, if that is all it runs."""
    module = getattr(getattr(type(model), "call", None), "__module__", None)
    if module == "keras.src.models.sequential":
        return model._functional
    # A subclass with a `call` of its own has a graph too, but may compute anything.
    return model if module == "keras.src.models.functional" else None


def _together(bounds: list[float]) -> float:
    return bounds[0] if len(bounds) == 1 else math.sqrt(sum(bound * bound for bound in bounds))


def _bound_of(operation: Any, incoming: list[float], node: Any) -> float:
    """Bound of all outputs of one layer, together."""
    if isinstance(operation, LipschitzLayer):
        return operation.lipschitz_bound(*incoming)
    # From here on bounds hold at inference only: `layer(x, training=True)` has none.
    training = bool(node.arguments.kwargs.get("training"))
    if _graph(operation) is not None and not training:
        try:
            return lipschitz_bound(operation) * _together(incoming)
        except UnknownLipschitzBound as error:
            raise UnknownLipschitzBound(
                f"In the nested model {operation.name!r}: {error}"
            ) from error
    shapes = [tuple(tensor.shape) for tensor in (*node.input_tensors, *node.outputs)]
    for rule in (keras_bound, deel_lip_bound):
        bound = rule(operation, incoming, shapes)
        if bound is not None and not training:
            return bound
    raise UnknownLipschitzBound(
        f"The layer {operation.name!r} of type {type(operation).__name__} has no known Lipschitz "
        "bound as it is used here, so neither has the model. Layers of `deel_seg.layers` and those "
        "listed in `deel_seg.lipschitz.keras_rules` have one, without broadcasting and without "
        "`training=True`."
    )
