"""Table 2: certified false negative rates on polyps, and budgets that rates take at least."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from benchmarks.paper import published
from benchmarks.paper.experiment import Context, Experiment
from benchmarks.paper.networks import polyps_lipnet
from benchmarks.report import table
from deel_seg._inference import compiled_inference
from deel_seg.certificates import fnr_radius, worst_case_fnr

POLYP = 1


def run(context: Context) -> dict[str, Any]:
    """Q1 and Q2 of every image with a polyp."""
    asked, model = context.scale.table_2, context.model("polyps_lipnet")
    infer = compiled_inference(model)
    options: dict[str, Any] = {
        "positive_class": POLYP,
        "lipschitz_constant": model.lipschitz_constant,
        "ignore_class": context.info("polyps").ignore_class,
    }
    rates, budgets = [], []
    for images, labels in context.data("polyps"):
        logits, labels = infer(ops.convert_to_tensor(images)), ops.convert_to_tensor(labels)
        rates.append(worst_case_fnr(logits, labels, eps=[0.0, *asked.eps], **options))
        of_batch = [
            fnr_radius(logits, labels, threshold=rate, **options) for rate in asked.rates
        ]  # fmt: skip
        budgets.append(ops.stack(of_batch, axis=-1))
    rate, budget = (np.concatenate([ops.convert_to_numpy(part) for part in each])
                    for each in (rates, budgets))  # fmt: skip
    there = ~np.isnan(rate[:, 0])
    return {
        "size": context.scale.polyps.size,
        "images": int(there.sum()),
        "lipschitz_constant": model.lipschitz_constant,
        "clean": float(rate[there, 0].mean()),
        "certified_fnr": _means(asked.eps, rate[there, 1:]),
        "budget": _means(asked.rates, budget[there]),
    }


def _means(names: tuple[float, ...], values: np.ndarray) -> dict[str, float]:
    return {f"{name:g}": float(mean) for name, mean in zip(names, values.mean(0), strict=True)}


def show(result: dict[str, Any]) -> str:
    """Q1 and Q2 side by side, as in the paper."""
    rows = []
    pairs = zip(result["certified_fnr"].items(), result["budget"].items(), strict=True)
    for (eps, fnr), (rate, budget) in pairs:
        rows.append(
            [
                eps, f"{fnr:.3f}", _of_paper(published.TABLE_2_FNR, eps),
                rate, f"{budget:.3f}", _of_paper(published.TABLE_2_BUDGET, rate),
            ]
        )  # fmt: skip
    height, width = result["size"]
    header = [
        "eps", "Q1: certified FNR", "paper", "FNR to reach", "Q2: mean budget it takes", "paper"
    ]  # fmt: skip
    return f"""{table(header, rows)}

{result["images"]} images of {height}x{width} with a polyp; without attack the mean FNR is
{result["clean"]:.3f}. An image whose FNR is beyond the one to reach counts with a budget of 0."""


def _of_paper(values: dict[float, float], name: str) -> str:
    value = values.get(float(name))
    return "" if value is None else f"{value:.3f}"


EXPERIMENT = Experiment("table_2", "Table 2: missed polyps", polyps_lipnet, run, show)
