"""Keeps the RMS norm of feature maps steady across a change of dimension."""

from __future__ import annotations

import math
from typing import Any

import keras

from deel_seg._checks import check_integer
from deel_seg.layers.lipschitz_layer import LipschitzLayer

Tensor = Any


@keras.saving.register_keras_serializable("deel_seg")
class RMSScaling(LipschitzLayer):
    """Multiplies by `sqrt(dim_out / dim_in)`, the dimensions of the layer before it.

    An orthogonal map from `dim_in` to `dim_out` values keeps the l2 norm, so the root of the mean
    square changes by `sqrt(dim_in / dim_out)`; this undoes it. The bound is the factor: in a
    network the factors telescope, to `sqrt(K / 3)` from an RGB image to K logits a pixel.

    Args:
        dim_in: Values a patch holds before the layer (channels times stride squared, say).
        dim_out: Values the same patch holds after it.
        k_coef_lip: Factor of the output.
        **kwargs: Keras' arguments of a layer.

    Example:

    >>> from deel_seg.layers import RMSScaling
    >>> RMSScaling(16, 4).lipschitz_constant
    0.5

    References:
        Yang et al., A Spectral Condition for Feature Learning, 2023; the paper's appendix C.
    """

    def __init__(self, dim_in: int, dim_out: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dim_in = check_integer("dim_in", dim_in, minimum=1)
        self.dim_out = check_integer("dim_out", dim_out, minimum=1)

    @property
    def factor(self) -> float:
        return math.sqrt(self.dim_out / self.dim_in)

    def call(self, inputs: Tensor) -> Tensor:
        return self.scaled(inputs, self.factor)

    def lipschitz_bound(self, *input_bounds: float) -> float:
        return self.factor * super().lipschitz_bound(*input_bounds)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dim_in": self.dim_in, "dim_out": self.dim_out}
