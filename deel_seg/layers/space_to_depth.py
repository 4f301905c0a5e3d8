"""Space to depth and back: permutations of the values, so isometries."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deel_seg._backend import check_multiple
from deel_seg._checks import check_integer, received
from deel_seg.layers.lipschitz_layer import LipschitzLayer

Tensor = Any


class BlockPermutation(LipschitzLayer):
    """Holds what the two directions share: the block size."""

    def __init__(self, block_size: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.block_size = check_integer("block_size", block_size, minimum=1)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "block_size": self.block_size}


@keras.saving.register_keras_serializable("deel_seg")
class SpaceToDepth(BlockPermutation):
    """Moves each `b x b` block of pixels into channels, ordered (row, column, channel).

    Args:
        block_size: b; it must divide height and width.
        k_coef_lip: Factor of the output.
        **kwargs: Keras' arguments of a layer.

    Output shape:
        `(batch, height / b, width / b, channels * b * b)`.

    Example:

    >>> import numpy as np
    >>> from deel_seg.layers import SpaceToDepth
    >>> np.asarray(SpaceToDepth(2)(np.arange(4.0).reshape(1, 2, 2, 1))).tolist()
    [[[[0.0, 1.0, 2.0, 3.0]]]]
    """

    def call(self, inputs: Tensor) -> Tensor:
        block, channels = self.block_size, inputs.shape[-1]
        batch, height, width, _ = ops.shape(inputs)
        for size in (height, width):
            check_multiple(size, block, f"`block_size` of layer {self.name!r} must divide it.")
        blocks = ops.reshape(
            inputs, (batch, height // block, block, width // block, block, channels)
        )
        blocks = ops.transpose(blocks, (0, 1, 3, 2, 4, 5))
        shape = (batch, height // block, width // block, channels * block * block)
        return self.scaled(ops.reshape(blocks, shape))

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        sizes = [None if size is None else size // self.block_size for size in input_shape[1:3]]
        return (input_shape[0], *sizes, input_shape[-1] * self.block_size**2)


@keras.saving.register_keras_serializable("deel_seg")
class DepthToSpace(BlockPermutation):
    """Moves channels into `b x b` blocks of pixels: the inverse of `SpaceToDepth`.

    Args:
        block_size: b; its square must divide the channels.
        k_coef_lip: Factor of the output.
        **kwargs: Keras' arguments of a layer.

    Output shape:
        `(batch, height * b, width * b, channels / (b * b))`.

    Example:

    >>> import numpy as np
    >>> from deel_seg.layers import DepthToSpace
    >>> tuple(DepthToSpace(2)(np.zeros((1, 3, 3, 8))).shape)
    (1, 6, 6, 2)
    """

    def build(self, input_shape: Any) -> None:
        if input_shape[-1] % self.block_size**2:
            raise ValueError(
                f"The square of `block_size` of layer {self.name!r} must divide the channels. "
                + received(block_size=self.block_size, channels=input_shape[-1])
            )
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        block = self.block_size
        channels = inputs.shape[-1] // block**2
        batch, height, width, _ = ops.shape(inputs)
        pixels = ops.reshape(inputs, (batch, height, width, block, block, channels))
        pixels = ops.transpose(pixels, (0, 1, 3, 2, 4, 5))
        return self.scaled(ops.reshape(pixels, (batch, height * block, width * block, channels)))

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        sizes = [None if size is None else size * self.block_size for size in input_shape[1:3]]
        return (input_shape[0], *sizes, input_shape[-1] // self.block_size**2)
