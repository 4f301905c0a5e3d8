"""How many pixels of a set an objective asks to change, counted in integers."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from deel_seg._checks import check_integer, received
from deel_seg.certificates.inputs import MAX_PIXELS
from deel_seg.certificates.objectives import exact_fraction
from deel_seg.certificates.rounding import count_dtype, exact_floor

Tensor = Any

_DEFAULT_FRACTION = Fraction(9, 10)


class ChangedPixels(NamedTuple):
    """Of a set of `size` pixels, `ceil(fraction * size) + more` have to change, or none if less."""

    fraction: Fraction
    more: int

    def tensors(self) -> list[Tensor]:
        """Numerator, denominator and `more` as scalars, for a new objective to compile nothing."""
        numbers = (*self.fraction.as_integer_ratio(), self.more)
        return [ops.convert_to_tensor(number, count_dtype()) for number in numbers]

    def needed(self, sizes: np.ndarray) -> np.ndarray:
        """The number of them for sets of `sizes` pixels, int64, outside of a graph."""
        numerator, denominator = self.fraction.as_integer_ratio()
        share = -(-sizes.astype(np.int64) * numerator // denominator)
        return np.maximum(share + self.more, 0)


def pixels_needed(size: Tensor, numerator: Tensor, denominator: Tensor, more: Tensor) -> Tensor:
    """The number of `ChangedPixels` for sets of `size` pixels, of the count dtype."""
    size = ops.cast(size, count_dtype())
    # ceil(fraction * size), since size is whole.
    share = size - exact_floor(size, denominator - numerator, denominator)
    return ops.maximum(share + more, 0)


def check_fraction_or_left(fraction: Any, pixels_left: Any) -> ChangedPixels:
    """Reads either a share of the pixels, 9/10 by default, or how many may be left."""
    if pixels_left is None:
        return _share(fraction)
    _check_alone("pixels_left", pixels_left, fraction)
    left = check_integer("pixels_left", pixels_left, minimum=0)
    return ChangedPixels(Fraction(1), -min(left, MAX_PIXELS))


def check_fraction_or_pixels(fraction: Any, pixels: Any) -> ChangedPixels:
    """Reads either a share of the pixels, 9/10 by default, or their number."""
    if pixels is None:
        return _share(fraction)
    _check_alone("pixels", pixels, fraction)
    number = check_integer("pixels", pixels, minimum=1)
    return ChangedPixels(Fraction(0), min(number, MAX_PIXELS))


def _share(fraction: Any) -> ChangedPixels:
    if fraction is None:
        return ChangedPixels(_DEFAULT_FRACTION, 0)
    return ChangedPixels(exact_fraction("fraction", fraction, allow_zero=False), 0)


def _check_alone(name: str, value: Any, fraction: Any) -> None:
    if fraction is not None:
        raise ValueError(
            f"`fraction` and `{name}` exclude each other. "
            f"{received(**{'fraction': fraction, name: value})}"
        )
