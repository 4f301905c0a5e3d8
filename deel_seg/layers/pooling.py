"""Poolings of bound 1, over disjoint windows and over the whole image."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from deel_seg._checks import check_pair
from deel_seg.layers.lipschitz_layer import LipschitzLayer

Tensor = Any


def _at_least_float32(inputs: Tensor) -> Tensor:
    """Half precision is too coarse for a long sum; float64 stays."""
    dtype = keras.backend.standardize_dtype(inputs.dtype)
    return ops.cast(inputs, keras.backend.result_type(dtype, "float32"))


class WindowPooling(LipschitzLayer):
    """Pools disjoint windows; what is left at the bottom and right border is dropped.

    Args:
        pool_size: Integer or pair.
        k_coef_lip: Factor of the output.
        **kwargs: Keras' arguments of a layer.
    """

    def __init__(self, pool_size: int | tuple[int, int] = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pool_size = check_pair("pool_size", pool_size)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    @property
    def _pixels(self) -> int:
        return self.pool_size[0] * self.pool_size[1]

    def _window_mean(self, inputs: Tensor) -> Tensor:
        return ops.average_pool(
            inputs, self.pool_size, self.pool_size, "valid", data_format="channels_last"
        )

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        sizes = [
            None if size is None else size // pool
            for size, pool in zip(input_shape[1:3], self.pool_size, strict=True)
        ]
        return (input_shape[0], *sizes, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pool_size": self.pool_size}


@keras.saving.register_keras_serializable("deel_seg")
class ScaledAveragePooling2D(WindowPooling):
    """Sum over a window of n pixels divided by `sqrt(n)`: a unit vector applied to each window.

    Args:
        pool_size: Integer or pair; also the strides.
        k_coef_lip: Factor of the output.
        **kwargs: Keras' arguments of a layer.

    Example:

    >>> import numpy as np
    >>> from deel_seg.layers import ScaledAveragePooling2D
    >>> float(ScaledAveragePooling2D(2)(np.ones((1, 2, 2, 1)))[0, 0, 0, 0])
    2.0
    """

    def call(self, inputs: Tensor) -> Tensor:
        return self.scaled(self._window_mean(inputs), math.sqrt(self._pixels))


@keras.saving.register_keras_serializable("deel_seg")
class ScaledL2NormPooling2D(WindowPooling):
    """l2 norm of each window and channel: by the triangle inequality of bound 1.

    Args:
        pool_size: Integer or pair; also the strides.
        k_coef_lip: Factor of the output.
        **kwargs: Keras' arguments of a layer.

    Example:

    >>> import numpy as np
    >>> from deel_seg.layers import ScaledL2NormPooling2D
    >>> x = np.array([3.0, 0.0, 4.0, 0.0]).reshape(1, 2, 2, 1)
    >>> round(float(ScaledL2NormPooling2D(2)(x)[0, 0, 0, 0]), 5)
    5.0
    """

    def call(self, inputs: Tensor) -> Tensor:
        squares = self._window_mean(ops.square(_at_least_float32(inputs))) * self._pixels
        # max(norm, tiny) has the bound of the norm, and a gradient at zero.
        norms = ops.sqrt(ops.maximum(squares, 1e-12))
        return self.scaled(ops.cast(norms, self.compute_dtype))


@keras.saving.register_keras_serializable("deel_seg")
class ImageLevelPooling(LipschitzLayer):
    """Replaces every pixel by the mean over the image: DeepLab's image-level features.

    The orthogonal projection on constant images, of norm 1 at every size; pooling and up-sampling
    in one, which apart would have the norms `1 / sqrt(H W)` and `sqrt(H W)`.

    Args:
        k_coef_lip: Factor of the output.
        **kwargs: Keras' arguments of a layer.

    Example:

    >>> import numpy as np
    >>> from deel_seg.layers import ImageLevelPooling
    >>> x = np.array([1.0, 3.0]).reshape(1, 1, 2, 1)
    >>> np.asarray(ImageLevelPooling()(x)).ravel().tolist()
    [2.0, 2.0]
    """

    def call(self, inputs: Tensor) -> Tensor:
        mean = ops.mean(_at_least_float32(inputs), axis=(1, 2), keepdims=True)
        mean = ops.broadcast_to(ops.cast(mean, self.compute_dtype), ops.shape(inputs))
        return self.scaled(mean)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape
