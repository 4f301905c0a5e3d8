"""The table of the runway experiment."""

from __future__ import annotations

from typing import Any

from benchmarks.report import table

# "LARD-V1: LipNet for Semantic Segmentation" in the slides: clean IoU, and IoU under the vanishing
# attack at a budget of 1.0.
PUBLISHED = {"standard": (0.89, 0.26), "slight": (0.82, 0.57), "strong": (0.79, 0.65)}
_KINDS = {"standard": "standard", "slight": "slightly robust", "strong": "strongly robust"}


def show(result: dict[str, Any]) -> str:
    """A row a network, beside the slides' FCN."""
    budgets, settings = result["budgets"], result["settings"]
    header = ["network", "temperature", "clean IoU"]
    for eps in budgets:
        header += [f"under attack, eps {eps:g}", f"certified, eps {eps:g}"]
    header += ["slides: clean", f"slides: under attack, eps {settings['eps']:g}"]
    rows = [
        _row(name, settings["networks"][name], found) for name, found in result["networks"].items()
    ]
    height, width = settings["size"]
    gradients = max(found["gradients"] for found in result["networks"].values())
    return f"""{table(header, rows)}

IoU of class {settings["class_id"]} over {result["images"]} scenes of {height}x{width}, one ratio.
Each network was attacked with {gradients} gradients an image and budget; of all points that the
attacks found those count that leave the least IoU. Certified is what no attack, vanishing or
other, brings it below: a run in which an attack does so ends with an error.{_scaled(result)}"""


def _scaled(result: dict[str, Any]) -> str:
    """What the budgets mean for other sizes of images."""
    if len(result["budgets"]) == 1:
        return ""
    scaled, eps = result["budgets"]
    height, width = result["settings"]["reference_size"]
    return f""" A budget is an
l2 norm over the image: eps {eps:g} changes each pixel more the smaller the image is. At
{height}x{width} it changes a pixel as much, in the mean, as eps {scaled:g} does here; the slides do
not say how large their images are. Of U-Nets they give no figures."""


def _row(name: str, network: dict[str, Any], found: dict[str, Any]) -> list[str]:
    _, architecture, *kind = name.split("_")
    certified = found["certified_iou"] or [None] * len(found["robust_iou"])
    row = [f"{network['model']}, {_KINDS[kind[-1]]}", f"{network['temperature']:g}"]
    row.append(_figure(found["clean_iou"]))
    for robust, least in zip(found["robust_iou"], certified, strict=True):
        row += [_figure(robust), _figure(least)]
    published = PUBLISHED[kind[-1]] if architecture == "fcn" else (None, None)
    return row + [_figure(value, 2) for value in published]


def _figure(value: float | None, digits: int = 3) -> str:
    return "none" if value is None else f"{value:.{digits}f}"
