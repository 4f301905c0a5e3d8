"""What the certificates shall cost at most, and whether the figures say so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

Rows = dict[str, Any]

MAIN = "1024x1024x19 batch 1 smooth"
SHARES = ("crpa", "stability", "fnr")
QUICK = tuple(f"{name}{kind}" for name in SHARES for kind in ("", "_radius"))
OURS = (*QUICK, "class_iou", "class_iou_radius", "pixel_radius")
UNEVEN = 1.3  # how far growth may exceed that of the data, or of the floor, and be called linear


class Target(NamedTuple):
    """One promise: what is compared, the limit, the worst figure, and of which candidate."""

    what: str
    limit: str
    measured: str
    holds: bool | None


def ratio(row: dict[str, Any]) -> float:
    """Passes over the logits: time over that of the faster floor of the same run."""
    return row["median"] / row["floor"]


def obvious_rows(case: Rows) -> list[str]:
    """Names of the obvious codes that were timed."""
    return [n for n, row in case.items() if n.startswith("obvious/") and "median" in row]


def targets(results: dict[str, Any]) -> list[Target]:
    """All targets, measured or not."""
    rows = results.get("certificates_tensorflow", {"cases": {}, "memory": {}})
    case = rows["cases"].get(MAIN, {})
    passes = {n.removesuffix("/graph"): ratio(r) for n, r in case.items() if _is_ours(n, r)}
    slower = {n: ratio(case[n]) for n in obvious_rows(case)}
    tensorflow = min((v for n, v in slower.items() if "tensorflow" in n), default=None)
    pytorch = slower.get("obvious/pytorch")
    many = {f"{n}_32": passes[f"{n}_32"] / passes[n] for n in passes if f"{n}_32" in passes}
    return [
        _at_most("accuracy, stability and FNR, passes", 3, _of(passes, QUICK)),
        _at_least("the same, times faster than TensorFlow", 20, _speedups(tensorflow, passes)),
        _at_least("the same, times faster than PyTorch", 5, _speedups(pytorch, passes)),
        _at_most("32 budgets over one", 4, many),
        _at_most("class IoU, passes", 8, _of(passes, ("class_iou", "class_iou_radius"))),
        _at_most("IoU of all 19 classes, passes", 40, _of(passes, ("all_class_iou",))),
        _at_most("growth over that of the data", UNEVEN, _excess(rows["cases"])),
        _at_most("peak extra memory, in logits", 1.5, _extra_memory(rows["memory"])),
        _fit_target(results.get("fit_overhead")),
        *_accelerator_targets(results),
    ]


def growth(cases: Rows) -> list[tuple[str, str, str, float]]:
    """Pairs of cases that differ in one thing, with the factor by which the data grows."""
    sizes = [("256x256", "1024x1024", 16.0), ("1024x1024", "1024x2048", 2.0)]
    pairs = [("pixels", f"{a}x19 batch 1 smooth", f"{b}x19 batch 1 smooth", f) for a, b, f in sizes]
    for few, more in ((2, 19), (19, 150)):
        small, large = (f"1024x1024x{classes} batch 1 smooth" for classes in (few, more))
        pairs.append(("classes", small, large, more / few))
    pairs.append(("images", MAIN, MAIN.replace("batch 1", "batch 8"), 8.0))
    return [pair for pair in pairs if pair[1] in cases and pair[2] in cases]


def grown(cases: Rows, small: str, large: str, name: str) -> float | None:
    """Factor by which the time of a candidate grows; `None` where one of the two is missing."""
    rows = [cases[key].get(name, {}) for key in (small, large)]
    if not all("median" in row for row in rows):
        return None
    return rows[1]["median"] / rows[0]["median"]


def _excess(cases: Rows) -> dict[str, float]:
    worst: dict[str, float] = {}
    for _, small, large, factor in growth(cases):
        floor = grown(cases, small, large, "floor/graph") or factor
        for name in OURS:
            found = grown(cases, small, large, f"{name}/graph")
            if found is not None:
                worst[name] = max(worst.get(name, 0), found / max(factor, floor))
    return worst


def _extra_memory(memory: Rows) -> dict[str, float]:
    measured = memory.get("1024x1024x19 smooth", {})
    return {
        name.removesuffix("/graph"): row["extra"] / row["logits"]
        for name, row in measured.items()
        if name.endswith("/graph") and not name.startswith("floor/") and "extra" in row
    }


def _is_ours(name: str, row: dict[str, Any]) -> bool:
    return name.endswith("/graph") and not name.startswith("floor/") and "median" in row


def _of(values: dict[str, float], names: Iterable[str]) -> dict[str, float]:
    return {name: values[name] for name in names if name in values}


def _speedups(slow: float | None, passes: dict[str, float]) -> dict[str, float]:
    if slow is None:
        return {}
    return {name: slow / value for name, value in _of(passes, QUICK).items()}


def _at_most(what: str, limit: float, values: dict[str, float]) -> Target:
    return _target(what, f"at most {limit:g}", values, max, lambda worst: worst <= limit)


def _at_least(what: str, limit: float, values: dict[str, float]) -> Target:
    return _target(what, f"at least {limit:g}", values, min, lambda worst: worst >= limit)


def _target(what: str, limit: str, values: dict[str, float], worst_of: Any, holds: Any) -> Target:
    if not values:
        return Target(what, limit, "not measured", None)
    name = worst_of(values, key=values.__getitem__)
    return Target(what, limit, f"{values[name]:.2f} ({name})", holds(values[name]))


def _fit_target(fit: dict[str, Any] | None) -> Target:
    what = "a training step of S at 128x128 with all metrics, over one without"
    if fit is None:
        return Target(what, "under 1.03", "not measured", None)
    step = fit["ratio"]["median"]
    return Target(what, "under 1.03", f"{step:.3f}", step < 1.03)


def _accelerator_targets(results: dict[str, Any]) -> list[Target]:
    limits = {"crpa": ("CRPA on a GPU, ms", 1.0), "class_iou": ("class IoU on a GPU, ms", 8.0)}
    rows: Rows = {}
    for found in results.values():
        if "copy_bytes_per_second" in found.get("machine", {}):
            rows = found["cases"].get(MAIN, {})
    targets = []
    for name, (what, limit) in limits.items():
        row = rows.get(f"{name}/graph", {})
        if "median" in row:
            found_ms = 1e3 * row["median"]
            targets.append(Target(what, f"under {limit:g}", f"{found_ms:.3f}", found_ms < limit))
        else:
            targets.append(Target(what, f"under {limit:g}", "not measured", None))
    return targets
