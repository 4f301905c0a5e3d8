"""Orthogonal transposed 2-D convolution: up-sampling by the adjoint of an orthogonal one."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deel_seg.layers.orthogonal_convolution import OrthogonalConvolution
from deel_seg.parametrizations import AdaptiveOrthogonalKernel

Tensor = Any


@keras.saving.register_keras_serializable("deel_seg")
class OrthogonalConv2DTranspose(OrthogonalConvolution):
    """Adjoint of an `OrthogonalConv2D`, hence of the same norm, at most 1.

    With `kernel_size == strides` every input pixel becomes a patch of its own: the map is exactly
    an isometry where `filters * strides**2 >= channels`, with nothing lost at the border. Prefer
    that form in decoders.

    Args:
        filters: Channels out.
        kernel_size: Integer or pair, at least `strides`.
        strides: Integer or pair, the up-sampling factor.
        padding: `"same"` (crops to `strides` times the input) or `"valid"`.
        use_bias: Whether to add a bias. It does not change the bound.
        k_coef_lip: Factor of the output.
        **kwargs: Keras' arguments of a layer.

    Input shape:
        `(batch, height, width, channels)`; height and width may be unknown.

    Output shape:
        `(batch, new_height, new_width, filters)`, as of `keras.layers.Conv2DTranspose`.

    Raises:
        ValueError: If no orthogonal kernel has that shape, or the padding is not one of those.

    Example:

    >>> import keras
    >>> from deel_seg.layers import OrthogonalConv2DTranspose
    >>> layer = OrthogonalConv2DTranspose(4, 2, strides=2)
    >>> x = keras.random.normal((1, 5, 5, 8), seed=0)
    >>> tuple(layer(x).shape)
    (1, 10, 10, 4)
    >>> norm = lambda values: keras.ops.norm(keras.ops.ravel(values))
    >>> ratio = norm(layer(x)) / norm(x)
    >>> 0.999 < float(ratio) <= layer.lipschitz_constant
    True

    References:
        Boissin et al., An Adaptive Orthogonal Convolution Scheme for Efficient and Flexible CNN
        Architectures, ICML 2025, for the kernel; the norm of an adjoint is that of the map.
    """

    # The kernel is that of the adjoint, which takes what this layer yields.
    filter_axis = -2

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        strides: int | tuple[int, int] = 1,
        padding: str = "same",
        *,
        use_bias: bool = True,
        k_coef_lip: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters, kernel_size, strides, padding,
            paddings=("same", "valid"), use_bias=use_bias, k_coef_lip=k_coef_lip, **kwargs,
        )  # fmt: skip
        # What is wrong whatever the input (kernel below stride) is found already here.
        self.kernel_plan(2)

    def kernel_plan(self, in_channels: int) -> AdaptiveOrthogonalKernel:
        """The kernel of the forward convolution, from our output to our input."""
        return AdaptiveOrthogonalKernel(self.filters, in_channels, self.kernel_size, self.strides)

    def convolve(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        return ops.conv_transpose(
            inputs,
            kernel,
            strides=self.strides,
            padding=self.padding,
            data_format="channels_last",
        )

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        sizes = [
            None
            if size is None
            else size * stride + (max(kernel - stride, 0) if self.padding == "valid" else 0)
            for size, kernel, stride in zip(
                input_shape[1:3], self.kernel_size, self.strides, strict=True
            )
        ]
        return (input_shape[0], *sizes, self.filters)

    def vanilla_export(self) -> keras.layers.Conv2DTranspose:
        """A `keras.layers.Conv2DTranspose` with the same output, not bound to stay orthogonal."""
        layer = keras.layers.Conv2DTranspose(
            self.filters,
            self.kernel_size,
            self.strides,
            self.padding,
            use_bias=self.use_bias,
            name=self.name,
            dtype=self.dtype_policy,
        )
        layer.build((None, None, None, self._plan.out_channels))
        self.export_weights(layer)
        return layer
