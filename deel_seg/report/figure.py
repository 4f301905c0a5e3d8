"""Where the lines of a figure run."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

from deel_seg.report.curves import Curve
from deel_seg.report.numbers import about, exactly, in_levels, per_value, percent

_WIDTH, _HEIGHT = 760, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 92, 740, 12, 290
_ZERO = 60  # Of the axis, from 0 to the smallest budget above it, which has no place on a log axis.
_MANY_DECADES = 3
_FLAT = 1e-3


def draw_curves(
    curves: Sequence[Curve], size: tuple[int, int, int], input_range: Sequence[float]
) -> dict[str, Any]:
    """The coordinates, ticks and numbers of a figure, for the template.

    Args:
        curves: Lines.
        size: Height, width and channels of the pictures that the lower axes are about.
        input_range: Smallest and largest value of a picture.
    """
    low, high = _interesting(curves)
    ticks = _ticks(low, high)
    return {
        "width": _WIDTH, "height": _HEIGHT, "left": _LEFT, "right": _RIGHT,
        "top": _TOP, "bottom": _BOTTOM,
        "y_ticks": [
            {"at": _y(share), "text": f"{100 * share:.0f} %"} for share in (0, 0.25, 0.5, 0.75, 1)
        ],
        "x_names": ["eps (l2)", "rms", "levels"],
        "x_ticks": [
            {"at": _x(eps, low, high), "texts": _told(eps, size, input_range)} for eps in ticks
        ],
        "lines": [_line(curve, low, high) for curve in curves],
        "table": _table(curves),
    }  # fmt: skip


def _interesting(curves: Sequence[Curve]) -> tuple[float, float]:
    """From the last budget that does nothing to the first after which nothing is left."""
    stops = sorted({eps for curve in curves for eps, _ in curve.points if eps > 0})
    if not stops:
        return 0.1, 1.0
    first = [{eps: value for eps, value in curve.points} for curve in curves]
    low, high = stops[0], stops[-1]
    for eps in stops:
        if any(_differs(curve.get(eps), curve.get(0.0)) for curve in first):
            break
        low = eps
    for eps in reversed(stops):
        if any((curve.get(eps) or 0) > _FLAT for curve in first):
            break
        high = eps
    return (low, high) if low < high else (stops[0] / 2, stops[-1])


def _differs(value: Any, other: Any) -> bool:
    return value is not None and other is not None and abs(float(value - other)) > _FLAT


def _x(eps: float, low: float, high: float) -> float:
    if eps <= 0:
        return _LEFT
    share = (math.log(eps) - math.log(low)) / (math.log(high) - math.log(low))
    return round(_LEFT + _ZERO + share * (_RIGHT - _LEFT - _ZERO), 1)


def _y(share: Any) -> float:
    return round(_BOTTOM - float(share) * (_BOTTOM - _TOP), 1)


def _ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    few = math.log10(high / low) <= _MANY_DECADES
    steps: Iterable[int] = (1, 2, 5) if few else (1,)
    ticks = [float(f"{step}e{decade}") for decade in decades for step in steps]
    inside = [eps for eps in ticks if low <= eps <= high]
    return [0.0, *(inside or [low, high])]


def _told(eps: float, size: tuple[int, int, int], input_range: Sequence[float]) -> list[str]:
    change = per_value(eps, size)
    return [exactly(eps), about(change), about(in_levels(change, input_range))]


def _line(curve: Curve, low: float, high: float) -> dict[str, Any]:
    places = [
        (_x(eps, low, high), _y(value))
        for eps, value in curve.points
        if value is not None and (eps <= 0 or low <= eps <= high)
    ]
    return {
        "name": curve.name,
        "path": " ".join(f"{x},{y}" for x, y in _steps(places)),
        "marks": [] if curve.marker == "none" else places,
        "marker": curve.marker,
        "dashed": curve.dashed,
        "colour": curve.colour,
    }


def _steps(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Stairs that between two budgets show what is certified at the larger one.

    A straight line would promise more there than is proved.
    """
    corners = [
        place
        for (x, _), (next_x, next_y) in itertools.pairwise(places)
        for place in ((x, next_y), (next_x, next_y))
    ]
    return [*places[:1], *corners]


def _table(curves: Sequence[Curve]) -> list[list[str]]:
    stops = sorted({eps for curve in curves for eps, _ in curve.points})
    values = [dict(curve.points) for curve in curves]
    return [[exactly(eps), *(percent(each.get(eps)) for each in values)] for eps in stops]
