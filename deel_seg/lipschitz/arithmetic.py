r"""The standard model of rounding, for the arithmetic that layers are computed in.

Every operation returns its exact result times $1 + \delta$ with $|\delta| \le u$. A number that $n$
such factors meet, each of them multiplied or divided by, is off by at most $(1 - u)^{-n} - 1$ of
itself.

References:
    Higham, Accuracy and Stability of Numerical Algorithms, 2002: sections 2.2 and 3.1.
    Fasi et al., Numerical Behavior of NVIDIA Tensor Cores, PeerJ Computer Science 2021.
"""

from __future__ import annotations

import math
from typing import NamedTuple

PRODUCTS = ("float32", "tf32", "bfloat16")
"""Precisions that hardware may bring the factors of a float32 product to."""

# Of truncation where the hardware may truncate: twice the unit roundoff.
_FACTORS = {"float32": 0.0, "tf32": 2.0**-10, "bfloat16": 2.0**-7}
_STORED = {"float64": 2.0**-53, "float32": 2.0**-24, "bfloat16": 2.0**-8}
# Tensor cores align a few terms, truncate them to float32 and add them without rounding: for each
# term that is less than eight unit roundoffs of float32, of the sum of absolute values.
_TENSOR_CORES = 2.0**-21
_EXACT_IN_FLOATS = ("bool", "uint8", "int8")


class Arithmetic(NamedTuple):
    """Bounds of the relative errors of a layer's operations.

    Attributes:
        stored: Of an operation on numbers of the layer's dtype.
        summed: Of an operation within a sum of products, or within a sum in float32 or wider.
        factors: Of the factors of such products, before they are multiplied.
    """

    stored: float
    summed: float
    factors: float

    def relative_error(self, *, stored: int = 0, summed: int = 0, factors: int = 0) -> float:
        """Bound of what that many operations take from a number, or add to it, relatively."""
        exponent = -(
            stored * math.log1p(-self.stored)
            + summed * math.log1p(-self.summed)
            + factors * math.log1p(-self.factors)
        )
        return math.expm1(exponent) if exponent < 500.0 else math.inf


def arithmetic_of(dtype: str, products: str) -> Arithmetic | None:
    """The arithmetic of layers that compute in `dtype`; None if it is not modelled.

    Args:
        dtype: Compute dtype of the layer.
        products: One of `PRODUCTS`, for float32 layers; bfloat16 ones are summed in float32.
    """
    if dtype not in _STORED:
        return None  # float16 overflows, and underflows where weights and features are.
    stored = _STORED[dtype]
    if (dtype == "float32" and products == "float32") or dtype == "float64":
        return Arithmetic(stored, stored, 0.0)
    return Arithmetic(stored, _TENSOR_CORES, _FACTORS[products] if dtype == "float32" else 0.0)


def conversion_error(given: str, dtype: str) -> float:
    """Bound of the relative error of converting numbers of dtype `given` to another one."""
    stored = _STORED.get(dtype, math.inf)
    exact = given == dtype or given in _EXACT_IN_FLOATS or _STORED.get(given, 0.0) >= stored
    return 0.0 if exact else stored
