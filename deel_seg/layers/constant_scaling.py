"""Multiplies by a constant."""

from __future__ import annotations

from typing import Any

import keras

from deel_seg._checks import check_real
from deel_seg.layers.lipschitz_layer import LipschitzLayer

Tensor = Any


@keras.saving.register_keras_serializable("deel_seg")
class ConstantScaling(LipschitzLayer):
    """Multiplies by `factor`, which is its bound: what makes a network's constant a given one.

    Args:
        factor: Above 0.
        **kwargs: Keras' arguments of a layer, and `k_coef_lip`.

    Example:

    >>> from deel_seg.layers import ConstantScaling
    >>> ConstantScaling(0.25).lipschitz_constant
    0.25
    """

    def __init__(self, factor: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = check_real("factor", factor, minimum=0.0, exclusive_minimum=True)

    def call(self, inputs: Tensor) -> Tensor:
        return self.scaled(inputs, self.factor)

    def lipschitz_bound(self, *input_bounds: float) -> float:
        return self.factor * super().lipschitz_bound(*input_bounds)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}
