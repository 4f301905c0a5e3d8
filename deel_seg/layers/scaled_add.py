"""Sum of branches that does not raise the Lipschitz constant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from deel_seg._checks import received
from deel_seg.layers.lipschitz_layer import LipschitzLayer, significant_bits

Tensor = Any


@keras.saving.register_keras_serializable("deel_seg")
class ScaledAdd(LipschitzLayer):
    """Convex combination of N branches: their mean, or one with learned weights.

    `sum_i w_i x_i` with `w_i >= 0` and `sum_i w_i = 1`. If branch i is L_i-Lipschitz the mean is
    `mean(L_i)`-Lipschitz. Learned weights are a softmax, one scalar a branch; as they move in
    training, the bound stated for them is the one that holds wherever they are, `max(L_i)`.

    Args:
        learned: Whether the weights are trained.
        initial_weights: Weights at the start, positive, one a branch, normalised to sum to 1.
            Equal ones when None. Only with `learned`.
        k_coef_lip: Factor of the output.
        **kwargs: Keras' arguments of a layer.

    Input shape:
        A list of N tensors of one shape.

    Raises:
        ValueError: If the inputs are not such a list, or the weights do not fit it.

    Example:

    >>> import numpy as np
    >>> from deel_seg.layers import ScaledAdd
    >>> float(ScaledAdd()([np.array([[1.0]]), np.array([[3.0]])])[0, 0])
    2.0
    >>> ScaledAdd().lipschitz_bound(1.0, 3.0)
    2.0

    References:
        The paper's appendix C (division by N).
    """

    def __init__(
        self,
        *,
        learned: bool = False,
        initial_weights: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.learned = learned
        self.initial_weights = None if initial_weights is None else list(initial_weights)
        if self.initial_weights is not None:
            if not learned:
                raise ValueError(
                    "`initial_weights` needs `learned=True`. "
                    + received(initial_weights=initial_weights)
                )
            if not all(weight > 0 for weight in self.initial_weights):
                raise ValueError(
                    "`initial_weights` must be positive. "
                    + received(initial_weights=initial_weights)
                )

    def build(self, input_shape: Any) -> None:
        if not isinstance(input_shape[0], (tuple, list)) or len(set(map(tuple, input_shape))) != 1:
            raise ValueError(
                f"Layer {self.name!r} takes a list of tensors of one shape. "
                + received(input_shape=input_shape)
            )
        if self.learned:
            start = self.initial_weights or [1.0] * len(input_shape)
            if len(start) != len(input_shape):
                raise ValueError(
                    f"`initial_weights` of layer {self.name!r} must have one value for each of its "
                    f"{len(input_shape)} inputs. " + received(initial_weights=start)
                )
            self.weight_logits = self.add_weight(
                name="weight_logits",
                shape=(len(start),),
                initializer=lambda shape, dtype: ops.convert_to_tensor(np.log(start), dtype),
                dtype="float32",
                autocast=False,
            )
        self.built = True

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        if self.learned:
            weights = self.branch_weights()
            total = sum(weights[index] * branch for index, branch in enumerate(inputs))
            return self.scaled(total)
        return self.scaled(sum(inputs[1:], start=inputs[0]), 1.0 / len(inputs))

    def branch_weights(self) -> Tensor:
        """The learned weights, `(N,)`, as they multiply the branches."""
        weights = ops.softmax(self.weight_logits)
        # Rounding leaves the sum of a softmax up to (N + 1) 2^-24 above 1, and in half precision
        # each of them up to half a unit of its last place: taken off.
        bits = significant_bits(self.compute_dtype)
        taken_off = weights.shape[0] * 2.0**-22 + (2.0 ** (1 - bits) if bits < 24 else 0.0)
        return ops.cast(weights * (1.0 - taken_off), self.compute_dtype)

    def lipschitz_bound(self, *input_bounds: float) -> float:
        if self.learned:
            return self.k_coef_lip * max(input_bounds)
        return self.k_coef_lip * sum(input_bounds) / len(input_bounds)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "learned": self.learned,
            "initial_weights": self.initial_weights,
        }
