"""A network of Keras' own layers with the logits of a Lipschitz network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from deel_seg._checks import received
from deel_seg.layers import (
    BatchCentering,
    ConstantScaling,
    DepthToSpace,
    GroupSort2,
    ImageLevelPooling,
    MaxMin,
    OrthogonalConv2D,
    OrthogonalConv2DTranspose,
    RMSScaling,
    ScaledAdd,
    ScaledAveragePooling2D,
    ScaledConcatenate,
    ScaledL2NormPooling2D,
    SizeMultiple,
    SpaceToDepth,
)
from deel_seg.lipschitz.graph import functional_graph
from deel_seg.vanilla import convolutions, merging, resampling, sorting
from deel_seg.vanilla.network import PlainNetwork
from deel_seg.vanilla.pending import Pending

Tensor = Any


def plain_network(model: keras.Model, output_factor: float = 1.0) -> keras.Model:
    """Builds a functional model of Keras' own layers that computes the same at inference.

    Sorted pairs of channels become a maximum and a minimum, orthogonal convolutions plain ones with
    their kernels, and translations and factors go into the kernels and biases around them where
    they can. Keras' own layers are copied.

    Args:
        model: Functional (or sequential, built) Keras model.
        output_factor: Factor of the outputs, above 0.

    Raises:
        ValueError: If a layer has no form among Keras' own layers; the message names it.
    """
    graph, network = _graph_of(model), PlainNetwork()
    # Of the graph: a sequential model that was loaded has none itself before it is called.
    inputs = tree.map_structure(_new_input, graph.input)
    values = [Pending(tensor, None) for tensor in tree.flatten(inputs)]
    outputs = [
        network.tensor(value if output_factor == 1.0 else value.scaled(output_factor))
        for value in _translated(network, model, values, {})
    ]
    return keras.Model(inputs, tree.pack_sequence_as(graph.output, outputs), name=model.name)


def _graph_of(model: Any) -> Any:
    graph = functional_graph(model)
    if graph is None:
        raise ValueError(
            "Only functional (and built sequential) models have a plain form. "
            + received(model=getattr(model, "name", model))
        )
    return graph


def _new_input(tensor: Tensor) -> Tensor:
    return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)


def _translated(
    network: PlainNetwork, model: Any, inputs: Sequence[Pending], copies: dict[int, Any]
) -> list[Pending]:
    """Outputs of a graph, of a model or nested in one, at these inputs."""
    graph = _graph_of(model)
    values = dict(zip(map(id, graph.inputs), inputs, strict=True))
    nodes = [
        node
        for depth in sorted(graph._nodes_by_depth, reverse=True)
        for node in graph._nodes_by_depth[depth]
        if not node.is_input
    ]
    uses = Counter(id(tensor) for node in nodes for tensor in node.input_tensors)
    uses.update(id(tensor) for tensor in graph.outputs)
    for node in nodes:
        for tensor, value in zip(
            node.outputs, _of_node(network, node, values, copies), strict=True
        ):
            values[id(tensor)] = value if uses[id(tensor)] == 1 else network.closed(value)
    return [values[id(tensor)] for tensor in graph.outputs]


def _of_node(
    network: PlainNetwork, node: Any, values: dict[int, Pending], copies: dict[int, Any]
) -> list[Pending]:
    layer = node.operation
    inputs = [values[id(tensor)] for tensor in node.input_tensors]
    rule = _RULES.get(type(layer))
    if rule is not None:
        if node.arguments.kwargs.get("training"):
            raise ValueError(
                f"Layer {layer.name!r} is called with `training=True`, for which there is no "
                "plain form. " + received(training=True)
            )
        return [rule(network, layer, inputs)]
    if functional_graph(layer) is not None:
        return _translated(network, layer, inputs, copies)
    if id(layer) not in copies:
        copies[id(layer)] = _copy(network, layer)
    copy = copies[id(layer)]
    tensors = {
        id(tensor): network.tensor(value)
        for tensor, value in zip(node.input_tensors, inputs, strict=True)
    }
    arguments, options = node.arguments.fill_in(tensors)
    outputs = copy(*arguments, **options)
    if getattr(copy, "weights", None):
        copy.set_weights(layer.get_weights())
    return [Pending(tensor, copy) for tensor in tree.flatten(outputs)]


def _copy(network: PlainNetwork, layer: Any) -> Any:
    """A layer that is plain already, or says what its plain form is."""
    own = type(layer).__module__.split(".")[0] == "keras"
    if own and not isinstance(layer, keras.layers.Lambda):
        if not isinstance(layer, keras.layers.Layer):
            return layer  # A function of `keras.ops`, which holds nothing.
        return type(layer).from_config({**layer.get_config(), "name": network.name(layer.name)})
    if not isinstance(layer, keras.layers.Lambda) and hasattr(layer, "vanilla_export"):
        return layer.vanilla_export()
    raise ValueError(
        f"Layer {layer.name!r} of type {type(layer).__name__} has no form among Keras' own layers. "
        "A layer of your own has one if its method `vanilla_export()` returns it."
    )


_Rule = Callable[[PlainNetwork, Any, Sequence[Pending]], Pending]


def _of_one(rule: Callable[[PlainNetwork, Any, Pending], Pending]) -> _Rule:
    return lambda network, layer, values: rule(network, layer, values[0])


def _scaling(network: PlainNetwork, layer: Any, values: Sequence[Pending]) -> Pending:
    factor = getattr(layer, "factor", 1.0)
    return values[0].scaled(layer.output_factor(layer.compute_dtype, factor)).coming_from(layer)


def _centering(network: PlainNetwork, layer: BatchCentering, values: Sequence[Pending]) -> Pending:
    shift = -ops.convert_to_numpy(layer.moving_mean).astype("float64")
    if layer.bias is not None:
        shift = shift + ops.convert_to_numpy(layer.bias)
    shifted = values[0].shifted(np.asarray(shift)).coming_from(layer)
    return shifted.scaled(layer.output_factor(layer.compute_dtype))


def _normalization(
    network: PlainNetwork, layer: keras.layers.Normalization, values: Sequence[Pending]
) -> Pending:
    """One product and one sum, with numbers and not with tensors that a graph has to hold."""
    if layer.invert or tuple(layer.mean.shape[:-1]) != (1, 1, 1):
        return Pending(_copy(network, layer)(network.tensor(values[0])), layer)
    mean, variance = (
        ops.convert_to_numpy(part).astype("float64").ravel()
        for part in (layer.mean, layer.variance)
    )
    scale = 1.0 / np.maximum(np.sqrt(variance), keras.config.epsilon())
    rescaling = keras.layers.Rescaling(
        scale.tolist(), (-mean * scale).tolist(), **network.options(layer)
    )
    return Pending(rescaling(network.tensor(values[0])), layer)


# By the very class: a subclass may compute anything.
_RULES: dict[type, _Rule] = {
    keras.layers.Normalization: _normalization,
    OrthogonalConv2D: _of_one(convolutions.convolution),
    OrthogonalConv2DTranspose: _of_one(convolutions.convolution),
    MaxMin: _of_one(sorting.sorting),
    GroupSort2: _of_one(sorting.sorting),
    BatchCentering: _centering,
    RMSScaling: _scaling,
    ConstantScaling: _scaling,
    SizeMultiple: _scaling,
    ScaledAdd: merging.scaled_add,
    ScaledConcatenate: merging.scaled_concatenate,
    ScaledAveragePooling2D: _of_one(resampling.average_pooling),
    ScaledL2NormPooling2D: _of_one(resampling.l2_norm_pooling),
    ImageLevelPooling: _of_one(resampling.image_level_pooling),
    SpaceToDepth: _of_one(resampling.block_permutation),
    DepthToSpace: _of_one(resampling.block_permutation),
}
