"""Figures 1, 7 and 8 of the paper, of one image and one class, and the numbers in them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from keras import ops

from benchmarks.paper.scales import Pictures
from deel_seg.certificates import (
    list_regions,
    region_radius,
    worst_case_fnr,
    worst_case_vanishing,
)
from deel_seg.certificates.pixels import predicted_class
from deel_seg.visualize import missed_figure, regions_figure, vanishing_figure


class Pictured(NamedTuple):
    """One image with what a network says of it.

    Attributes:
        image: `(H, W, 3)` in `[0, 1]`.
        labels: `(H, W)`.
        logits: `(1, H, W, classes)`.
        lipschitz_constant: Of the network.
        class_id: The class that must not be missed.
        class_name: Its name.
    """

    image: np.ndarray
    labels: np.ndarray
    logits: Any
    lipschitz_constant: float
    class_id: int
    class_name: str

    @property
    def found(self) -> np.ndarray:
        """Where the class is predicted."""
        classes = self.logits.shape[-1]
        return ops.convert_to_numpy(predicted_class(self.logits, classes))[0] == self.class_id


def regions(pictured: Pictured, asked: Pictures) -> tuple[Any, dict[str, Any]]:
    """Figure 1: budgets of all regions, and the regions that a budget leaves."""
    shared: dict[str, Any] = {
        "fraction": asked.fraction,
        "min_pixels": asked.min_pixels,
        "lipschitz_constant": pictured.lipschitz_constant,
    }
    figure = regions_figure(pictured.image, pictured.logits[0], eps=asked.region_eps, **shared)
    listed = list_regions(region_radius(pictured.logits, **shared), pictured.logits)[0]
    return figure, {"region_budgets": [region.radius for region in listed]}


def missed(pictured: Pictured, asked: Pictures) -> tuple[Any, dict[str, Any]]:
    """Figure 7: what is found, what is missed, and the most that a budget can make it miss."""
    figure = missed_figure(
        pictured.image, pictured.logits[0], pictured.labels, eps=asked.eps,
        class_id=pictured.class_id, class_name=pictured.class_name,
        lipschitz_constant=pictured.lipschitz_constant,
    )  # fmt: skip
    rates = worst_case_fnr(
        pictured.logits, pictured.labels[None], positive_class=pictured.class_id,
        eps=[0.0, asked.eps], lipschitz_constant=pictured.lipschitz_constant,
    )  # fmt: skip
    clean, certified = ops.convert_to_numpy(rates)[0].tolist()
    return figure, {"fnr": clean, "certified_fnr": certified}


def vanishing(pictured: Pictured, asked: Pictures) -> tuple[Any, dict[str, Any]]:
    """Figure 8: budgets of what is found, and the most of it that a budget can make vanish."""
    shared: dict[str, Any] = {
        "class_id": pictured.class_id,
        "eps": asked.eps,
        "lipschitz_constant": pictured.lipschitz_constant,
    }
    figure = vanishing_figure(
        pictured.image, pictured.logits[0], class_name=pictured.class_name,
        fraction=asked.fraction, min_pixels=asked.min_pixels, **shared,
    )  # fmt: skip
    left = ops.convert_to_numpy(worst_case_vanishing(pictured.logits, **shared))
    return figure, {"vanishing_left": float(left[0])}


FIGURES = {"figure_1": regions, "figure_7": missed, "figure_8": vanishing}
