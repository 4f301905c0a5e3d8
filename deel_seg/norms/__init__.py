"""Proved upper bounds of spectral norms: of matrices, and of convolutions for every image size.

NumPy in float64, with the rounding of every step taken into account: what is returned is never
below the norm of the numbers given.
"""

from deel_seg.norms.absolute_norm import absolute_norm_above
from deel_seg.norms.convolution_norm import convolution_norm_above, convolution_norm_below
from deel_seg.norms.kept_norms import kept_convolution_norm
from deel_seg.norms.kernel import Kernel
from deel_seg.norms.matrix_norm import largest_norm_above, matrix_norms_above

__all__ = [
    "Kernel",
    "absolute_norm_above",
    "convolution_norm_above",
    "convolution_norm_below",
    "kept_convolution_norm",
    "largest_norm_above",
    "matrix_norms_above",
]
