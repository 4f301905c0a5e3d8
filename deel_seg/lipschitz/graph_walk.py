"""Walks a functional graph from input to output and carries an l2 bound along."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from keras.layers import Resizing

from deel_seg.layers import LipschitzLayer
from deel_seg.lipschitz.graph import carried, functional_graph
from deel_seg.lipschitz.image_means import image_means_source
from deel_seg.lipschitz.sorted_pairs import sorted_pairs
from deel_seg.lipschitz.sum_sizes import may_broadcast

Shapes = Sequence[tuple[int | None, ...]]


class UnknownLipschitzBound(ValueError):
    """A layer in the graph has no known Lipschitz bound; the message names it."""


class Rules(NamedTuple):
    """How a layer's output is bounded, from the bounds of its inputs.

    Attributes:
        own: For a `LipschitzLayer`, in training as well.
        others: Tried one after the other for any other layer, at inference: functions of the layer,
            the bounds of its inputs, and the shapes of its inputs and outputs; None for a layer
            that they do not know.
        rounding: Factor for what the walk itself computes.
    """

    own: Callable[[LipschitzLayer, Sequence[float]], float]
    others: Sequence[Callable[[Any, Sequence[float], Shapes], float | None]]
    rounding: float = 1.0


class Visited(NamedTuple):
    """A layer where the walk has passed it."""

    layer: Any
    incoming: list[float]
    outgoing: float
    shapes: Shapes
    inside: tuple[str, ...]  # Names of the nested models around it.
    alone: float | None = None  # Its own bound, where that follows from the layers around it.


def walk(
    model: Any,
    rules: Rules,
    visit: Callable[[Visited], None] | None = None,
    *,
    inside: tuple[str, ...] = (),
) -> float:
    """Bound of the map from all inputs to all outputs of a functional model, at inference.

    Args:
        model: Functional (or sequential, built) Keras model.
        rules: How the layers are bounded.
        visit: Called with each layer in turn, those of nested models included.
        inside: Names of the models that this one is nested in.

    Raises:
        UnknownLipschitzBound: If no rule knows a layer; the message names it.
        ValueError: If the model is no functional graph.
    """
    name = getattr(model, "name", model)
    graph = functional_graph(model)
    if graph is None:
        raise ValueError(
            "A Lipschitz constant is known of functional (and built sequential) models only, "
            f"whose `call` is Keras' own. Received: model={name!r}"
        )
    bounds = {id(tensor): 1.0 for tensor in graph.inputs}
    broadcasting = may_broadcast(graph)

    def step(node: Any, incoming: list[float]) -> list[float]:
        outgoing = _bound_of_pattern(node, bounds, rules)
        if outgoing is not None:
            if visit is not None:
                visit(Visited(node.operation, incoming, outgoing, _shapes(node), inside, 1.0))
        elif id(node) in broadcasting:
            raise UnknownLipschitzBound(
                f"The inputs of the layer {node.operation.name!r} differ in size for some images, "
                "where one of them is a single pixel that is repeated, so that the model has no "
                "known Lipschitz bound. Give the model's input a known height and width, or begin "
                "it with `deel_seg.layers.SizeMultiple`."
            )
        else:
            outgoing = _bound_of(node, incoming, rules, visit, inside)
        bounds.update((id(tensor), outgoing) for tensor in node.outputs)
        return [outgoing] * len(node.outputs)

    return _together(carried(graph, [1.0] * len(graph.inputs), step), rules.rounding)


def _together(bounds: list[float], rounding: float) -> float:
    if len(bounds) == 1:
        return bounds[0]
    return math.sqrt(sum(bound * bound for bound in bounds)) * rounding


def _bound_of_pattern(node: Any, bounds: dict[int, float], rules: Rules) -> float | None:
    """Bound of what ends here, where it is less than that of its layers one by one."""
    pairs = sorted_pairs(node)
    source = image_means_source(node) if pairs is None else pairs.source
    bound = bounds.get(id(source))
    if bound is None or pairs is None or pairs.convolution is None:
        return bound
    shapes = [tuple(tensor.shape) for tensor in (source, *node.outputs)]
    return bound_by_rules(pairs.convolution, [bound], shapes, rules)


def _shapes(node: Any) -> Shapes:
    return [tuple(tensor.shape) for tensor in (*node.input_tensors, *node.outputs)]


def _bound_of(
    node: Any,
    incoming: list[float],
    rules: Rules,
    visit: Callable[[Visited], None] | None,
    inside: tuple[str, ...],
) -> float:
    """Bound of all outputs of one layer, together."""
    layer = node.operation
    shapes = _shapes(node)
    # But for our own layers, bounds hold at inference only: `layer(x, training=True)` has none.
    # Keras calls a Resizing so by default, and it does the same then.
    training = bool(node.arguments.kwargs.get("training")) and type(layer) is not Resizing
    if (
        not isinstance(layer, LipschitzLayer)
        and functional_graph(layer) is not None
        and not training
    ):
        try:
            inner = walk(layer, rules, visit, inside=(*inside, layer.name))
            outer = _together(incoming, rules.rounding)
            return inner if outer == 1.0 else inner * outer * rules.rounding
        except UnknownLipschitzBound as error:
            raise UnknownLipschitzBound(f"In the nested model {layer.name!r}: {error}") from error
    bound = bound_by_rules(layer, incoming, shapes, rules, training=training)
    if bound is None:
        raise UnknownLipschitzBound(
            f"The layer {layer.name!r} of type {type(layer).__name__} has no known Lipschitz "
            "bound as it is used here, so neither has the model. Layers of `deel_seg.layers` and "
            "those listed in `deel_seg.lipschitz.keras_rules` have one, without broadcasting and "
            "without `training=True`."
        )
    if visit is not None:
        visit(Visited(layer, incoming, bound, shapes, inside))
    return bound


def bound_by_rules(
    layer: Any,
    incoming: Sequence[float],
    shapes: Shapes,
    rules: Rules,
    *,
    training: bool = False,
) -> float | None:
    """Bound of a layer's outputs from those of its inputs, or None if no rule knows it."""
    if isinstance(layer, LipschitzLayer):
        return rules.own(layer, incoming)
    if training:
        return None
    found = (rule(layer, incoming, shapes) for rule in rules.others)
    return next((bound for bound in found if bound is not None), None)
