"""What was certified of the pictures of a folder: a row each, and all of them together."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deel_seg._json import as_json
from deel_seg.certificates import CertifiedIoUCurve
from deel_seg.evaluation.measuring import mean_iou
from deel_seg.folders.measure import CURVE, Measure, Measured

FORMAT = "deel_seg.certified_folder/1"


@dataclass(frozen=True)
class FolderCertificates:
    """What was certified of the pictures of a folder.

    Attributes:
        rows: A row for each picture that was certified, in the order of their names.
        refused: Why each of the others was not, by name.
        summary: What holds for all of them together, as `summary.json` has it.
        folder: Where all of it lies.
    """

    rows: list[dict[str, Any]]
    refused: dict[str, str]
    summary: dict[str, Any]
    folder: Path


def row_of(name: str, note: str, found: Measured, eps: tuple[float, ...]) -> dict[str, Any]:
    """One picture as a row: every value under a name of its own, NaN where it has none."""
    height, width = found["size"].tolist()
    row: dict[str, Any] = {
        "image": name, "height": height, "width": width, "pixels": int(found["pixels"]),
        "accuracy": float(found.get("accuracy", np.nan)),
    }  # fmt: skip
    for kind in ("crpa", "crs"):
        values = found.get(kind, np.full(len(eps), np.nan))
        row |= {
            f"{kind}@{exactly(budget)}": float(value)
            for budget, value in zip(eps, values, strict=True)
        }
    row |= {key: float(found[key]) for key in found if key.startswith("stability@")}
    return {**row, "note": note}


def summarised(
    rows: list[dict[str, Any]], refused: Mapping[str, str], parts: Totals, settings: Any
) -> dict[str, Any]:
    """All pictures together: how many, the spread of each value, the IoU over all of them."""
    names = [name for name in rows[0] if "@" in name or name == "accuracy"] if rows else []
    return {
        "format": FORMAT,
        "settings": settings,
        "images": {"certified": len(rows), "refused": dict(refused)},
        "values": {name: _spread([row[name] for row in rows]) for name in names},
        "data_set": parts.summary(),
    }


def exactly(number: float) -> str:
    """A number in as few digits as tell it from all others: `"0.1"`, `"1"`."""
    return repr(number).removesuffix(".0")


class Totals:
    """What is added up over all pictures with labels.

    Args:
        measure: What the pictures are certified by.
    """

    def __init__(self, measure: Measure) -> None:
        self._measure = measure
        self._curve: CertifiedIoUCurve | None = None
        self._class_pixels: Any = 0

    def add(self, found: Measured) -> None:
        """One more picture."""
        if "class_pixels" in found:
            self._class_pixels = self._class_pixels + found["class_pixels"]
        state = {
            name.removeprefix(CURVE): value
            for name, value in found.items()
            if name.startswith(CURVE)
        }
        if state:
            part = self._measure.curve()
            part.set_state(state)
            if self._curve is None:
                self._curve = self._measure.curve()
            self._curve.merge(part)

    def summary(self) -> dict[str, Any]:
        """IoU of the data set, clean and certified; empty where no picture has labels."""
        found: dict[str, Any] = {}
        if np.ndim(self._class_pixels):
            found["mean_iou"] = mean_iou(self._class_pixels)
        if self._curve is not None:
            curve = self._curve.result()
            found["certified_mean_iou"] = curve.mean_iou.tolist()
            found["certified_iou"] = {
                str(class_id): values.tolist()
                for class_id, values in zip(curve.class_ids, curve.iou, strict=True)
            }
        return found


def write(certificates: FolderCertificates) -> None:
    """Writes `results.csv`, `summary.json`, and `results.parquet` where pyarrow is installed."""
    folder, rows = certificates.folder, certificates.rows
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["image"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    _replace(folder / "results.csv", text.getvalue().encode())
    _replace(folder / "summary.json", f"{as_json(certificates.summary)}\n".encode())
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        return
    content = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), content)
    _replace(folder / "results.parquet", content.getvalue())


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)


def _spread(values: list[float]) -> dict[str, float]:
    """Mean and quantiles of the pictures that have a value."""
    defined = np.array([value for value in values if not np.isnan(value)])
    found: dict[str, float] = {"images": len(defined)}
    if len(defined):
        found["mean"] = float(np.mean(defined))
        for name, share in (("least", 0.0), ("quarter", 0.25), ("median", 0.5), ("most", 1.0)):
            found[name] = float(np.quantile(defined, share))
    return found
