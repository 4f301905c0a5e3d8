"""Figures 1, 7 and 8 of the paper, of one image and one class."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from keras import ops
from scipy import ndimage

from benchmarks.paper.scales import Pictures
from deel_seg.certificates import (
    list_regions,
    region_radius,
    worst_case_fnr,
    worst_case_segmentation,
    worst_case_vanishing,
)
from deel_seg.certificates.pixels import predicted_class

# Right, false alarm, missed: told apart by every common kind of colour vision.
RIGHT, ALARM, MISSED = (0.0, 0.62, 0.45), (0.0, 0.45, 0.70), (0.84, 0.37, 0.0)
WHITE = (1.0, 1.0, 1.0)


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


def regions_figure(pictured: Pictured, asked: Pictures) -> tuple[Any, dict[str, Any]]:
    """Figure 1: budgets of all regions, and the regions that a budget leaves."""
    certified = region_radius(
        pictured.logits, fraction=asked.fraction, min_pixels=asked.min_pixels,
        lipschitz_constant=pictured.lipschitz_constant,
    )  # fmt: skip
    radius = ops.convert_to_numpy(certified.radius)[0]
    regions = ops.convert_to_numpy(certified.regions)[0]
    figure, panels = _panels(2)
    panels[0].imshow(pictured.image)
    shown = panels[0].imshow(radius, cmap="viridis", alpha=0.6, vmin=0.0)
    figure.colorbar(shown, ax=panels[0], shrink=0.7, label="l2 norm")
    listed = list_regions(certified, pictured.logits)[0]
    for region in listed:
        row, column = _inside(regions == region.number)
        panels[0].text(column, row, f"{region.radius:.2f}", ha="center", va="center", fontsize=9,
                       bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0})  # fmt: skip
    panels[0].set_title(f"budget that changes {100 * asked.fraction:g} % of a region")
    kept = np.nan_to_num(radius) >= asked.region_eps
    panels[1].imshow(np.where(kept[..., None], pictured.image, WHITE))
    panels[1].set_title(f"regions that take {asked.region_eps:g} or more")
    return figure, {"region_budgets": [region.radius for region in listed]}


def missed_figure(pictured: Pictured, asked: Pictures) -> tuple[Any, dict[str, Any]]:
    """Figure 7: what is found, what is missed, and the most that a budget can make it miss."""
    labelled = (pictured.labels == pictured.class_id)[None]
    worst = ops.convert_to_numpy(
        worst_case_segmentation(
            pictured.logits, pictured.labels[None], eps=asked.eps, mask=labelled,
            lipschitz_constant=pictured.lipschitz_constant,
        )
    )[0]  # fmt: skip
    clean, certified = (
        float(value)
        for value in ops.convert_to_numpy(
            worst_case_fnr(
                pictured.logits, pictured.labels[None], positive_class=pictured.class_id,
                eps=[0.0, asked.eps], lipschitz_constant=pictured.lipschitz_constant,
            )
        )[0]
    )  # fmt: skip
    figure, panels = _panels(3)
    panels[0].imshow(_bright(pictured.image, pictured.found))
    panels[0].set_title(f"found as {pictured.class_name}")
    _show_right_and_wrong(panels[1], pictured.found, labelled[0])
    panels[1].set_title(f"FNR {clean:.2f}")
    _show_right_and_wrong(panels[2], worst == pictured.class_id, labelled[0])
    panels[2].set_title(f"worst case at eps = {asked.eps:g}: FNR ≤ {certified:.2f}")
    _legend(figure, {"right": RIGHT, "false alarm": ALARM, "missed": MISSED})
    return figure, {"fnr": clean, "certified_fnr": certified}


def vanishing_figure(pictured: Pictured, asked: Pictures) -> tuple[Any, dict[str, Any]]:
    """Figure 8: budgets of what is found, and the most of it that a budget can make vanish."""
    found = pictured.found
    options: dict[str, Any] = {"lipschitz_constant": pictured.lipschitz_constant}
    certified = region_radius(
        pictured.logits, fraction=asked.fraction, min_pixels=asked.min_pixels, mask=found[None],
        **options,
    )  # fmt: skip
    worst = ops.convert_to_numpy(
        worst_case_segmentation(pictured.logits, eps=asked.eps, mask=found[None], **options)
    )[0]
    share = worst_case_vanishing(
        pictured.logits, class_id=pictured.class_id, eps=asked.eps, **options
    )  # fmt: skip
    left = float(ops.convert_to_numpy(share)[0])
    regions = ops.convert_to_numpy(certified.regions)[0]
    figure, panels = _panels(2)
    panels[0].imshow(_bright(pictured.image, found))
    for region in list_regions(certified, pictured.logits)[0]:
        row, column = _inside(regions == region.number)
        panels[0].text(column, row, f"{region.radius:.2f}", ha="center", va="center", fontsize=9,
                       bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0})  # fmt: skip
    panels[0].set_title(f"budget that changes {100 * asked.fraction:g} % of it")
    still = found & (worst == pictured.class_id)
    shown = np.where(still[..., None], RIGHT, np.where(found[..., None], MISSED, WHITE))
    panels[1].imshow(shown)
    panels[1].set_title(f"worst case at eps = {asked.eps:g}: {100 * left:.1f} % or more is left")
    _legend(figure, {"left": RIGHT, "vanished": MISSED})
    return figure, {"vanishing_left": left}


FIGURES = {
    "figure_1": regions_figure,
    "figure_7": missed_figure,
    "figure_8": vanishing_figure,
}


def _panels(count: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * count, 4.2), layout="constrained")
    panels = figure.subplots(1, count)
    for panel in panels:
        panel.set_axis_off()
    return figure, panels


def _bright(image: np.ndarray, found: np.ndarray) -> np.ndarray:
    """The image, dark where nothing was found."""
    return np.where(found[..., None], image, 0.35 * image)


def _show_right_and_wrong(panel: Any, found: np.ndarray, labelled: np.ndarray) -> None:
    shown = np.full((*found.shape, 3), WHITE)
    shown[found & labelled] = RIGHT
    shown[found & ~labelled] = ALARM
    shown[~found & labelled] = MISSED
    panel.imshow(shown)


def _legend(figure: Any, colours: dict[str, Any]) -> None:
    from matplotlib.patches import Patch

    entries = [Patch(facecolor=colour, label=name) for name, colour in colours.items()]
    figure.legend(handles=entries, loc="outside lower center", ncols=len(entries), frameon=False)


def _inside(region: np.ndarray) -> tuple[int, int]:
    """The pixel of a region that is farthest from its border."""
    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(depth.argmax(), region.shape)
    return int(row), int(column)
