"""Exact fractions of pixel counts, read from the decimal form of a threshold."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from deel_seg._checks import received

MAX_DENOMINATOR = 10**6


def exact_fraction(name: str, value: Any, *, allow_zero: bool) -> Fraction:
    """Reads a share of the pixels as an exact fraction, or raises.

    `0.7` means 7/10, not the binary number nearest to it: in floats `ceil((1 - 0.7) * 10)` is 4,
    and one pixel too many makes a radius unsound.
    """
    try:
        # numpy floats are printed with their own number of digits, which is what was meant.
        share = Fraction(value) if isinstance(value, Fraction) else Fraction(str(value))
    except ValueError:
        raise ValueError(f"`{name}` must be a number. {received(**{name: value})}") from None
    if isinstance(value, bool) or not 0 <= share <= 1 or (share == 0 and not allow_zero):
        interval = "[0, 1]" if allow_zero else "(0, 1]"
        raise ValueError(f"`{name}` must lie in {interval}. {received(**{name: value})}")
    if share.denominator > MAX_DENOMINATOR:
        raise ValueError(
            f"`{name}` must be a fraction of denominator at most {MAX_DENOMINATOR}, such as a "
            "decimal number of six digits or fractions.Fraction(1, 3), for pixels are counted "
            f"exactly. {received(**{name: value})}"
        )
    return share


def percent_name(share: Fraction) -> str:
    """Writes a share in percent without a dot, which Keras log names cannot hold: `"33_3"`."""
    return re.sub(r"[^0-9]", "_", f"{float(share * 100):.10g}")
