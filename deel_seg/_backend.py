"""What `keras.ops` cannot express: compilation, exact products, bit patterns.

With `_derivatives` and `_inference`: everything else in the library is written with `keras.ops`
and runs on TensorFlow and on JAX.
"""

from __future__ import annotations

import contextvars
import functools
import gc
import os
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops, tree

if keras.backend.backend() not in ("tensorflow", "jax"):
    raise ImportError(
        "deel_seg runs on Keras with the TensorFlow or the JAX backend. "
        f"Received: KERAS_BACKEND={keras.backend.backend()!r}"
    )

IS_TENSORFLOW = keras.backend.backend() == "tensorflow"

if IS_TENSORFLOW:
    import tensorflow as tf
else:
    import jax
    import jax.experimental


# Whether `compiled` uses XLA under TensorFlow. DEEL_SEG_XLA=0 turns it off, for a platform that has
# none or where every call meets a new shape: results are the same, several times slower.
WITH_XLA = os.environ.get("DEEL_SEG_XLA", "1") != "0"


# Whether what is being traced under TensorFlow is known to be compiled without XLA.
_WITHOUT_XLA: contextvars.ContextVar[bool] = contextvars.ContextVar("without_xla", default=False)

# What `compiled` has traced under TensorFlow, for `forget_compiled`.
_TRACED: weakref.WeakSet[Any] = weakref.WeakSet()


def accumulation_dtype() -> str:
    """Widest float the backend offers: float64, but float32 under JAX without x64."""
    return "float64" if IS_TENSORFLOW or jax.config.jax_enable_x64 else "float32"


def compiled(
    function: Callable[..., Any], static_argnames: Sequence[str] = (), *, xla: bool = True
) -> Callable:
    """Compiles `function` with XLA, once per shape, dtype and value of its static arguments.

    Static arguments must be hashable and passed by keyword; all others must be tensors. XLA also
    under TensorFlow: a pass over the logits costs there what it costs elsewhere once its
    operations are fused, and several times that where each one writes its result to memory. With
    `xla=False` without it there: a processor convolves faster so.
    """
    if not IS_TENSORFLOW:
        return jax.jit(function, static_argnames=tuple(static_argnames))

    @functools.cache
    def specialised(
        static: tuple[tuple[str, Any], ...], with_xla: bool, without_xla: bool
    ) -> Callable:
        bound = functools.partial(_traced, without_xla, functools.partial(function, **dict(static)))
        return tf.function(bound, jit_compile=with_xla, autograph=False)

    _TRACED.add(specialised)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        static = tuple((name, kwargs.pop(name)) for name in static_argnames if name in kwargs)
        with_xla = xla and WITH_XLA
        # In a graph around this one XLA may compile this one too.
        without_xla = not with_xla and (tf.executing_eagerly() or _WITHOUT_XLA.get())
        return specialised(static, with_xla, without_xla)(*args, **kwargs)

    return call


def _traced(without_xla: bool, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    before = _WITHOUT_XLA.set(without_xla)
    try:
        return function(*args, **kwargs)
    finally:
        _WITHOUT_XLA.reset(before)


def compiled_as_one(*static_argnames: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorates a function that JAX is to compile as a whole where it is called outside of a graph.

    There JAX compiles each operation apart and for each of its shapes, dozens for the kernel of one
    layer. Inside of a graph, and under TensorFlow, nothing changes.

    Args:
        static_argnames: Arguments that are no tensors; they must be hashable.
    """
    if IS_TENSORFLOW:
        return lambda function: function
    return functools.partial(jax.jit, static_argnames=static_argnames, inline=True)


def compiles_with_xla() -> bool:
    """Whether `compiled` uses XLA."""
    return not IS_TENSORFLOW or WITH_XLA


def forget_compiled() -> None:
    """Lets go of all that was compiled: some 20 MB for each shape that a certificate has met."""
    for specialised in list(_TRACED):
        specialised.cache_clear()
    if IS_TENSORFLOW:
        gc.collect()  # Graphs refer to themselves.
    else:
        jax.clear_caches()


def fuses_layers() -> bool:
    """Whether networks run through XLA: under JAX, and by Keras' default where a GPU is."""
    return not IS_TENSORFLOW or bool(tf.config.list_physical_devices("GPU"))


def is_concrete(*tensors: Any) -> bool:
    """Whether the values can be looked at, that is, outside a traced or compiled function."""
    if IS_TENSORFLOW:
        return tf.executing_eagerly() and not any(
            isinstance(tensor, keras.KerasTensor) for tensor in tensors
        )
    return not any(isinstance(tensor, (jax.core.Tracer, keras.KerasTensor)) for tensor in tensors)


def in_host_memory(tensor: Any) -> bool:
    """Whether a concrete tensor lies where NumPy reads it."""
    if IS_TENSORFLOW:
        return "device:CPU" in tensor.device
    return {device.platform for device in tensor.devices()} == {"cpu"}


def materialised(compute: Callable[[], Any], like: Any, data: Any) -> Any:
    """`compute()`, of the shape and dtype of `like`, written to memory.

    XLA repeats an element-wise computation in everything that reads its result, which is a bad
    bargain where it is a pass over all logits. A loop whose number of steps is not known before
    it runs is not taken apart; that it is one step is hidden behind a look at `data`. Where it
    is known that XLA will not compile this, nothing is repeated, and there is nothing to do.
    """
    if _WITHOUT_XLA.get():
        return compute()
    # A slice, for a replica may be left without images at the end of an epoch.
    first = ops.isnan(ops.reshape(data, (-1,))[:1])
    steps = ops.maximum(1, ops.cast(ops.any(first), "int32"))
    _, result = ops.while_loop(
        lambda step, _: step < steps,
        lambda step, _: (step + 1, compute()),
        (ops.zeros_like(steps), like),
    )
    return result


def branch(condition: Any, then: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
    """`ops.cond`, where the condition is known one of the two branches.

    JAX compiles both of them, anew with each call, outside a compiled function too.
    """
    if is_concrete(condition):
        return then() if bool(condition) else otherwise()
    return ops.cond(condition, then, otherwise)


def mapped(function: Callable[..., Any], xs: Any) -> Any:
    """Stacks what `function` returns of each entry of `xs` along its first axis, one by one.

    `ops.map` traces a function under TensorFlow once for what it returns and once for the loop,
    hence four times where it is in a function that is mapped itself, and eight in a third.
    """
    if not IS_TENSORFLOW:
        return jax.lax.map(function, xs)
    entries = tree.map_structure(lambda part: tf.TensorSpec(part.shape[1:], part.dtype), xs)
    traced = tf.function(function, autograph=False).get_concrete_function(entries)
    result = tree.map_structure(tf.TensorSpec.from_tensor, traced.structured_outputs)
    return tf.map_fn(traced, xs, fn_output_signature=result)


def float_bits(values: Any) -> Any:
    """Bit patterns of float32 `values` as int32; those of non-negative floats are ordered alike."""
    if IS_TENSORFLOW:
        return tf.bitcast(values, tf.int32)
    return jax.lax.bitcast_convert_type(values, "int32")


def truncated(values: Any) -> Any:
    """The largest float32 numbers not above `values`, which are positive and normal in float32.

    A cast rounds to nearest, and XLA may leave out a cast there and back, so that comparing would
    not show which way.
    """
    if keras.backend.standardize_dtype(values.dtype) == "float32":
        return values
    if IS_TENSORFLOW:
        bits = tf.bitcast(values, tf.int64)
    else:
        bits = jax.lax.bitcast_convert_type(values, "int64")
    # 29 bits less of the mantissa, and the exponent counted from 127 and not 1023.
    return bits_float(ops.cast(ops.right_shift(bits, 29) - ((1023 - 127) << 23), "int32"))


def bits_float(bits: Any) -> Any:
    """The float32 values of int32 bit patterns."""
    if IS_TENSORFLOW:
        return tf.bitcast(bits, tf.float32)
    return jax.lax.bitcast_convert_type(bits, "float32")


def taken(values: Any, index: Any) -> Any:
    """What stands at `index` along one axis, as one operation.

    `keras.ops.take_along_axis` is a dozen on TensorFlow: a third of all that tracing a certificate
    of accuracy took.

    Args:
        values: `(*leading, entries, *trailing)`.
        index: `(*leading, places)`, integers from 0 to `entries - 1`.

    Returns:
        `(*leading, places, *trailing)`.
    """
    axis = len(index.shape) - 1
    if IS_TENSORFLOW:
        return tf.gather(values, index, axis=axis, batch_dims=axis)
    trailing = (1,) * (len(values.shape) - axis - 1)
    index = jax.numpy.reshape(index, (*index.shape, *trailing))
    return jax.numpy.take_along_axis(values, index, axis=axis)


def segment_sum(values: Any, segments: Any, num_segments: Any) -> Any:
    """Sums 1-D `values` by segment; those of a negative segment are left out.

    `keras.ops.segment_sum` leaves them out on TensorFlow and wraps them around on JAX.
    """
    if IS_TENSORFLOW:
        return tf.math.unsorted_segment_sum(values, segments, num_segments)
    kept = jax.numpy.where(segments < 0, num_segments, segments)
    return jax.numpy.zeros((num_segments,), values.dtype).at[kept].add(values, mode="drop")


def stateless_normal(shape: Sequence[int], seed: Any) -> Any:
    """Standard normal float32 numbers that follow from two int32 numbers, tensors too."""
    if IS_TENSORFLOW:
        return tf.random.stateless_normal(shape, seed)
    key = jax.random.fold_in(jax.random.key(seed[0].astype("uint32")), seed[1].astype("uint32"))
    return jax.random.normal(key, shape, "float32")


def normal_on_host(shape: Sequence[int], seed: Any = None) -> np.ndarray:
    """Standard normal float64 numbers in NumPy; as of the initializers of Keras for the seed.

    Under JAX the generator is NumPy's, and from Keras comes its seed: JAX compiles its own anew for
    each shape, for half a second, which was nine tenths of the time to make a network.
    """
    if IS_TENSORFLOW:
        drawn = keras.random.normal(shape, dtype="float32", seed=seed)
        return ops.convert_to_numpy(drawn).astype("float64")
    entropy = keras.random.randint((4,), 0, 2**31 - 1, dtype="int32", seed=seed)
    return np.random.default_rng(ops.convert_to_numpy(entropy)).standard_normal(shape)


def exact_matmul(a: Any, b: Any) -> Any:
    """Matrix product in the full precision of its float32 operands.

    Ampere and later GPUs round float32 operands to 10 bits ("TF32") by default, which would
    leave an orthogonal kernel with singular values of 1.001. JAX takes a precision per product;
    TensorFlow has one switch for the process, which is not ours to turn, so where it stands on
    and a GPU is there the product is taken in float64.
    """
    if not IS_TENSORFLOW:
        return jax.numpy.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
    if _tensor_float_32():
        product = tf.matmul(tf.cast(a, tf.float64), tf.cast(b, tf.float64))
        return tf.cast(product, a.dtype)
    return tf.matmul(a, b)


def _tensor_float_32() -> bool:
    enabled = tf.config.experimental.tensor_float_32_execution_enabled()
    return enabled and bool(tf.config.list_logical_devices("GPU"))


def product_precision() -> str:
    """What this process brings the factors of float32 products to: the coarsest it may choose."""
    if IS_TENSORFLOW:
        return "tf32" if _tensor_float_32() else "float32"
    asked = jax.config.jax_default_matmul_precision
    if jax.default_backend() == "cpu" or asked in ("highest", "float32"):
        return "float32"
    on_gpu = jax.default_backend() == "gpu"
    return "tf32" if on_gpu and asked in (None, "default", "high", "tensorfloat32") else "bfloat16"


def read_at_run_time(variable: Any, on_host: Callable[[], Any]) -> Any:
    """Value of a scalar float32 variable at the time a compiled step runs, not when it was traced.

    TensorFlow reads variables when a step runs. A JAX step takes as state the variables of the
    model, the optimiser and the metrics; any other is compiled in, so the host is asked instead.
    """
    if IS_TENSORFLOW:
        return ops.convert_to_tensor(variable)
    return jax.experimental.io_callback(on_host, jax.ShapeDtypeStruct((), "float32"))


def check_multiple(size: Any, divisor: int, message: str) -> None:
    """Raises `message` where a dimension, known now or only at run time, is no multiple."""
    if isinstance(size, int):
        if size % divisor:
            raise ValueError(f"{message} Received: size={size}")
    elif IS_TENSORFLOW:
        tf.debugging.assert_equal(ops.mod(size, divisor), 0, message=message)
