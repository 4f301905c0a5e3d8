"""Budgets at which a report can be looked at: those of the run, and a ladder between them."""

from __future__ import annotations

from collections.abc import Sequence

# Three thresholds a budget have to fit into levels of 8 bits, see `deel_seg.folders.explored`.
MOST_STOPS = 85
_PREFERRED = (1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0)  # R10 of ISO 3.
_DECADES = range(-3, 2)


def budget_stops(eps: Sequence[float], input_range: Sequence[float] = (0.0, 1.0)) -> list[float]:
    """The budgets of a run, 0, and ten to the decade from 0.001 to 100, in increasing order.

    The ladder is in units of the width of `input_range`. Where there are too many budgets, the
    ladder gives way, and then those of the run that lie between others.

    Args:
        eps: Budgets of the run.
        input_range: Smallest and largest value of an image.

    Example:
    >>> from deel_seg.folders.stops import budget_stops
    >>> stops = budget_stops([0.05, 0.3])
    >>> len(stops), stops[:3], 0.3 in stops
    (53, [0.0, 0.001, 0.00125], True)
    """
    width = input_range[1] - input_range[0]
    asked = sorted({0.0, *map(float, eps)})
    if len(asked) > MOST_STOPS:
        last = len(asked) - 1
        chosen = {round(step * last / (MOST_STOPS - 1)) for step in range(MOST_STOPS)}
        return [asked[index] for index in sorted(chosen)]
    steps = [float(f"{each}e{decade}") for decade in _DECADES for each in _PREFERRED]
    ladder = [width * step for step in (*steps, 100.0) if width * step not in asked]
    if not width > 0:
        ladder = []
    while ladder and len(asked) + len(ladder) > MOST_STOPS:
        ladder = ladder[1::2]
    return sorted([*asked, *ladder])
