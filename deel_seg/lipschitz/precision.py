"""A network with the same weights, computed in float64."""

from __future__ import annotations

from typing import Any

import keras
from keras import tree


def in_float64(model: keras.Model) -> keras.Model:
    """A copy of a functional model whose layers compute in float64, on the same weights.

    Orthogonal kernels stay those that inference uses, to the last bit: they are composed in float32
    whatever a layer computes in. The copy does not follow the model when that is trained.

    Raises:
        ValueError: Where the backend has no float64, such as JAX without x64.
    """
    network = keras.Model(model.input, model.output, name=model.name)
    copy = keras.models.clone_model(
        network,
        input_tensors=tree.map_structure(
            lambda tensor: keras.Input(batch_shape=tensor.shape, dtype="float64"), network.input
        ),
        clone_function=_layer_in_float64,
    )
    copy.set_weights(network.get_weights())
    return copy


def _layer_in_float64(layer: Any) -> Any:
    if isinstance(layer, keras.Model):
        return in_float64(layer)
    config = layer.get_config()
    if "dtype" in config:
        config["dtype"] = "float64"
    return layer.__class__.from_config(config)
