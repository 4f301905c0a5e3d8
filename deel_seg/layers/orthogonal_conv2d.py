"""Orthogonal 2-D convolution."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deel_seg._backend import check_multiple
from deel_seg._checks import check_integer, check_pair, received
from deel_seg.layers.lipschitz_layer import nan_unless_multiple
from deel_seg.layers.orthogonal_convolution import OrthogonalConvolution
from deel_seg.norms import Kernel
from deel_seg.parametrizations import AdaptiveOrthogonalKernel

Tensor = Any

PADDINGS = ("same", "valid", "circular")


@keras.saving.register_keras_serializable("deel_seg")
class OrthogonalConv2D(OrthogonalConvolution):
    """Convolution whose kernel is orthogonal by construction (AOC), 1-Lipschitz in l2.

    With circular padding the layer preserves norms where it does not reduce dimensions (all
    singular values are 1); with zero padding (`"same"`, `"valid"`) it is that map cut off at the
    border, whose norm is still at most 1, for every image size.

    Args:
        filters: Channels out.
        kernel_size: Integer or pair, at least `strides`.
        strides: Integer or pair. With circular padding it must divide the image.
        padding: `"same"` or `"valid"` (zeros), or `"circular"`. Reflected and replicated borders
            have norms up to 2.7 and are refused.
        dilation_rate: Integer or pair; 1 where the strides are not.
        groups: Channel groups.
        use_bias: Whether to add a bias. It does not change the bound.
        k_coef_lip: Factor of the output.
        **kwargs: Keras' arguments of a layer.

    Input shape:
        `(batch, height, width, channels)`; height and width may be unknown.

    Output shape:
        `(batch, new_height, new_width, filters)`, as of `keras.layers.Conv2D`; circular padding
        gives the sizes of `"same"`.

    Raises:
        ValueError: If no orthogonal kernel has that shape (kernel smaller than the stride, one
            channel), if strides and dilation are both above 1, if the padding is not one of
            those, or if a circular layer's strides do not divide the image.

    Example:

    >>> import keras
    >>> from deel_seg.layers import OrthogonalConv2D
    >>> layer = OrthogonalConv2D(8, 3, padding="circular")
    >>> x = keras.random.normal((1, 16, 16, 8), seed=0)
    >>> norm = lambda values: keras.ops.norm(keras.ops.ravel(values))
    >>> ratio = norm(layer(x)) / norm(x)
    >>> 0.999 < float(ratio) <= layer.lipschitz_constant
    True

    References:
        Boissin et al., An Adaptive Orthogonal Convolution Scheme for Efficient and Flexible CNN
        Architectures, ICML 2025.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        strides: int | tuple[int, int] = 1,
        padding: str = "same",
        *,
        dilation_rate: int | tuple[int, int] = 1,
        groups: int = 1,
        use_bias: bool = True,
        k_coef_lip: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters, kernel_size, strides, padding,
            paddings=PADDINGS, use_bias=use_bias, k_coef_lip=k_coef_lip, **kwargs,
        )  # fmt: skip
        self.dilation_rate = check_pair("dilation_rate", dilation_rate)
        self.groups = check_integer("groups", groups, minimum=1)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                "`strides` and `dilation_rate` cannot both be above 1. "
                + received(strides=self.strides, dilation_rate=self.dilation_rate)
            )
        # What is wrong whatever the input (kernel below stride, groups) is found already here.
        self.kernel_plan(2 * self.groups)

    def kernel_plan(self, in_channels: int) -> AdaptiveOrthogonalKernel:
        return AdaptiveOrthogonalKernel(
            in_channels, self.filters, self.kernel_size, self.strides, self.groups
        )

    def used_kernel(self) -> Kernel:
        return (
            super()
            .used_kernel()
            ._replace(
                dilation=self.dilation_rate, groups=self.groups, circular=self._circular_size()
            )
        )

    def _circular_size(self) -> tuple[int, int] | None:
        """Height and width of all images that are wrapped around, where they are known."""
        if self.padding != "circular":
            return None
        sizes = {tuple(node.input_tensors[0].shape[1:3]) for node in self._inbound_nodes}
        return sizes.pop() if len(sizes) == 1 and None not in next(iter(sizes)) else None

    def convolve(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        padding = self.padding
        if padding == "circular":
            inputs, padding = self._wrap(inputs), "valid"
        return ops.conv(
            inputs,
            kernel,
            strides=self.strides,
            padding=padding,
            data_format="channels_last",
            dilation_rate=self.dilation_rate,
        )

    def _wrap(self, inputs: Tensor) -> Tensor:
        """Continues the image periodically, as far as the kernel reaches beyond it."""
        for axis in (1, 2):
            kernel, stride = self.kernel_size[axis - 1], self.strides[axis - 1]
            size = ops.shape(inputs)[axis]
            check_multiple(
                size,
                stride,
                f"`padding='circular'` of layer {self.name!r} needs an image that its strides "
                f"{self.strides} divide: elsewhere windows overlap and the norm reaches 2.",
            )
            inputs = nan_unless_multiple(inputs, size, stride)
            total = (kernel - 1) * self.dilation_rate[axis - 1] + 1 - stride
            if total:
                # Indices modulo the size: a dilated kernel may go round more than once.
                indices = ops.mod(ops.arange(size + total) - total // 2, size)
                inputs = ops.take(inputs, indices, axis=axis)
        return inputs

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        sizes = [
            None
            if size is None
            else -(-size // stride)
            if self.padding != "valid"
            else (size - (kernel - 1) * dilation - 1) // stride + 1
            for size, kernel, stride, dilation in zip(
                input_shape[1:3], self.kernel_size, self.strides, self.dilation_rate, strict=True
            )
        ]
        if any(size is not None and size < 1 for size in sizes):
            raise ValueError(
                f"The image is smaller than the kernel of layer {self.name!r}, "
                f"{self.kernel_size} with dilation {self.dilation_rate}. "
                + received(input_shape=tuple(input_shape))
            )
        return (input_shape[0], *sizes, self.filters)

    def vanilla_export(self) -> keras.layers.Conv2D:
        """A `keras.layers.Conv2D` with the same output, not bound to stay orthogonal.

        Raises:
            ValueError: With circular padding, which no Keras convolution has.
        """
        if self.padding == "circular":
            raise ValueError(
                f"Layer {self.name!r} cannot become a plain Conv2D. " + received(padding="circular")
            )
        layer = keras.layers.Conv2D(
            self.filters,
            self.kernel_size,
            self.strides,
            self.padding,
            dilation_rate=self.dilation_rate,
            groups=self.groups,
            use_bias=self.use_bias,
            name=self.name,
            dtype=self.dtype_policy,
        )
        layer.build((None, None, None, self._plan.in_channels))
        self.export_weights(layer)
        return layer

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
        }
