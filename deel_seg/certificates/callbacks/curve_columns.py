"""What a curve is called: columns of its table, and names in the logs."""

from __future__ import annotations

from typing import Any

from deel_seg.certificates.callbacks.curve_logs import budget_name
from deel_seg.certificates.callbacks.curve_totals import Curve, CurveOptions
from deel_seg.certificates.objectives import percent_name


def column_names(options: CurveOptions) -> list[str]:
    """The columns, `"eps"` the first."""
    return [
        "eps", "crpa", "crs", *_iou_names(options), "pixel_accuracy", "mean_iou",
        *_stability_names(options), "lipschitz_constant", "images", "skipped",
    ]  # fmt: skip


def table(options: CurveOptions, curve: Curve, constant: float) -> dict[str, list[Any]]:
    """The columns with one entry a budget."""
    same = [curve.pixel_accuracy, curve.mean_iou, *curve.stability]
    same += [constant, curve.images, curve.skipped]
    columns = [list(options.eps), *_by_budget(options, curve).values()]
    columns += [[value] * len(options.eps) for value in same]
    return dict(zip(column_names(options), columns, strict=True))


def scalars(options: CurveOptions, curve: Curve, constant: float, prefix: str) -> dict[str, float]:
    """The values by name in the logs."""
    values = {"pixel_accuracy": curve.pixel_accuracy, "mean_iou": curve.mean_iou}
    for name, column in _by_budget(options, curve).items():
        for eps, value in zip(options.eps, column, strict=True):
            values[f"{name}@{budget_name(eps)}"] = value
    values.update(zip(_stability_names(options), curve.stability, strict=True))
    values["lipschitz_constant"] = constant
    return {f"{prefix}{name}": value for name, value in values.items()}


def _by_budget(options: CurveOptions, curve: Curve) -> dict[str, list[float]]:
    ious = zip(_iou_names(options), curve.certified_ious, strict=True)
    return {"crpa": curve.crpa, "crs": curve.crs, **dict(ious)}


def _iou_names(options: CurveOptions) -> list[str]:
    if not options.certified_iou:
        return []
    return ["certified_mean_iou", *(f"certified_iou_{k}" for k in options.class_ids)]


def _stability_names(options: CurveOptions) -> list[str]:
    return [f"stability@{percent_name(share)}" for share in options.fractions]
