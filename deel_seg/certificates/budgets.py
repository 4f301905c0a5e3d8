"""Check of the budgets of a curve."""

from __future__ import annotations

from typing import Any

from deel_seg._checks import check_real, received


def check_budgets(eps: Any) -> list[float]:
    """Returns a sequence of different budgets `>= 0` as floats, or raises."""
    try:
        budgets = [check_real("eps", value, minimum=0) for value in eps]
    except TypeError:
        raise ValueError(f"`eps` must be a sequence of budgets. {received(eps=eps)}") from None
    if not budgets or len(set(budgets)) < len(budgets):
        raise ValueError(f"`eps` must hold different budgets, at least one. {received(eps=eps)}")
    return budgets
