"""Orthonormal matrices as trainable variables, and the kernels made of them. Tensors only."""

from deel_seg.parametrizations.adaptive_orthogonal import AdaptiveOrthogonalKernel
from deel_seg.parametrizations.block_convolution import (
    block_convolution,
    factor_counts,
    strided_composition,
)
from deel_seg.parametrizations.constraint import Orthonormal, retracted_together
from deel_seg.parametrizations.orthonormal import (
    OrthonormalInitializer,
    bounded,
    orthonormality_error,
    retract,
    tangent,
)

__all__ = [
    "AdaptiveOrthogonalKernel",
    "Orthonormal",
    "OrthonormalInitializer",
    "block_convolution",
    "bounded",
    "factor_counts",
    "orthonormality_error",
    "retract",
    "retracted_together",
    "strided_composition",
    "tangent",
]
