"""Argument validation: every message says what was expected and ends in the value received."""

from __future__ import annotations

import math
from collections.abc import Collection
from numbers import Integral, Real
from typing import Any


def received(**values: Any) -> str:
    """Formats the tail of an error message, `"Received: eps=-1"`."""
    return "Received: " + ", ".join(f"{name}={value!r}" for name, value in values.items())


def check_real(
    name: str,
    value: Any,
    *,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    exclusive_minimum: bool = False,
    exclusive_maximum: bool = False,
) -> float:
    """Returns `value` as a finite float within the bounds, or raises."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(f"`{name}` must be a finite number. {received(**{name: value})}")
    number = float(value)
    low = number <= minimum if exclusive_minimum else number < minimum
    high = number >= maximum if exclusive_maximum else number > maximum
    if low or high:
        parts = []
        if minimum > -math.inf:
            parts.append(f"{'>' if exclusive_minimum else '>='} {minimum:g}")
        if maximum < math.inf:
            parts.append(f"{'<' if exclusive_maximum else '<='} {maximum:g}")
        raise ValueError(f"`{name}` must be {' and '.join(parts)}. {received(**{name: value})}")
    return number


def check_integer(name: str, value: Any, *, minimum: int | None = None) -> int:
    """Returns `value` as an int of at least `minimum`, or raises."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError(f"`{name}` must be an integer. {received(**{name: value})}")
    if minimum is not None and value < minimum:
        raise ValueError(f"`{name}` must be at least {minimum}. {received(**{name: value})}")
    return int(value)


def check_pair(name: str, value: Any, *, minimum: int = 1) -> tuple[int, int]:
    """Returns `value`, an integer or a pair of them, as a pair, or raises."""
    pair = (value, value) if isinstance(value, Integral) else value
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise ValueError(
            f"`{name}` must be an integer or a pair of integers. {received(**{name: value})}"
        )
    return check_integer(name, pair[0], minimum=minimum), check_integer(
        name, pair[1], minimum=minimum
    )


def check_range(name: str, value: Any) -> tuple[float, float]:
    """Returns `value`, two finite numbers of which the first is no larger, as floats, or raises."""
    try:
        low, high = (check_real(name, each) for each in value)
    except (TypeError, ValueError):
        low, high = math.inf, -math.inf
    if low > high:
        raise ValueError(
            f"`{name}` must be a pair of numbers, the smaller one first. "
            + received(**{name: value})
        )
    return low, high


def check_choice(name: str, value: Any, choices: Collection[Any]) -> Any:
    """Returns `value` when it is one of `choices`, or raises."""
    if value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"`{name}` must be one of {listed}. {received(**{name: value})}")
    return value
