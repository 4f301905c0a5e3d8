"""A network with the same weights, computed in float64."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops, tree

from deel_seg._backend import accumulation_dtype
from deel_seg.layers.orthogonal_convolution import OrthogonalConvolution

_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


def in_float64(model: keras.Model) -> keras.Model:
    """A copy of a functional model whose layers compute in float64, on the same weights.

    Kernels stay those that inference uses, to the last bit: orthogonal ones are composed in float32
    whatever a layer computes in, and in half precision all are rounded to the dtype they are used
    in. The copy does not follow the model when that is trained.

    Raises:
        ValueError: Where the backend has no float64, such as JAX without x64.
    """
    if accumulation_dtype() != "float64":
        raise ValueError(
            "There is no float64 on this backend: set JAX_ENABLE_X64=1 before JAX is imported."
        )
    network = keras.Model(model.input, model.output, name=model.name)
    copy = _copied(network)
    copy.set_weights(network.get_weights())
    _keep_what_is_used(network, copy)
    return copy


def _copied(network: keras.Model) -> keras.Model:
    return keras.models.clone_model(
        network,
        input_tensors=tree.map_structure(
            lambda tensor: keras.Input(batch_shape=tensor.shape, dtype="float64"), network.input
        ),
        clone_function=_layer_in_float64,
    )


def _layer_in_float64(layer: Any) -> Any:
    if isinstance(layer, keras.Model):
        return _copied(keras.Model(layer.input, layer.output, name=layer.name))
    config = layer.get_config()
    if "dtype" in config:
        config["dtype"] = "float64"
    return layer.__class__.from_config(config)


def _keep_what_is_used(network: keras.Model, copy: keras.Model) -> None:
    """Gives the copy what inference makes of the weights, where that is not the weights."""
    for source, target in zip(network.layers, copy.layers, strict=True):
        if isinstance(source, keras.Model):
            _keep_what_is_used(source, target)
        elif type(source) is keras.layers.Normalization:
            # Statistics that were adapted are weights that nothing else reads.
            target.mean, target.variance = (
                ops.cast(values, "float64") for values in (source.mean, source.variance)
            )
        elif getattr(source, "compute_dtype", "float32") in ("float16", "bfloat16"):
            _round_kernels(source, target)


def _round_kernels(source: Any, target: Any) -> None:
    if isinstance(source, OrthogonalConvolution):
        target.condense()
        target.kernel.assign(ops.cast(source.cast_kernel(training=False), "float32"))
        return
    for name in _KERNELS:
        kernel = getattr(source, name, None)
        if kernel is not None:
            rounded = ops.cast(ops.convert_to_tensor(kernel), source.compute_dtype)
            getattr(target, name).assign(ops.cast(rounded, "float64"))
