"""Whole numbers of any size, element by element, where the widest integer may have 32 bits.

Whether a metric of pixel counts has fallen to a threshold is decided by products such as
`(tp * negatives + tn * positives) * 10^6`, of up to 100 bits. Comparing them in floats would call
values equal that are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

Tensor = Any

# Limbs of 12 bits: over a hundred products of two of them add up within an int32.
_LIMB_BITS = 12
_MASK = 2**_LIMB_BITS - 1


class Whole:
    """Non-negative whole numbers below `2^bits`, with exact `+`, `*` and comparison.

    Attributes:
        limbs: int32 tensors of 12-bit digits, the lowest first.
        bits: Bound on the length of any element.
    """

    def __init__(self, limbs: Sequence[Tensor], bits: int) -> None:
        self.limbs = tuple(limbs)
        self.bits = bits

    @classmethod
    def of(cls, value: Any, bits: int = 31) -> Whole:
        """Reads a Python integer, or an integer tensor of elements below `2^bits`, not negative."""
        if isinstance(value, Whole):
            return value
        if isinstance(value, int):
            bits = value.bit_length()
            digits = [(value >> shift) & _MASK for shift in range(0, bits, _LIMB_BITS)]
            return cls([ops.convert_to_tensor(digit, "int32") for digit in digits or [0]], bits)
        shifts = range(0, bits, _LIMB_BITS)
        limbs = [ops.bitwise_and(ops.right_shift(value, shift), _MASK) for shift in shifts]
        return cls([ops.cast(limb, "int32") for limb in limbs], bits)

    def __add__(self, other: Any) -> Whole:
        other = Whole.of(other)
        terms: list[list[Tensor]] = [[] for _ in range(max(len(self.limbs), len(other.limbs)))]
        for number in (self, other):
            for place, limb in enumerate(number.limbs):
                terms[place].append(limb)
        return _carried(terms, max(self.bits, other.bits) + 1)

    def __mul__(self, other: Any) -> Whole:
        other = Whole.of(other)
        terms: list[list[Tensor]] = [[] for _ in range(len(self.limbs) + len(other.limbs) - 1)]
        for place, limb in enumerate(self.limbs):
            for other_place, other_limb in enumerate(other.limbs):
                terms[place + other_place].append(limb * other_limb)
        return _carried(terms, self.bits + other.bits)

    __radd__ = __add__
    __rmul__ = __mul__

    def at_most(self, other: Whole) -> Tensor:
        """Whether each element is at most that of `other`, bool."""
        borrow: Any = 0
        for place in range(max(len(self.limbs), len(other.limbs))):
            mine, theirs = (n.limbs[place] if place < len(n.limbs) else 0 for n in (self, other))
            # The shift rounds towards minus infinity, so a negative difference borrows.
            borrow = ops.right_shift(theirs - mine + borrow, _LIMB_BITS)
        return borrow >= 0

    def is_zero(self) -> Tensor:
        """Whether each element is zero, bool."""
        return self.at_most(Whole.of(0))

    def to_float(self, dtype: str) -> Tensor:
        """The elements as floats, each limb adding a rounding at most."""
        value: Any = 0.0
        for limb in reversed(self.limbs):
            value = value * 2.0**_LIMB_BITS + ops.cast(limb, dtype)
        return value


def _carried(terms: Sequence[Sequence[Tensor]], bits: int) -> Whole:
    """The number with these sums as digits, which it is known to hold in `bits` bits."""
    limbs, carry = [], 0
    for place in range(max(1, -(-bits // _LIMB_BITS))):
        total: Any = sum(terms[place] if place < len(terms) else [], carry)
        limbs.append(ops.bitwise_and(total, _MASK))
        carry = ops.right_shift(total, _LIMB_BITS)
    return Whole(limbs, bits)
