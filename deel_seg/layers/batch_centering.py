"""Batch normalisation without the division."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deel_seg._checks import check_real
from deel_seg._derivatives import with_gradient
from deel_seg._replicas import replica_sum
from deel_seg.layers.lipschitz_layer import Condensable, LipschitzLayer

Tensor = Any


@keras.saving.register_keras_serializable("deel_seg")
class BatchCentering(LipschitzLayer, Condensable):
    """Subtracts each channel's mean and adds a learned bias; nothing is divided.

    In training the mean is that of the batch, over the replicas of a distribution strategy
    together; at inference it is the moving mean, so the layer is a translation: 1-Lipschitz, and
    an isometry.

    Args:
        momentum: Weight of the past in the moving mean, in `[0, 1)`. Before `1 / (1 - momentum)`
            batches were seen, the moving mean is the plain mean of those that were.
        use_bias: Whether to learn a bias.
        k_coef_lip: Factor of the output.
        **kwargs: Keras' arguments of a layer.

    Input shape:
        `(batch, ..., channels)`.

    Example:

    >>> import keras
    >>> from deel_seg.layers import BatchCentering
    >>> x = keras.ops.convert_to_tensor([[1.0], [3.0]])
    >>> keras.ops.convert_to_numpy(BatchCentering()(x, training=True))[:, 0].tolist()
    [-1.0, 1.0]

    References:
        The paper's appendix C.
    """

    def __init__(self, *, momentum: float = 0.95, use_bias: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.momentum = check_real(
            "momentum", momentum, minimum=0.0, maximum=1.0, exclusive_maximum=True
        )
        self.use_bias = use_bias

    def build(self, input_shape: Any) -> None:
        channels = (input_shape[-1],)
        self.moving_mean = self.add_weight(
            name="moving_mean", shape=channels, initializer="zeros", trainable=False,
            dtype="float32", autocast=False,
        )  # fmt: skip
        self.batches = self.add_weight(
            name="batches", shape=(), initializer="zeros", trainable=False,
            dtype="float32", autocast=False,
        )  # fmt: skip
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=channels, initializer="zeros", dtype="float32", autocast=False
            )
        self.built = True

    def call(self, inputs: Tensor, training: bool | None = False) -> Tensor:
        if not training:
            return self.scaled(inputs + ops.cast(self.inference_shift(), inputs.dtype))
        count = self._pixels(inputs)
        mean = ops.stop_gradient(replica_sum(_channel_sums(inputs)) / count)
        self._remember(mean)
        return self.scaled(_centered(inputs, self._shift(mean), count))

    def inference_shift(self) -> Tensor:
        """What inference adds to each channel, before the factor."""
        return self._shift(ops.convert_to_tensor(self.moving_mean))

    def _shift(self, mean: Tensor) -> Tensor:
        return -mean if self.bias is None else self.bias - mean

    def _remember(self, mean: Tensor) -> None:
        # float32 counts to 2^24 and then stands still, long after the count has lost its say.
        self.batches.assign(self.batches + 1.0)
        rate = ops.maximum(1.0 - self.momentum, 1.0 / self.batches)
        self.moving_mean.assign(self.moving_mean + rate * (mean - self.moving_mean))

    def _pixels(self, inputs: Tensor) -> Tensor:
        # Replicas may hold batches of different sizes, one of them none at all: 0/0 as its mean
        # would be everyone's.
        return replica_sum(ops.cast(ops.prod(ops.stack(ops.shape(inputs)[:-1])), "float32"))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def condense(self) -> None:
        """Nothing to do: what inference uses is what is stored."""

    def vanilla_export(self) -> keras.layers.Rescaling:
        """A `keras.layers.Rescaling` with the same output at inference."""
        shift = -self.moving_mean if self.bias is None else self.bias - self.moving_mean
        offset = ops.convert_to_numpy(self.scaled(shift)).tolist()
        return keras.layers.Rescaling(
            self.k_coef_lip, offset, name=self.name, dtype=self.dtype_policy
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "use_bias": self.use_bias}


def _channel_sums(values: Tensor) -> Tensor:
    return ops.sum(ops.cast(values, "float32"), axis=tuple(range(len(values.shape) - 1)))


def _centered(inputs: Tensor, shift: Tensor, count: Tensor) -> Tensor:
    """`inputs + shift`, with the gradient of the mean of `inputs` that was subtracted in `shift`.

    Written out, for that of the mean takes a tensor of the size of `inputs`, and a second sum over
    what the bias sums already.
    """

    @with_gradient
    def shifted(inputs: Tensor, shift: Tensor, count: Tensor) -> tuple[Tensor, Any]:
        def gradient(*upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            (direction,) = upstream
            sums = _channel_sums(direction)
            mean = replica_sum(sums) / count
            return direction - ops.cast(mean, direction.dtype), sums, ops.zeros_like(count)

        return inputs + ops.cast(shift, inputs.dtype), gradient

    return shifted(inputs, shift, count)
