"""Activations that sort pairs of channels: permutations at every point, so they preserve norms."""

from __future__ import annotations

import abc
from typing import Any

import keras
from keras import ops

from deel_seg._checks import received
from deel_seg._derivatives import with_gradient
from deel_seg.layers.lipschitz_layer import LipschitzLayer

Tensor = Any


class PairSorting(LipschitzLayer):
    """Sorts pairs of channels; a subclass says which pair up, and in which order they come.

    The gradient of a pair goes back to where its values came from, in their places where the two
    are equal: a permutation as the activation itself. Written out, for the gradients of a maximum
    and a minimum take several more passes over memory, and keep the inputs until then.
    """

    larger_first: bool

    def build(self, input_shape: Any) -> None:
        if input_shape[-1] is None or input_shape[-1] % 2:
            raise ValueError(
                f"Layer {self.name!r} sorts channels in pairs and needs an even number of them. "
                + received(channels=input_shape[-1])
            )
        self.built = True

    @abc.abstractmethod
    def split(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The first and the second channel of every pair."""

    @abc.abstractmethod
    def join(self, first: Tensor, second: Tensor) -> Tensor:
        """What `split` takes apart."""

    def call(self, inputs: Tensor) -> Tensor:
        @with_gradient
        def sort(inputs: Tensor) -> tuple[Tensor, Any]:
            first, second = self.split(inputs)
            # On processors XLA returns the first of two where one is NaN: in this order it is not
            # lost, and nothing is certified of it.
            ordered = [ops.maximum(first, second), ops.minimum(second, first)]
            if self.larger_first:
                in_place = first >= second
            else:
                in_place = first <= second
                ordered.reverse()

            def gradient(*upstream: Tensor) -> Tensor:
                first, second = self.split(*upstream)
                return self.join(
                    ops.where(in_place, first, second), ops.where(in_place, second, first)
                )

            return self.join(*ordered), gradient

        return self.scaled(sort(inputs))

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

    larger_first = False

    def split(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        pairs = ops.reshape(inputs, (*ops.shape(inputs)[:-1], inputs.shape[-1] // 2, 2))
        return pairs[..., 0], pairs[..., 1]

    def join(self, first: Tensor, second: Tensor) -> Tensor:
        *sizes, half = ops.shape(first)
        return ops.reshape(ops.stack([first, second], axis=-1), (*sizes, 2 * half))


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

    larger_first = True

    def split(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        first, second = ops.split(inputs, 2, axis=-1)
        return first, second

    def join(self, first: Tensor, second: Tensor) -> Tensor:
        return ops.concatenate([first, second], axis=-1)
