"""Derivatives of functions of tensors, on either backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deel_seg._backend import IS_TENSORFLOW

if IS_TENSORFLOW:
    import tensorflow as tf
else:
    import jax


def vjp(function: Callable[..., Any], arguments: Sequence[Any], cotangent: Any) -> Sequence[Any]:
    """Pulls `cotangent` back through `function` at `arguments`, one result per argument."""
    if not IS_TENSORFLOW:
        return jax.vjp(function, *arguments)[1](cotangent)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        for argument in arguments:
            tape.watch(argument)
        result = function(*arguments)
    return tape.gradient(
        result, list(arguments), cotangent, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )


def jvp(function: Callable[[Any], Any], argument: Any, tangent: Any) -> Any:
    """Derivative of `function` at `argument` along `tangent`."""
    if not IS_TENSORFLOW:
        return jax.jvp(function, (argument,), (tangent,))[1]
    # As one operation: of several, gradients that are written out would not be asked for.
    as_one = tf.function(function, autograph=False)
    with tf.autodiff.ForwardAccumulator(argument, tangent) as accumulator:
        result = as_one(argument)
    return accumulator.jvp(result, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def with_gradient(function: Callable[..., tuple[Any, Any]]) -> Callable:
    """A function of tensors, with a linear gradient that is written out.

    `keras.ops.custom_gradient` for what networks compute at inference too: under JAX that one has
    no derivative forwards, along a direction; here it is the transpose of what was written out.

    Args:
        function: Returns its result and its gradient, a function of the result's gradient.

    Returns:
        A function that returns the result alone.
    """
    if IS_TENSORFLOW:
        return tf.custom_gradient(function)

    @jax.custom_jvp
    def result_of(*arguments: Any) -> Any:
        return function(*arguments)[0]

    @result_of.defjvp
    def derivative(arguments: Any, tangents: Any) -> tuple[Any, Any]:
        result, gradient = function(*arguments)
        directions = tangents if len(tangents) > 1 else tangents[0]
        return result, jax.linear_transpose(gradient, result)(directions)[0]

    return result_of


def value_and_gradient(function: Callable[[Any], tuple[Any, Any]], argument: Any) -> Any:
    """`(value, others), gradient` of a function that returns a scalar, and what else it found."""
    if not IS_TENSORFLOW:
        return jax.value_and_grad(function, has_aux=True)(argument)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(argument)
        value, others = function(argument)
    gradient = tape.gradient(value, argument, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return (value, others), gradient
