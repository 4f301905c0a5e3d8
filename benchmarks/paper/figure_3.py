"""Figure 3: pixel accuracy under attack above what is certified, against the budget."""

from __future__ import annotations

from typing import Any

import numpy as np

import deel_seg
from benchmarks.paper.experiment import Context, Experiment
from benchmarks.paper.networks import pets_lipnet, pets_name
from benchmarks.paper.soundness import check_sound
from benchmarks.report import table
from deel_seg.attacks import ALMA, ASMA, PDPGD, AttackSuite
from deel_seg.visualize import certified_curve_figure


def suites(context: Context) -> dict[str, AttackSuite]:
    """The paper's attacks, and the library's."""
    asked, temperature = context.scale.figure_3, context.scale.pets.temperature
    steps = asked.steps
    of_paper = [ALMA(steps=steps), ASMA(steps=steps), PDPGD(steps=steps)]
    return {
        "of_paper": AttackSuite(attacks=of_paper),
        "suite": AttackSuite(asked.suite, temperature=temperature),
    }


def run(context: Context) -> dict[str, Any]:
    """Each group of attacks on the same images; for every image the best of all."""
    asked, info = context.scale.figure_3, context.info("pets")
    model = context.model(pets_name(context.scale.pets.temperature))
    accuracy, gradients, found = {}, {}, None
    for name, suite in suites(context).items():
        print(f"  {name}: {', '.join(type(each).__name__ for each in suite.attacks)}", flush=True)
        found = deel_seg.evaluate(
            model, context.data("pets", images=asked.images), eps=asked.eps, attacks=suite,
            ignore_class=info.ignore_class, folder=context.folder_of("figure_3") / name,
        )  # fmt: skip
        accuracy[name] = found.images["attacked_accuracy"]
        gradients[name] = float(found.images["attack_gradients"].max())
        check_sound(accuracy[name], found.images["crpa"], f"accuracy under {name}")
    if found is None:
        raise ValueError("There are no attacks.")
    worst = np.minimum.reduce(list(accuracy.values()))
    return {
        "eps": list(asked.eps),
        "images": len(worst),
        "size": context.scale.pets.size,
        "preset": asked.suite,
        "lipschitz_constant": found.lipschitz_constant,
        "accuracy": float(np.nanmean(found.images["accuracy"])),
        "crpa": np.nanmean(found.images["crpa"], axis=0).tolist(),
        **{name: np.nanmean(values, axis=0).tolist() for name, values in accuracy.items()},
        "worst": np.nanmean(worst, axis=0).tolist(),
        "least_gap": float(np.nanmin(worst - found.images["crpa"])),
        "gradients": gradients,
    }


def show(result: dict[str, Any]) -> str:
    """A row a budget; the paper gives the figure only."""
    columns = ("crpa", "worst", "of_paper", "suite")
    rows = [
        [f"{eps:g}", *(f"{100 * result[key][index]:.2f}" for key in columns)]
        for index, eps in enumerate(result["eps"])
    ]
    height, width = result["size"]
    gradients, gap = result["gradients"], result["least_gap"]
    header = [
        "eps", "CRPA, %", "accuracy under attack, %", "under ALMA, ASMA, PDPGD",
        f"under the {result['preset']} suite",
    ]  # fmt: skip
    return f"""{table(header, rows)}

{result["images"]} images of {height}x{width}, clean accuracy {100 * result["accuracy"]:.2f} %. The
accuracy under attack is what the best of all attacks leaves at a budget: the three of the
paper, {gradients["of_paper"]:.0f} gradients of an image over all budgets, and the suite,
{gradients["suite"]:.0f}. No image went below its certificate at any budget: the least distance is
{100 * gap:.2f} points. The paper's figure gives no numbers."""


def draw(result: dict[str, Any]) -> dict[str, Any]:
    """Both curves, and the gap."""
    figure = certified_curve_figure(
        [0.0, *result["eps"]],
        [result["accuracy"], *result["crpa"]],
        [result["accuracy"], *result["worst"]],
    )
    return {"paper_figure_3": figure}


EXPERIMENT = Experiment(
    "figure_3", "Figure 3: certified, and under attack", pets_lipnet, run, show, draw
)
