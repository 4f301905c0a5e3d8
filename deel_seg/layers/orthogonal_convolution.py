"""What the orthogonal convolution and its adjoint have in common beside the kernel."""

from __future__ import annotations

import abc
from collections.abc import Collection
from typing import Any

import keras
from keras import ops

from deel_seg._checks import check_choice, check_integer, check_pair
from deel_seg.layers.orthogonal_kernel import OrthogonalKernelLayer
from deel_seg.norms import Kernel
from deel_seg.parametrizations import AdaptiveOrthogonalKernel

Tensor = Any


class OrthogonalConvolution(OrthogonalKernelLayer):
    """Arguments, bias and kernel of a convolution or transposed convolution.

    Args:
        filters: Channels out.
        kernel_size: Integer or pair, at least `strides`.
        strides: Integer or pair.
        padding: One of `paddings`.
        paddings: The paddings that keep the bound.
        use_bias: Whether to add a bias.
        **kwargs: Keras' arguments of a layer, and `k_coef_lip`.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        strides: int | tuple[int, int],
        padding: str,
        *,
        paddings: Collection[str],
        use_bias: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = check_integer("filters", filters, minimum=1)
        self.kernel_size = check_pair("kernel_size", kernel_size)
        self.strides = check_pair("strides", strides)
        self.padding = check_choice("padding", padding, paddings)
        self.use_bias = use_bias
        self.input_spec = keras.layers.InputSpec(ndim=4)

    filter_axis = -1
    """Axis of the filters in the kernel that `convolve` takes."""

    @abc.abstractmethod
    def convolve(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        """What a kernel makes of the inputs, without bias and factor."""

    @abc.abstractmethod
    def kernel_plan(self, in_channels: int) -> AdaptiveOrthogonalKernel:
        """The kernel for that many channels in; raises where there is none."""

    def build(self, input_shape: Any) -> None:
        self.build_factors(self.kernel_plan(input_shape[-1]))
        self.bias = None
        if self.use_bias:
            # Others read it too, in a network whose policy need not be that of its layers.
            self.bias = self.add_weight(
                name="bias", shape=(self.filters,), initializer="zeros", autocast=False
            )
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={-1: input_shape[-1]})
        self.built = True

    def call(self, inputs: Tensor, training: bool | None = False) -> Tensor:
        outputs = self.convolve(inputs, self.cast_kernel(training))
        if self.bias is not None:
            outputs = outputs + ops.cast(self.bias, outputs.dtype)
        return self.scaled(outputs)

    def cast_kernel(self, training: bool | None) -> Tensor:
        return ops.cast(self.effective_kernel(training), self.compute_dtype)

    def certified_bound(self, *input_bounds: float) -> float:
        return self.used_kernel().norm_above() * super().certified_bound(*input_bounds)

    def used_kernel(self) -> Kernel:
        """The kernel with the values that inference uses: in half precision they are rounded."""
        return Kernel(ops.convert_to_numpy(self.cast_kernel(training=False)), self.strides)

    def divide_by_bound(self) -> None:
        """Divides the condensed kernel by the bound of its norm, where that is above 1.

        So the bound by design holds of what inference computes, rounding included. It takes as long
        as proving the norm of a kernel does.
        """
        excess = 0.0
        while (bound := self.used_kernel().norm_above()) > 1.0:
            # The quotients are rounded, more so in half precision: each round aims lower.
            self.kernel.assign(self.kernel * ((1.0 - excess) / bound))
            excess = max(2.0 * excess, 2.0**-23)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "use_bias": self.use_bias,
        }
