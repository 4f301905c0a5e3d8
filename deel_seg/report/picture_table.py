"""The table of pictures: what stands in it, and what it is sorted by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deel_seg.report.findings import Findings
from deel_seg.report.numbers import budget, percent

_TIMES = "\N{MULTIPLICATION SIGN}"
_SHARES = ("accuracy", "crpa@", "crs@")


def columns_of(findings: Findings) -> list[dict[str, Any]]:
    """Name of each column, whether it holds numbers, and what a limit is measured in."""
    names = [
        name
        for name in findings.rows[0]
        if name not in ("image", "height", "width", "note")
        and any(row[name] is not None for row in findings.rows)
    ]
    columns = [{"name": "picture", "key": "image", "number": False, "scale": 1}]
    columns.append({"name": f"height {_TIMES} width", "key": "size", "number": True, "scale": 1})
    for name in names:
        share = name.startswith(_SHARES)
        shown = name.replace("crpa@", "CRPA @ ").replace("crs@", "CRS @ ")
        columns.append({"name": shown, "key": name, "number": True, "scale": 100 if share else 1})
    columns.append({"name": "note", "key": "note", "number": False, "scale": 1})
    return [{**column, "index": index} for index, column in enumerate(columns)]


def table_of(
    findings: Findings, columns: list[dict[str, Any]], numbers: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Rows of cells, each with its text and what it is sorted by.

    Args:
        findings: The pictures.
        columns: See `columns_of`.
        numbers: Of the pictures that the explorer shows.
    """
    return [
        {
            "number": numbers.get(row["image"]),
            "cells": [_cell(row, column["key"]) for column in columns],
        }
        for row in findings.rows
    ]


def _cell(row: Mapping[str, Any], key: str) -> dict[str, Any]:
    if key == "size":
        text = f"{row['height']} {_TIMES} {row['width']}"
        return {"text": text, "value": row["height"] * row["width"]}
    value = row[key]
    if key in ("image", "note"):
        return {"text": value, "value": value}
    if key.startswith(_SHARES):
        text = percent(value)
    elif key.startswith("stability@"):
        text = budget(value)
    else:
        text = str(value)
    return {"text": text, "value": "" if value is None else repr(value)}
