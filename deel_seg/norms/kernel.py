"""A kernel as a convolution uses it, between two bounds of its norm."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from deel_seg.norms.absolute_norm import absolute_norm_above
from deel_seg.norms.convolution_norm import convolution_norm_below
from deel_seg.norms.kept_norms import kept_convolution_norm


class Kernel(NamedTuple):
    """The values of a kernel and what else the norm of its convolution depends on.

    Attributes:
        values: `(height, width, channels in / groups, channels out)`, any dtype.
        strides: In height and width; of the convolution whose adjoint a transposed one is.
        dilation: In height and width.
        groups: Channel groups.
        circular: Height and width of the image, if it is wrapped around and of that size only.
    """

    values: Any
    strides: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    circular: tuple[int, int] | None = None

    def norm_above(self) -> float:
        """As `convolution_norm_above`, found once for the same values."""
        return kept_convolution_norm(
            self.values,
            self.strides,
            dilation=self.dilation,
            groups=self.groups,
            circular=self.circular,
        )

    def absolute_norm_above(self) -> float:
        """As `deel_seg.norms.absolute_norm_above`."""
        return absolute_norm_above(
            self.values, self.strides, dilation=self.dilation, groups=self.groups
        )

    def norm_below(self) -> float:
        """Norm at some frequencies, up to rounding: what the bound is compared with."""
        parts = np.split(np.asarray(self.values), self.groups, axis=-1)
        return max(convolution_norm_below(part, self.strides, self.dilation) for part in parts)
