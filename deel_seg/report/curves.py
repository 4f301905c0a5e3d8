"""Certified curves: what they show, as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from deel_seg.report.findings import Findings
from deel_seg.report.numbers import mean_share

Point = tuple[float, "Fraction | float | None"]


@dataclass(frozen=True)
class Curve:
    """One line of a figure.

    Attributes:
        name: What it is.
        points: Budget and share, None where there is none.
        marker: A shape that tells it from others without colour: `circle`, `square`, `none`.
        dashed: Whether its line is.
        colour: Number of its colour on the page.
    """

    name: str
    points: list[Point]
    marker: str
    dashed: bool
    colour: int


def shares_at_stops(findings: Findings) -> dict[str, dict[str, np.ndarray]]:
    """`stops`, `crs` and, of those with labels, `crpa` of each picture, by name."""
    names = ("stops", "crs", "crpa")
    return {row["image"]: findings.picture(row["image"], only=names) for row in findings.rows}


def share_curves(shares: Mapping[str, Mapping[str, np.ndarray]]) -> list[Curve]:
    """Mean over pictures, and the weakest one, of stability and of accuracy."""
    curves = []
    for colour, (kind, name) in enumerate(
        (("crs", "stability (CRS)"), ("crpa", "accuracy (CRPA)"))
    ):
        given = [each for each in shares.values() if kind in each]
        defined = [each[kind] for each in given if not np.isnan(each[kind]).any()]
        if not defined:
            continue
        stops, values = given[0]["stops"], np.stack(defined)
        marker = ("circle", "square")[colour]
        mean: list[Point] = [
            (float(eps), mean_share(column.tolist()))
            for eps, column in zip(stops, values.T, strict=True)
        ]
        weakest: list[Point] = [
            (float(eps), float(least)) for eps, least in zip(stops, values.min(axis=0), strict=True)
        ]
        curves.append(Curve(f"{name}, mean", mean, marker, False, colour))
        if len(defined) > 1:
            curves.append(Curve(f"{name}, weakest picture", weakest, "none", True, colour))
    return curves


def iou_curves(data_set: dict[str, Any], eps: Sequence[float], called: Any) -> list[Curve]:
    """Certified IoU of each class over all pictures, and their mean.

    Args:
        data_set: As in `summary.json`.
        eps: Budgets, in the order of the values.
        called: From the number of a class to its name.
    """
    if "certified_iou" not in data_set:
        return []
    lines = {"mean of classes": data_set["certified_mean_iou"]}
    lines |= {called(int(number)): values for number, values in data_set["certified_iou"].items()}
    markers = ("circle", "square", "triangle", "diamond")
    curves = []
    for number, (name, values) in enumerate(lines.items()):
        points: list[Point] = sorted(zip(eps, values, strict=True))
        if all(value is None for _, value in points):
            continue
        curves.append(Curve(name, points, markers[number % 4], number >= 8, number))
    return curves
