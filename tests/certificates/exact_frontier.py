"""Worst IoU and least cost over all numbers of whole pixels, in rational arithmetic."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np


class Frontier(NamedTuple):
    """Running sums of the two sorted lists of costs, each with its empty sum."""

    lost: list[Fraction]
    added: list[Fraction]

    def worst(self, budget: Fraction, spare: int = 0) -> Fraction:
        """Least IoU over what a sum of powers pays for, with `spare` pixels more of each kind."""
        positives, values = len(self.lost) - 1, []
        for i, paid in enumerate(self.lost):
            if paid <= budget:
                j = max(j for j, cost in enumerate(self.added) if paid + cost <= budget)
                left = max(positives - i - spare, 0)
                values.append(Fraction(left, positives + min(j + spare, len(self.added) - 1)))
        return min(values)

    def cheapest(self, ratio: Fraction) -> Fraction:
        """Least cost that brings the IoU to `ratio` or below."""
        positives = len(self.lost) - 1
        return min(
            lost + added
            for i, lost in enumerate(self.lost)
            for j, added in enumerate(self.added)
            if positives - i <= ratio * (positives + j)
        )


def frontier(margins: np.ndarray, negative: np.ndarray, p: int) -> Frontier:
    """Of one image: margins, and which of them are of pixels to be added."""
    lists = []
    for kind in (0, 1):
        costs = sorted(Fraction(float(m)) ** p for m in margins[negative == kind])
        lists.append([sum(costs[:n], Fraction(0)) for n in range(len(costs) + 1)])
    return Frontier(*lists)
