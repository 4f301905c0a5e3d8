"""Activations that sort pairs of channels: permutations at every point, so they preserve norms."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deel_seg._checks import received
from deel_seg.layers.lipschitz_layer import LipschitzLayer

Tensor = Any


class PairSorting(LipschitzLayer):
    """Sorts pairs of channels; a subclass says which pair up."""

    def build(self, input_shape: Any) -> None:
        if input_shape[-1] is None or input_shape[-1] % 2:
            raise ValueError(
                f"Layer {self.name!r} sorts channels in pairs and needs an even number of them. "
                + received(channels=input_shape[-1])
            )
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@keras.saving.register_keras_serializable("deel_seg")
class GroupSort2(PairSorting):
    """Sorts neighbouring channels `(2i, 2i + 1)`, the smaller first.

    The order is deel-lip's. Height and width stay free, the first image fixes nothing.

    Args:
        k_coef_lip: Factor of the output.
        **kwargs: Keras' arguments of a layer.

    Example:

    >>> import numpy as np
    >>> from deel_seg.layers import GroupSort2
    >>> np.asarray(GroupSort2()(np.array([[4.0, 1.0, 2.0, 3.0]]))).tolist()
    [[1.0, 4.0, 2.0, 3.0]]

    References:
        Anil et al., Sorting Out Lipschitz Function Approximation, ICML 2019.
    """

    def call(self, inputs: Tensor) -> Tensor:
        shape = ops.shape(inputs)
        pairs = ops.reshape(inputs, (*shape[:-1], inputs.shape[-1] // 2, 2))
        first, second = pairs[..., 0], pairs[..., 1]
        ordered = ops.stack([ops.minimum(first, second), ops.maximum(first, second)], axis=-1)
        return self.scaled(ops.reshape(ordered, shape))


@keras.saving.register_keras_serializable("deel_seg")
class MaxMin(PairSorting):
    """Pairs channel i with channel `C/2 + i`: the larger goes to the first half.

    The same function as `GroupSort2` up to the order of the channels, on contiguous halves, which
    is faster. The order is orthogonium's; deel-lip's layer of this name is another function.

    Args:
        k_coef_lip: Factor of the output.
        **kwargs: Keras' arguments of a layer.

    Example:

    >>> import numpy as np
    >>> from deel_seg.layers import MaxMin
    >>> np.asarray(MaxMin()(np.array([[4.0, 1.0, 2.0, 3.0]]))).tolist()
    [[4.0, 3.0, 2.0, 1.0]]

    References:
        Anil et al., Sorting Out Lipschitz Function Approximation, ICML 2019.
    """

    def call(self, inputs: Tensor) -> Tensor:
        first, second = ops.split(inputs, 2, axis=-1)
        ordered = [ops.maximum(first, second), ops.minimum(first, second)]
        return self.scaled(ops.concatenate(ordered, axis=-1))
