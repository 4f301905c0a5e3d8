"""The contract of every layer: a proved l2 bound, as a function of the bounds of its inputs."""

from __future__ import annotations

import abc
import math
from typing import Any

import keras
from keras import ops

from deel_seg._backend import IS_TENSORFLOW
from deel_seg._checks import check_real
from deel_seg.layers.stored_weights import add_checksum, without_checksum

Tensor = Any


class _LipschitzLayer(abc.ABC):
    """Stands in for deel-lip's class of this role where TensorFlow, which it needs, is not."""

    k_coef_lip = 1.0
    coef_lip: float | None = None

    def set_klip_factor(self, klip_factor: float) -> None:
        self.k_coef_lip = klip_factor

    @abc.abstractmethod
    def _compute_lip_coef(self, input_shape: Any = None) -> float: ...

    def _init_lip_coef(self, input_shape: Any) -> None:
        self.coef_lip = self._compute_lip_coef(input_shape)

    def _get_coef(self) -> float:
        return (1.0 if self.coef_lip is None else self.coef_lip) * self.k_coef_lip


class _Condensable(abc.ABC):
    """Stands in for deel-lip's class of this role where TensorFlow, which it needs, is not."""

    @abc.abstractmethod
    def condense(self) -> None: ...

    @abc.abstractmethod
    def vanilla_export(self) -> keras.layers.Layer: ...


LipschitzContract: Any = _LipschitzLayer
Condensable: Any = _Condensable
if IS_TENSORFLOW:
    try:
        from deel.lip.layers import base_layer
    except ImportError:  # Left out by hand: none of our layers needs deel-lip.
        pass
    else:
        LipschitzContract, Condensable = base_layer.LipschitzLayer, base_layer.Condensable


_SIGNIFICANT_BITS = {"bfloat16": 8, "float16": 11, "float32": 24, "float64": 53}


def significant_bits(dtype: str) -> int:
    """Bits of a floating point type's significand, the leading one among them."""
    return _SIGNIFICANT_BITS[dtype]


def rounded_down(factor: float, dtype: str) -> float:
    """Largest number of `dtype` that is not above `factor`, for `factor` above 0.

    A factor is rounded when it meets a tensor, and one rounded up would exceed a layer's bound.
    """
    bits = significant_bits(dtype)
    fraction, exponent = math.frexp(factor)
    return math.ldexp(math.floor(math.ldexp(fraction, bits)), exponent - bits)


def nan_unless_multiple(inputs: Tensor, size: Any, divisor: int) -> Tensor:
    """`inputs`, or NaN where `size`, known only at run time, is no multiple of `divisor`.

    XLA drops assertions. A network that must not run on a size yields no number there instead.
    """
    if isinstance(size, int):
        return inputs
    nan = ops.cast(float("nan"), inputs.dtype)
    return ops.where(ops.equal(ops.mod(size, divisor), 0), inputs, nan)


class LipschitzLayer(keras.layers.Layer, LipschitzContract):
    """A Keras layer that states a proved l2 Lipschitz bound.

    It is deel-lip's `LipschitzLayer` too, where that is installed: `k_coef_lip` multiplies the
    output, so a layer of bound 1 becomes exactly `k_coef_lip`-Lipschitz. A subclass ends its `call`
    with `self.scaled(outputs)` and overrides `lipschitz_bound` when its bound without that factor
    is not 1.

    Args:
        k_coef_lip: Factor of the output, above 0.
        **kwargs: Keras' arguments of a layer (`name`, `dtype`, ...).
    """

    coef_lip = 1.0

    def __init__(self, *, k_coef_lip: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.set_klip_factor(k_coef_lip)

    def lipschitz_bound(self, *input_bounds: float) -> float:
        """Bound of the map from the network's input to this layer's output.

        Args:
            *input_bounds: The same bound for each of the layer's inputs. For a layer taken alone
                it is 1.
        """
        (bound,) = input_bounds
        return self.k_coef_lip * bound

    def certified_bound(self, *input_bounds: float) -> float:
        """As `lipschitz_bound`, from the weights that inference uses.

        By default that one. A layer whose bound hangs on its weights overrides this, and proves
        what it returns.
        """
        return self.lipschitz_bound(*input_bounds)

    @property
    def lipschitz_constant(self) -> float:
        """Bound of the layer itself, with one input."""
        return self.lipschitz_bound(1.0)

    def set_klip_factor(self, klip_factor: float) -> None:
        """Sets the factor of the output. Models traced before must be compiled again."""
        self.k_coef_lip = check_real("k_coef_lip", klip_factor, minimum=0.0, exclusive_minimum=True)

    def scaled(self, outputs: Tensor, factor: float = 1.0) -> Tensor:
        """`outputs` times `factor` and `k_coef_lip`, rounded down."""
        total = self.output_factor(keras.backend.standardize_dtype(outputs.dtype), factor)
        return outputs if total == 1.0 else outputs * total

    def output_factor(self, dtype: str, factor: float = 1.0) -> float:
        """What `scaled` multiplies outputs of that dtype by."""
        return rounded_down(factor * self.k_coef_lip, dtype)

    def _compute_lip_coef(self, input_shape: Any = None) -> float:
        return 1.0

    def save_own_variables(self, store: Any) -> None:
        weights: dict[str, Any] = {}
        super().save_own_variables(weights)
        add_checksum(store, weights)

    def load_own_variables(self, store: Any) -> None:
        super().load_own_variables(without_checksum(self.name, store))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self.k_coef_lip != 1.0:
            config["k_coef_lip"] = self.k_coef_lip
        return config
