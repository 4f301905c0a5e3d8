"""The page itself, out of its template, its style and its scripts."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import numpy as np

from deel_seg.data.dataset_info import distinct_colours
from deel_seg.folders.explored import REGION_FRACTION
from deel_seg.report.curves import iou_curves, share_curves
from deel_seg.report.figure import draw_curves
from deel_seg.report.findings import Findings
from deel_seg.report.numbers import exactly, percent
from deel_seg.report.picture_table import columns_of, table_of
from deel_seg.report.words import (
    Shares,
    budgets_told,
    common_size,
    facts,
    grounds,
    sentences,
    values_of,
)

_SCRIPTS = ("decode.js", "drawing.js", "table.js", "explorer.js")
_MOST_COLOURS = 256


def page(
    findings: Findings, shares: Shares, payloads: Mapping[str, str], names: Sequence[str]
) -> bytes:
    """The whole page.

    Args:
        findings: What it is about.
        shares: See `shares_at_stops`.
        payloads: What the explorer shows, by name of the picture.
        names: Of the classes; empty for numbers.
    """
    script = _script()
    digest = hashlib.sha256(script.encode()).digest()
    text = (
        _environment()
        .get_template("report.html")
        .render(
            style=_static("report.css"),
            script=script,
            script_hash=base64.b64encode(digest).decode(),
            payloads=[_inert(text) for text in payloads.values()],
            shown=list(payloads),
            **_summary(findings),
            **_pictures(findings, shares, payloads, names),
            **_network(findings),
        )
    )
    # A name that is no Unicode comes as half a surrogate pair.
    return text.encode("utf-8", "backslashreplace")


def _environment() -> Any:
    try:
        import jinja2
    except ImportError as error:
        raise ImportError("Reports need Jinja: pip install 'deel_seg[report]'.") from error
    return jinja2.Environment(
        autoescape=True,  # File names may hold anything.
        loader=jinja2.FunctionLoader(_static),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
    )


def _summary(findings: Findings) -> dict[str, Any]:
    size = common_size(findings)
    low, high = findings.settings["input_range"]
    sizes = {(row["height"], row["width"]) for row in findings.rows}
    return {
        "network": findings.settings["network"],
        "rows": findings.rows,
        "refused": findings.refused,
        "input_range": f"{exactly(low)} to {exactly(high)}",
        "sentences": sentences(findings, size),
        "budgets": budgets_told(findings, size),
        "grounds": grounds(findings),
        "common_size": " \N{MULTIPLICATION SIGN} ".join(map(str, size)) + " values",
        "one_size": len(sizes) <= 1,
        "labelled": bool(values_of(findings, "accuracy")),
    }


def _pictures(
    findings: Findings, shares: Shares, payloads: Mapping[str, str], names: Sequence[str]
) -> dict[str, Any]:
    if not findings.rows:
        return {"data": _inert("{}"), "stops": []}
    size, input_range = common_size(findings), findings.settings["input_range"]
    stops = next(iter(shares.values()))["stops"].tolist()
    columns = columns_of(findings)

    def called(number: int) -> str:
        return names[number] if number < len(names) else f"class {number}"

    ious = iou_curves(findings.summary["data_set"], findings.settings["eps"], called)
    presets = [
        {"eps": exactly(eps), "stop": stops.index(eps)} for eps in findings.eps if eps in stops
    ]
    data = {
        "stops": stops,
        "range": input_range[1] - input_range[0],
        "palette": distinct_colours(_colours_needed(findings)),
        "names": list(names),
        "columns": [{"number": each["number"], "scale": each["scale"]} for each in columns],
    }
    return {
        "data": _inert(json.dumps(data)),
        "stops": stops,
        "presets": presets,
        "first_stop": presets[len(presets) // 2]["stop"] if presets else 0,
        "share_figure": draw_curves(share_curves(shares), size, input_range),
        "iou_figure": draw_curves(ious, size, input_range) if ious else None,
        "columns": columns,
        "table": table_of(findings, columns, {name: at for at, name in enumerate(payloads)}),
        "left_out": len(findings.rows) - len(payloads),
        "region_percent": percent(float(REGION_FRACTION)).replace(".0", ""),
    }


def _network(findings: Findings) -> dict[str, Any]:
    audit = findings.audit
    layers = [
        {
            "name": row["name"],
            "cells": [
                row["type"],
                *(_rounded(row[name]) for name in ("by_design", "by_weights", "tightness")),
                "yes" if row["drifted"] else "no",
            ],
        }
        for row in audit["layers"]
    ]
    return {
        "verdict": audit["verdict"],
        "certified": _rounded(audit["certified"]),
        "layers": layers,
        "facts": facts(findings),
        "version": findings.settings["deel_seg"],
    }


def _rounded(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _colours_needed(findings: Findings) -> int:
    """As many as there are classes, by the number that was seen of each."""
    for row in findings.rows:
        found = findings.picture(row["image"], only=("class_pixels",))
        if "class_pixels" in found:
            return max(2, int(found["class_pixels"].shape[1]))
    seen = [
        int(np.max(each))
        for row in findings.rows
        for each in findings.picture(row["image"], only=("predicted", "second")).values()
    ]
    return min(_MOST_COLOURS, max(2, *seen, 0) + 1)


def _inert(text: str) -> str:
    """JSON that cannot end the script element that it stands in."""
    return text.replace("<", "\\u003c")


def _script() -> str:
    parts = "\n".join(_static(name) for name in _SCRIPTS)
    return f"(() => {{\n{parts}\n}})();"


@functools.cache
def _static(name: str) -> str:
    return (resources.files(__package__) / "static" / name).read_text("utf-8")
