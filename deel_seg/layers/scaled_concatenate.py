"""Concatenation of branches that does not raise the Lipschitz constant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from deel_seg._checks import received
from deel_seg.layers.lipschitz_layer import LipschitzLayer

Tensor = Any


@keras.saving.register_keras_serializable("deel_seg")
class ScaledConcatenate(LipschitzLayer):
    """Concatenates N branches along the channels and divides by `sqrt(N)`.

    If branch i is L_i-Lipschitz the result is `sqrt(mean(L_i^2))`-Lipschitz, since the squared
    norms of the branches add.

    Args:
        k_coef_lip: Factor of the output.
        **kwargs: Keras' arguments of a layer.

    Input shape:
        A list of N tensors `(batch, height, width, channels_i)`.

    Output shape:
        `(batch, height, width, sum of channels_i)`.

    Example:

    >>> from deel_seg.layers import ScaledConcatenate
    >>> ScaledConcatenate().lipschitz_bound(1.0, 1.0, 1.0)
    1.0

    References:
        The paper's appendix C (division by the root of N).
    """

    def build(self, input_shape: Any) -> None:
        if not isinstance(input_shape[0], (tuple, list)):
            raise ValueError(
                f"Layer {self.name!r} takes a list of tensors. " + received(input_shape=input_shape)
            )
        self.built = True

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        return self.scaled(ops.concatenate(inputs, axis=-1), 1.0 / math.sqrt(len(inputs)))

    def lipschitz_bound(self, *input_bounds: float) -> float:
        squares = sum(bound * bound for bound in input_bounds)
        return self.k_coef_lip * math.sqrt(squares / len(input_bounds))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[0][:-1], sum(shape[-1] for shape in input_shape))
