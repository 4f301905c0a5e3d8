"""Networks at inference as compiled functions, on either backend."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from deel_seg._backend import IS_TENSORFLOW

if IS_TENSORFLOW:
    import tensorflow as tf
else:
    import jax


def compiled_inference(model: keras.Model) -> Callable[[Any], Any]:
    """`model(images, training=False)`, compiled as `model` is, on the weights of the moment.

    Unlike `predict` it leaves the outputs where they were computed.
    """
    if model.run_eagerly:
        return lambda images: model(images, training=False)
    if IS_TENSORFLOW and len(getattr(model, "inputs", None) or ()) == 1:
        return _inference_of_any_size(model)
    if IS_TENSORFLOW:
        return tf.function(
            lambda images: model(images, training=False),
            jit_compile=model.jit_compile,
            autograph=False,
        )

    @jax.jit
    def infer(trainable: list[Any], other: list[Any], images: Any) -> Any:
        return model.stateless_call(trainable, other, images, training=False)[0]

    def call(images: Any) -> Any:
        variables = (model.trainable_variables, model.non_trainable_variables)
        return infer(*([variable.value for variable in group] for group in variables), images)

    return call


def _inference_of_any_size(model: keras.Model) -> Callable[[Any], Any]:
    """The model at inference, traced once for all sizes that it takes.

    Traced anew for each, a folder of pictures of odd sizes would take seconds for every one. Left
    to relax what differs, TensorFlow fixes one side of the image and frees the other, for which its
    convolutions have been seen to fail.
    """

    @functools.cache
    def traced(dtype: Any) -> Callable[[Any], Any]:
        return tf.function(
            lambda images: model(images, training=False),
            jit_compile=model.jit_compile,
            input_signature=[tf.TensorSpec(model.inputs[0].shape, dtype)],
            autograph=False,
        )

    def call(images: Any) -> Any:
        images = ops.convert_to_tensor(images)
        return traced(images.dtype)(images)

    return call


def inference_of(
    network: Callable[[Any], Any], *, movable: bool = False
) -> tuple[Callable[[Any, Any], Any], Callable[[], Any]]:
    """A network at inference as a function to compile, of its weights and of images.

    Args:
        network: A Keras model, or a function that holds its weights, if it has some, itself.
        movable: Whether the weights of a Keras model may be given as copies on another device.

    Returns:
        The function, and one that returns the weights of the moment to call it with. TensorFlow
        reads variables whenever a compiled function runs; JAX would keep their values.
    """
    if not isinstance(network, keras.Model):
        return lambda _, images: network(images), lambda: ()
    if IS_TENSORFLOW and not movable:
        return lambda _, images: network(images, training=False), lambda: ()

    def apply(weights: Any, images: Any) -> Any:
        return network.stateless_call(*weights, images, training=False)[0]

    def weights() -> Any:
        groups = (network.trainable_variables, network.non_trainable_variables)
        return tuple([variable.value for variable in group] for group in groups)

    return apply, weights
