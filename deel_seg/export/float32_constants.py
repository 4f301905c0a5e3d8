"""Constants of an exported graph, rounded on the host, in exact arithmetic, to the safe side."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

# Largest relative error of one rounding to nearest in float32.
UNIT = Fraction(1, 2**24)

_SMALLEST_NORMAL = Fraction(1, 2**126)
_LARGEST = Fraction(2**127)


def float32_below(value: Fraction) -> float:
    """Largest float32 not above a value `>= 0`: normal, at most 2^127, or else 0."""
    nearest = np.float32(float(min(value, _LARGEST)))
    if Fraction(float(nearest)) > value:
        nearest = np.nextafter(nearest, np.float32(0))
    return float(nearest) if nearest >= float(_SMALLEST_NORMAL) else 0.0


def float32_above(value: Fraction) -> float:
    """Smallest float32 not below a value `>= 0`: 0, normal, or infinite beyond 2^127."""
    if value == 0:
        return 0.0
    if value > _LARGEST:
        return math.inf
    value = max(value, _SMALLEST_NORMAL)
    nearest = np.float32(float(value))
    if Fraction(float(nearest)) < value:
        nearest = np.nextafter(nearest, np.float32(math.inf))
    return float(nearest)


def root_below(value: Fraction) -> Fraction:
    """Square root of a value `>= 0`, short of it by less than 2^-300."""
    return Fraction(math.isqrt(math.floor(value * 4**300)), 2**300)


def shrunk(value: Fraction, roundings: int) -> Fraction:
    """What stays below `value` when it goes through so many more roundings.

    `(1 - n UNIT) (1 + UNIT)^n <= 1`.
    """
    return value * (1 - roundings * UNIT)


def grown(value: Fraction, roundings: int) -> Fraction:
    """What no quantity of at most `value` exceeds after so many roundings."""
    return value / (1 - roundings * UNIT)
