"""One picture as the page takes it: maps in 8 bits, packed, and the counts they have to give."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from deel_seg.data.dataset_info import VOID


def pack(planes: list[np.ndarray]) -> tuple[str, list[bool]]:
    """Maps one after the other as base64 of zlib, and which of them are differences along rows.

    A map is taken as differences, modulo 256, where that makes it smaller.

    Args:
        planes: uint8 `(height, width)` each.
    """
    stored, differences = [], []
    for plane in planes:
        along = np.diff(plane, axis=1, prepend=np.uint8(0)).astype(np.uint8)
        smaller = _size(along) < _size(plane)
        stored.append(along if smaller else plane)
        differences.append(smaller)
    content = b"".join(plane.tobytes() for plane in stored)
    # Levels above zlib's usual one take many times as long here, for one percent.
    return base64.b64encode(zlib.compress(content)).decode("ascii"), differences


def _size(plane: np.ndarray) -> int:
    return len(zlib.compress(plane.tobytes(), 1))


def payload(row: Mapping[str, Any], found: Mapping[str, np.ndarray]) -> str:
    """Everything the page shows of a picture, as JSON.

    Args:
        row: Its row in the table.
        found: See `Findings.picture`.
    """
    predicted, second = found["predicted"], found["second"]
    labelled = "labels" in found
    names, planes = ["level", "region"], [found["level"], found["region_level"]]
    for name, classes in (("predicted", predicted), ("second", second)):
        names.append(name)
        planes.append((classes & 255).astype(np.uint8))
        if predicted.dtype.itemsize > 1:
            names.append(f"{name}High")
            planes.append((classes >> 8).astype(np.uint8))
    if labelled:
        names.append("labels")
        planes.append(found["labels"])
    data, differences = pack(planes)
    value = {
        "name": row["image"],
        "note": row["note"],
        "height": int(predicted.shape[0]),
        "width": int(predicted.shape[1]),
        "channels": int(found["channels"]),
        "labelled": labelled,
        "planes": names,
        "differences": differences,
        "cuts": {name: found[name].tolist() for name in ("alone", "lost", "lost_right")
                 if name in found},
        "levelRadius": [float(each) for each in found["level_radius"]],
        "counts": counts(found),
        "regions": [_region(each, predicted) for each in found["regions"]],
        "jpeg": base64.b64encode(found["jpeg"].tobytes()).decode("ascii"),
        "data": data,
    }  # fmt: skip
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def counts(found: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What the library counts, which the page compares with what it counts itself.

    The share that `worst_case_stability` certifies at stop `k` is
    `(counted - lost[k]) / counted`, and that of `worst_case_pixel_accuracy` is
    `(right - lostRight[k]) / counted`, both rounded down to a multiple of 2^-24.
    """
    predicted, stops = found["predicted"], found["stops"]
    counted = np.ones(predicted.shape, bool)
    if "labels" in found:
        counted = found["labels"] != VOID
    held = found["regions_held"].tolist()
    radius = found["radius"]
    value: dict[str, Any] = {
        "counted": int(counted.sum()),
        "alone": [int(np.count_nonzero(radius[counted] > eps)) for eps in stops],
        "lost": found["lost_count"].tolist(),
        "regions": held[-1],
        "regionsHeld": held[:-1],
        "regionPixelsHeld": _region_pixels(found["region_level"], len(stops)),
    }
    if "labels" in found:
        value["right"] = int(np.count_nonzero(counted & (found["labels"] == predicted)))
        value["lostRight"] = found["lost_right_count"].tolist()
    return value


def _region_pixels(level: np.ndarray, stops: int) -> list[int]:
    histogram = np.bincount(level.ravel(), minlength=256)[:255]
    return [int(histogram[stop + 1 :].sum()) for stop in range(stops)]


def _region(region: np.ndarray, predicted: np.ndarray) -> list[Any]:
    pixels, row, column = (int(each) for each in region[:3])
    return [int(predicted[row, column]), pixels, row, column, float(region[3])]
