"""The two block families that every architecture is built from: Lipschitz, and unconstrained.

An architecture is written once, against the methods of `Blocks`; `LipschitzBlocks` makes a
LipNet of it, `PlainBlocks` its unconstrained twin.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

import keras

from deel_seg._checks import check_choice
from deel_seg.layers import (
    BatchCentering,
    GroupSort2,
    ImageLevelPooling,
    MaxMin,
    OrthogonalConv2D,
    OrthogonalConv2DTranspose,
    RMSScaling,
    ScaledAdd,
    ScaledConcatenate,
)

Tensor = Any

ACTIVATIONS: dict[str, type[keras.layers.Layer]] = {"max_min": MaxMin, "group_sort": GroupSort2}


class Blocks(abc.ABC):
    """What an architecture is made of. All layers get names, so that files line up.

    Args:
        dtype: Dtype policy of every layer; Keras' global one when None.
    """

    def __init__(self, dtype: Any = None) -> None:
        self.dtype = dtype

    def block(self, x: Tensor, filters: int, name: str, **options: Any) -> Tensor:
        """Convolution, activation, normalisation."""
        return self.activate(self.convolve(x, filters, name=name, **options), name)

    def residual(
        self, x: Tensor, name: str, *, dilation: int = 1, branch_weight: float = 0.5
    ) -> Tensor:
        """Two blocks beside the identity, and nothing after the sum."""
        branch = self.block(x, x.shape[-1], f"{name}_1", dilation=dilation)
        branch = self.block(branch, x.shape[-1], f"{name}_2", dilation=dilation)
        return self.add([x, branch], branch_weight, f"{name}_add")

    @abc.abstractmethod
    def convolve(
        self,
        x: Tensor,
        filters: int,
        *,
        name: str,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        use_bias: bool = False,
    ) -> Tensor:
        """Convolution alone."""

    @abc.abstractmethod
    def activate(self, x: Tensor, name: str) -> Tensor:
        """Activation and normalisation, in the family's order."""

    @abc.abstractmethod
    def up_sample(self, x: Tensor, filters: int, name: str) -> Tensor:
        """Transposed convolution to twice the size, activation, normalisation."""

    @abc.abstractmethod
    def add(self, branches: Sequence[Tensor], branch_weight: float, name: str) -> Tensor:
        """Sum of the identity and a branch."""

    @abc.abstractmethod
    def concatenate(self, branches: Sequence[Tensor], name: str) -> Tensor:
        """Branches side by side."""

    @abc.abstractmethod
    def image_level(self, x: Tensor, name: str) -> Tensor:
        """The mean over the image, at every pixel."""


class LipschitzBlocks(Blocks):
    """1-Lipschitz: orthogonal convolutions, sorting activations, centering, scaled sums.

    Args:
        activation: `"max_min"` or `"group_sort"`.
        padding: `"same"` (zeros) or `"circular"`.
        rms_scaling: Whether an `RMSScaling` follows every convolution. The constant is then the
            product of their factors.
        dtype: Dtype policy of every layer.
    """

    def __init__(
        self,
        *,
        activation: str = "max_min",
        padding: str = "same",
        rms_scaling: bool = False,
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype)
        self.activation = ACTIVATIONS[check_choice("activation", activation, ACTIVATIONS)]
        self.padding = check_choice("padding", padding, ("same", "circular"))
        self.rms_scaling = rms_scaling

    def _rescale(self, x: Tensor, dim_in: int, dim_out: int, name: str) -> Tensor:
        if not self.rms_scaling:
            return x
        return RMSScaling(dim_in, dim_out, name=f"{name}_rms", dtype=self.dtype)(x)

    def convolve(
        self,
        x: Tensor,
        filters: int,
        *,
        name: str,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        use_bias: bool = False,
    ) -> Tensor:
        channels = x.shape[-1]
        x = OrthogonalConv2D(
            filters, kernel_size, stride, self.padding,
            dilation_rate=dilation, use_bias=use_bias, name=f"{name}_conv", dtype=self.dtype,
        )(x)  # fmt: skip
        return self._rescale(x, channels * stride**2, filters, name)

    def activate(self, x: Tensor, name: str) -> Tensor:
        x = self.activation(name=f"{name}_activation", dtype=self.dtype)(x)
        return BatchCentering(name=f"{name}_centering", dtype=self.dtype)(x)

    def up_sample(self, x: Tensor, filters: int, name: str) -> Tensor:
        channels = x.shape[-1]
        x = OrthogonalConv2DTranspose(
            filters, 2, 2, use_bias=False, name=f"{name}_conv", dtype=self.dtype
        )(x)
        return self.activate(self._rescale(x, channels, filters * 4, name), name)

    def add(self, branches: Sequence[Tensor], branch_weight: float, name: str) -> Tensor:
        weights = (1.0 - branch_weight, branch_weight)
        layer = ScaledAdd(learned=True, initial_weights=weights, name=name, dtype=self.dtype)
        return layer(branches)

    def concatenate(self, branches: Sequence[Tensor], name: str) -> Tensor:
        return ScaledConcatenate(name=name, dtype=self.dtype)(branches)

    def image_level(self, x: Tensor, name: str) -> Tensor:
        return ImageLevelPooling(name=name, dtype=self.dtype)(x)


class PlainBlocks(Blocks):
    """Unconstrained: Conv2D, BatchNormalization, ReLU, plain sums and concatenations."""

    def convolve(
        self,
        x: Tensor,
        filters: int,
        *,
        name: str,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        use_bias: bool = False,
    ) -> Tensor:
        return keras.layers.Conv2D(
            filters, kernel_size, stride, "same",
            dilation_rate=dilation, use_bias=use_bias, name=f"{name}_conv", dtype=self.dtype,
        )(x)  # fmt: skip

    def activate(self, x: Tensor, name: str) -> Tensor:
        x = keras.layers.BatchNormalization(
            momentum=0.9, name=f"{name}_normalization", dtype=self.dtype
        )(x)
        return keras.layers.ReLU(name=f"{name}_activation", dtype=self.dtype)(x)

    def up_sample(self, x: Tensor, filters: int, name: str) -> Tensor:
        x = keras.layers.Conv2DTranspose(
            filters, 2, 2, "same", use_bias=False, name=f"{name}_conv", dtype=self.dtype
        )(x)
        return self.activate(x, name)

    def add(self, branches: Sequence[Tensor], branch_weight: float, name: str) -> Tensor:
        return keras.layers.Add(name=name, dtype=self.dtype)(branches)

    def concatenate(self, branches: Sequence[Tensor], name: str) -> Tensor:
        return keras.layers.Concatenate(name=name, dtype=self.dtype)(branches)

    def image_level(self, x: Tensor, name: str) -> Tensor:
        # The projection on constant images is what an unconstrained network uses as well.
        return ImageLevelPooling(name=name, dtype=self.dtype)(x)
