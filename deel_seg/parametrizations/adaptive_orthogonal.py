"""Which factors an orthogonal kernel of a given shape is made of, and how they are put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras import ops

from deel_seg._backend import compiled_as_one
from deel_seg._checks import received
from deel_seg.parametrizations.block_convolution import (
    block_convolution,
    factor_counts,
    strided_composition,
)
from deel_seg.parametrizations.orthonormal import bounded

Tensor = Any

ROUNDING_ALLOWANCE = 2.0**-16
"""Relative shrinkage of a finished kernel.

Composing a kernel in float32 leaves singular values up to 2e-6 above 1 (kernels of 1 to 7 taps, up
to 512 channels). Eight times that is taken off, so that the layer's bound is 1 and not 1 and a bit.
"""


@dataclass(frozen=True)
class AdaptiveOrthogonalKernel:
    """Shape and composition of an orthogonal kernel (AOC): block convolution, then patch matrix.

    A kernel of size `k` and stride `s` is a stride-1 block convolution of size `k - s + 1`
    composed with an orthogonal matrix on `s x s` patches. Only the matrix is there when `k == s`
    and only the block convolution when `s == 1 < k`.

    Args:
        in_channels: Features in, all groups together.
        out_channels: Features out, all groups together.
        kernel_size: Height and width.
        strides: Height and width.
        groups: Channel groups, each with a kernel of its own.

    Raises:
        ValueError: If no orthogonal kernel of that shape exists, or the groups do not divide
            the channels.

    Example:

    >>> from deel_seg.parametrizations import AdaptiveOrthogonalKernel
    >>> aoc = AdaptiveOrthogonalKernel(32, 64, kernel_size=(3, 3), strides=(2, 2))
    >>> aoc.projectors_shape, aoc.matrix_shape
    ((1, 4, 32, 16), (1, 128, 64))
    """

    in_channels: int
    out_channels: int
    kernel_size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        if any(k < s for k, s in zip(self.kernel_size, self.strides, strict=True)):
            raise ValueError(
                "`kernel_size` must be at least `strides`: a smaller kernel skips pixels, and no "
                "such convolution is orthogonal. "
                + received(kernel_size=self.kernel_size, strides=self.strides)
            )
        for name in ("in_channels", "out_channels"):
            if getattr(self, name) % self.groups:
                raise ValueError(
                    f"`groups` must divide the {name.replace('_', ' ')}. "
                    + received(groups=self.groups, **{name: getattr(self, name)})
                )
        if self.projectors_shape is not None and self.projectors_shape[-1] == 0:
            raise ValueError(
                "A kernel larger than its stride needs two channels or more per group, in or "
                "out; with one it could only shift the image. "
                + received(
                    in_channels=self.in_channels,
                    out_channels=self.out_channels,
                    groups=self.groups,
                )
            )

    @property
    def _inputs(self) -> int:
        return self.in_channels // self.groups

    @property
    def _outputs(self) -> int:
        return self.out_channels // self.groups

    @property
    def _patch(self) -> int:
        return self.strides[0] * self.strides[1]

    @property
    def _has_projectors(self) -> bool:
        return self.kernel_size != self.strides

    @property
    def _has_matrix(self) -> bool:
        return self._patch > 1 or not self._has_projectors

    @property
    def _middle(self) -> int:
        """Channels between the two factors: as many as keeps both of them isometries."""
        if not self._has_matrix:
            return self._outputs
        return max(self._inputs, self._outputs // self._patch)

    @property
    def _inner_size(self) -> tuple[int, int]:
        (kh, kw), (sh, sw) = self.kernel_size, self.strides
        return kh - sh + 1, kw - sw + 1

    @property
    def projectors_shape(self) -> tuple[int, int, int, int] | None:
        """Shape of the projector bases, or None where the kernel has none."""
        if not self._has_projectors:
            return None
        channels = max(self._inputs, self._middle)
        return self.groups, factor_counts(self._inner_size), channels, channels // 2

    @property
    def matrix_shape(self) -> tuple[int, int, int] | None:
        """Shape of the patch matrix, its long side first, or None where the kernel has none."""
        if not self._has_matrix:
            return None
        middle = self._middle if self._has_projectors else self._inputs
        sides = self._patch * middle, self._outputs
        return self.groups, max(sides), min(sides)

    def __call__(self, projectors: Tensor | None, matrix: Tensor | None) -> Tensor:
        """Kernel `(height, width, in_channels / groups, out_channels)` of norm at most 1.

        Args:
            projectors: Tensor of shape `projectors_shape`, or None.
            matrix: Tensor of shape `matrix_shape`, or None.
        """
        (kernel,) = self.together([(projectors, matrix)])
        return kernel

    @compiled_as_one("self")
    def together(self, factors: Sequence[tuple[Tensor | None, Tensor | None]]) -> list[Tensor]:
        """Kernels of several layers of this shape, in the products of one.

        Groups of channels are an axis of all products; here the layers stand side by side on it.
        A device that waits longer for a small product to start than to end takes no longer for
        many than for one.

        Args:
            factors: The arguments of a call for each layer.
        """
        projectors, matrices = (
            None if parts[0] is None else ops.concatenate(parts, axis=0)
            for parts in zip(*factors, strict=True)
        )
        kernels = ops.split(self._composed(projectors, matrices), len(factors), axis=0)
        return [self._joined(kernel) for kernel in kernels]

    def _joined(self, kernel: Tensor) -> Tensor:
        """One kernel of its groups, with the allowance for rounding."""
        kernel = ops.transpose(kernel, (1, 2, 3, 0, 4))
        kernel = ops.reshape(kernel, (*self.kernel_size, self._inputs, self.out_channels))
        return kernel * (1.0 - ROUNDING_ALLOWANCE)

    def _composed(self, projectors: Tensor | None, matrices: Tensor | None) -> Tensor:
        """`(groups, height, width, inputs, outputs)`, for as many groups as the factors have."""
        outer = None if matrices is None else self._patches(bounded(matrices))
        if projectors is None:
            return outer
        inner = block_convolution(bounded(projectors), self._inner_size, self._inputs, self._middle)
        return inner if outer is None else strided_composition(inner, outer)

    def _patches(self, matrix: Tensor) -> Tensor:
        middle = self._middle if self._has_projectors else self._inputs
        if self._outputs > self._patch * middle:
            matrix = ops.swapaxes(matrix, -1, -2)
        return ops.reshape(matrix, (-1, *self.strides, middle, self._outputs))
