"""Numbers as a reader may take them: a certified one is never shown too large."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

_DIGITS = 3
_TINY = 1e-4  # Zeros are miscounted below it.


def percent(share: float | Fraction | None) -> str:
    """A share in percent with one digit, rounded down; a dash where there is none.

    Example:
    >>> from deel_seg.report.numbers import percent
    >>> percent(0.99999), percent(None)
    ('99.9 %', '-')
    """
    if share is None:
        return "-"
    return f"{math.floor(1000 * Fraction(share)) / 10:.1f} %"


def budget(value: float | None) -> str:
    """A certified budget in three digits, rounded down.

    Example:
    >>> from deel_seg.report.numbers import budget
    >>> budget(0.12399), budget(1234.5), budget(0.0), budget(None)
    ('0.123', '1230', '0', '-')
    """
    if value is None:
        return "-"
    if value == 0:
        return "0"
    exact = Fraction(value)
    step = Fraction(10) ** (math.floor(math.log10(value)) - _DIGITS + 1)
    down = math.floor(exact / step) * step
    return f"{float(down):.{_DIGITS}g}" if value < 1000 else str(int(down))


def exactly(value: float) -> str:
    """A number in as few digits as tell it from all others."""
    return repr(float(value)).removesuffix(".0")


def mean_share(shares: Sequence[float]) -> Fraction | None:
    """The exact mean; None of nothing."""
    if not shares:
        return None
    return Fraction(sum(Fraction(share) for share in shares), len(shares))


def per_value(eps: float, size: tuple[int, int, int]) -> float:
    """The root mean square of the change of a value, if a budget is spread over all of them.

    Args:
        eps: An l2 norm over all values.
        size: Height, width and channels.

    Example:
    >>> from deel_seg.report.numbers import per_value
    >>> per_value(0.5, (1, 5, 5))
    0.1
    """
    return eps / math.sqrt(math.prod(size))


def in_levels(change: float, input_range: Sequence[float]) -> float:
    """A change of a value in steps of an 8-bit picture, of which there are 255.

    Example:
    >>> from deel_seg.report.numbers import in_levels
    >>> in_levels(0.5, (-1.0, 1.0))
    63.75
    """
    width = input_range[1] - input_range[0]
    return 255.0 * change / width if width > 0 else math.nan


def about(value: float) -> str:
    """A number that says how large something is, in two digits, or all before the point.

    Example:
    >>> from deel_seg.report.numbers import about
    >>> about(0.000113), about(25.6), about(255.0)
    ('0.00011', '26', '255')
    """
    if not math.isfinite(value):
        return "-"
    if value == 0:
        return "0"
    if abs(value) < _TINY:
        return f"{value:.1e}"
    digits = 1 - math.floor(math.log10(abs(value)))
    return f"{value:.{max(0, digits)}f}"
