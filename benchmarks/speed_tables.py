"""The tables of docs/speed.md."""

from __future__ import annotations

import re
from typing import Any

from benchmarks.certificate_list import TITLES
from benchmarks.report import table
from benchmarks.speed_targets import MAIN, QUICK, Rows, grown, growth, obvious_rows, ratio

_CASE = re.compile(r"(\d+)x(\d+)x(\d+) batch (\d+) (\w+)")


def milliseconds(seconds: float, digits: int | None = None) -> str:
    """Three digits, unless there are more before the point."""
    if digits is None:
        digits = next(d for d, least in enumerate((0.1, 0.01, 0.001, 0)) if seconds >= least)
    return f"{1e3 * seconds:,.{digits}f}"


def spread(row: dict[str, Any]) -> str:
    """Median and quartiles, in milliseconds."""
    median = milliseconds(row["median"])
    digits = len(median.partition(".")[2])
    lower, upper = (milliseconds(row[key], digits) for key in ("lower", "upper"))
    return f"{median} ({lower} to {upper})"


def main_table(rows: Rows) -> str:
    """All candidates on one image of 1024x1024 and 19 classes."""
    case, memory = rows["cases"][MAIN], rows["memory"].get("1024x1024x19 smooth", {})
    compared = [name for name in obvious_rows(case) if not name.endswith("numpy")]
    header = [
        "what", "ms (quartiles)", "passes", *(f"faster than {TITLES[n]}" for n in compared),
        "peak extra memory, in logits",
    ]  # fmt: skip
    lines = []
    for name in (name for name in TITLES if name in case):
        row = case[name]
        extra = memory.get(name, {})
        extra_memory = f"{extra['extra'] / extra['logits']:.2f}" if "extra" in extra else ""
        if "left_out" in row:
            lines.append([TITLES[name], row["left_out"], *[""] * (len(compared) + 1), extra_memory])
            continue
        same_question = name.partition("/")[0] in QUICK
        faster = [f"{ratio(case[n]) / ratio(row):.1f}" if same_question else "" for n in compared]
        lines.append([TITLES[name], spread(row), f"{ratio(row):.2f}", *faster, extra_memory])
    return table(header, lines)


def accelerator_table(rows: Rows) -> str:
    """The same on an accelerator, with the memory bandwidth reached."""
    case, machine = rows["cases"][MAIN], rows["machine"]
    size = 4 * 1024 * 1024 * 19
    header = [
        "what", "one call, ms (quartiles)", "a call of ten queued, ms (quartiles)",
        "passes", "GB/s", "of the bandwidth",
    ]  # fmt: skip
    lines = []
    for name in (name for name in TITLES if name in case):
        row = case[name]
        if "left_out" in row:
            lines.append([TITLES[name], row["left_out"], "", "", "", ""])
            continue
        queued = row["queued"]
        speed = size / queued["median"]
        share = speed / machine["copy_bytes_per_second"]
        lines.append(
            [
                TITLES[name],
                spread(row),
                spread(queued),
                f"{ratio(queued):.2f}",
                f"{speed / 1e9:.0f}",
                f"{share:.0%}",
            ]
        )
    return table(header, lines)


def all_cases_table(rows: Rows, batch: int) -> str:
    """Medians at every size and number of classes, for one size of batch."""
    cases = {}
    for key, case in rows["cases"].items():
        height, width, classes, images, kind = _CASE.fullmatch(key).groups()
        if int(images) == batch and kind == "smooth":
            cases[int(height) * int(width), int(classes)] = (f"{height}x{width}x{classes}", case)
    columns = [cases[key] for key in sorted(cases)]
    names = [
        name
        for name in TITLES
        if not name.endswith("/eager") or name.startswith("floor/")
        if any(name in case for _, case in columns)
    ]
    lines = [[TITLES[name], *(_cell(case.get(name)) for _, case in columns)] for name in names]
    return table(["what", *(title for title, _ in columns)], lines)


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    if "left_out" in row:
        return f"left out: {row['left_out']}"
    return f"{milliseconds(row['median'])} ({ratio(row):.1f})"


def growth_table(cases: Rows) -> str:
    """How the time grows with pixels, classes and images."""
    header, pairs = ["what"], growth(cases)
    for what, small, large, factor in pairs:
        header.append(f"{what} x {factor:.3g}<br>{_short(small)} to {_short(large)}")
    lines = []
    for name in TITLES:
        if name.endswith("/eager") or name.startswith("obvious/"):
            continue
        factors = [grown(cases, small, large, name) for _, small, large, _ in pairs]
        if any(factors):
            lines.append([TITLES[name], *(f"{x:.3g}" if x else "" for x in factors)])
    return table(header, lines)


def _short(key: str) -> str:
    """A case as a reader names it."""
    height, width, classes, images, _ = _CASE.fullmatch(key).groups()
    return f"{height}x{width}x{classes}" + (f", batch {images}" if images != "1" else "")
