"""Refuses images that a network's strides do not divide."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deel_seg._backend import check_multiple
from deel_seg._checks import check_integer, received
from deel_seg.layers.lipschitz_layer import LipschitzLayer, nan_unless_multiple

Tensor = Any


@keras.saving.register_keras_serializable("deel_seg")
class SizeMultiple(LipschitzLayer):
    """Identity that refuses images whose height or width is no multiple of `multiple`.

    Without it, a decoder would quietly return a map of another size than the image.

    Args:
        multiple: The product of a network's strides.
        **kwargs: Keras' arguments of a layer.

    Raises:
        ValueError: On another size; the message says which size to pad to.

    Example:

    >>> import numpy as np
    >>> from deel_seg.layers import SizeMultiple
    >>> tuple(SizeMultiple(8)(np.zeros((1, 16, 24, 3))).shape)
    (1, 16, 24, 3)
    """

    def __init__(self, multiple: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.multiple = check_integer("multiple", multiple, minimum=1)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape: Any) -> None:
        self._check(input_shape)
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        self._check(inputs.shape)
        for size in ops.shape(inputs)[1:3]:
            check_multiple(
                size,
                self.multiple,
                f"Height and width must be multiples of {self.multiple}: pad images and labels "
                "(with the ignored class) up to the next one.",
            )
            inputs = nan_unless_multiple(inputs, size, self.multiple)
        return self.scaled(inputs)

    def _check(self, shape: Any) -> None:
        sizes = tuple(shape[1:3])
        if any(size is not None and size % self.multiple for size in sizes):
            padded = tuple(
                None if size is None else -(-size // self.multiple) * self.multiple
                for size in sizes
            )
            raise ValueError(
                f"Height and width must be multiples of {self.multiple}: pad images and labels "
                f"(with the ignored class) to {padded}. " + received(size=sizes)
            )

    def compute_output_shape(self, input_shape: Any) -> Any:
        self._check(input_shape)
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "multiple": self.multiple}
