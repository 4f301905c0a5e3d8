"""The guarantees in plain words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from deel_seg.report.findings import Findings
from deel_seg.report.numbers import about, exactly, in_levels, mean_share, per_value, percent

Shares = Mapping[str, Mapping[str, np.ndarray]]
Size = tuple[int, int, int]


def common_size(findings: Findings) -> Size:
    """The most frequent height and width, and the channels of the network."""
    sizes = Counter((row["height"], row["width"]) for row in findings.rows)
    channels = findings.manifest["input_shape"][-1]
    (height, width), _ = sizes.most_common(1)[0] if sizes else ((1, 1), 0)
    return height, width, channels


def budgets_told(findings: Findings, size: Size) -> list[dict[str, str]]:
    """A row for each budget of the run: how large it is, and what it leaves."""
    input_range = findings.settings["input_range"]
    told = []
    for eps in findings.eps:
        change = per_value(eps, size)
        row = {
            "eps": exactly(eps),
            "rms": about(change),
            "levels": about(in_levels(change, input_range)),
            "single": _single(eps, input_range),
        }
        for kind in ("crs", "crpa"):
            values = values_of(findings, f"{kind}@{exactly(eps)}")
            row[f"{kind}_mean"] = percent(mean_share(values))
            row[f"{kind}_least"] = percent(min(values, default=None))
        told.append(row)
    return told


def values_of(findings: Findings, column: str) -> list[float]:
    """What pictures have in a column."""
    return [row[column] for row in findings.rows if row.get(column) is not None]


def _single(eps: float, input_range: Any) -> str:
    width = input_range[1] - input_range[0]
    return "more than 255" if eps > width else about(in_levels(eps, input_range))


def sentences(findings: Findings, size: Size) -> list[str]:
    """What holds at the budget in the middle of the run's, in sentences."""
    budgets = [eps for eps in findings.eps if eps > 0] or findings.eps
    eps = budgets[len(budgets) // 2]
    row = next(each for each in budgets_told(findings, size) if each["eps"] == exactly(eps))
    every = "the picture" if len(findings.rows) == 1 else "every picture"
    kept = len(values_of(findings, f"crs@{row['eps']}"))
    found = []
    if kept:
        found.append(
            f"Within eps = {row['eps']}, at least {row['crs_least']} of the pixels of {every} keep "
            f"their predicted class{_mean(kept, row['crs_mean'])}."
        )
    right = len(values_of(findings, f"crpa@{row['eps']}"))
    if right:
        which = every if right == len(findings.rows) else f"each of the {right} with labels"
        found.append(
            f"Within eps = {row['eps']}, at least {row['crpa_least']} of the labelled pixels of "
            f"{which} are classified right{_mean(right, row['crpa_mean'])}."
        )
    without = len(findings.rows) - kept
    if without:
        found.append(f"Of {without} more, no pixel counts or nothing can be said.")
    return found


def _mean(count: int, mean: str) -> str:
    return f"; on average at least {mean}" if count > 1 else ""


def grounds(findings: Findings) -> list[str]:
    """What the guarantees rest on."""
    settings, manifest = findings.settings, findings.manifest
    found = [
        f"The network changes its logits by at most {settings['lipschitz_constant']:.6g} times as "
        f"much as the picture is changed, in l2 norms. This constant is "
        f"{settings['constant_obtained']}.",
        f"Computed logits are off by at most {settings['logit_tolerance']:.3g}, by which margins "
        f"are reduced. How this is known: {manifest['logit_tolerance_obtained']}.",
        "Pictures are taken as 8 bits in their own size. What was changed on the way stands in the "
        "note of each.",
        "All numbers are rounded to the safe side, on the way and here.",
    ]
    if settings["tile"] is not None and settings["overlap"]:
        found.append(
            f"Pictures were certified in parts that overlap by {settings['overlap']} pixels; the "
            "constant was enlarged by what that takes."
        )
    return found


def facts(findings: Findings) -> list[tuple[str, str]]:
    """Manifest and settings, name by name."""
    manifest = {name: value for name, value in findings.manifest.items() if name != "files"}
    settings = {name: value for name, value in findings.settings.items() if name not in manifest}
    return [(name, _told(value)) for name, value in {**manifest, **settings}.items()]


def _told(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_told(each)}" for name, each in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(_told, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return exactly(value)
    return "any" if value is None else str(value)
