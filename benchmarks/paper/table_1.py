"""Table 1: CRPA and time of the Lipschitz bound beside SegCertify on an unconstrained twin."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import keras

import deel_seg
from benchmarks.paper import published
from benchmarks.paper.experiment import Context, Experiment
from benchmarks.paper.networks import scenes_lipnet, unconstrained
from benchmarks.paper.scales import Scale
from benchmarks.paper.smoothed import best_choice, evaluate_smoothing, possible, segcertify
from benchmarks.paper.times import certificate_seconds, smoothing_seconds
from benchmarks.report import table


def noisy_name(noise: float) -> str:
    """Name of the run of a twin that was trained with noise."""
    return f"scenes_noise_{noise:g}"


def trainings(scale: Scale) -> dict[str, list[str]]:
    """The Lipschitz network, and twins trained with noise."""
    noises = scale.table_1.training_noises
    twins = {noisy_name(noise): unconstrained(scale.scenes, noise=noise) for noise in noises}
    return {**scenes_lipnet(scale), **twins}


def run(context: Context) -> dict[str, Any]:
    """Every row, and the bound at the same budgets."""
    asked = context.scale.table_1
    folder = context.folder_of("table_1")
    budgets = sorted({eps for eps, _ in asked.rows})
    model = context.model("scenes_lipnet")
    found = deel_seg.evaluate(
        model, context.data("scenes", images=asked.images), eps=budgets,
        folder=folder / "lipschitz", ignore_class=context.info("scenes").ignore_class, verbose=0,
    )  # fmt: skip
    image = next(iter(context.data("scenes", batch_size=1)))
    twins = {noise: context.model(noisy_name(noise)) for noise in asked.training_noises}
    return {
        "size": context.scale.scenes.size,
        "alpha": asked.alpha,
        "seeds": list(asked.seeds),
        "images": len(found.images["crpa"]),
        "chosen_on": context.scale.scenes.validation_split,
        "lipschitz": {
            "crpa": {f"{row['eps']:g}": row["crpa"] for row in found.rows()},
            "accuracy": found.rows()[0]["accuracy"],
            "seconds": certificate_seconds(model, *image, eps=budgets[0], turns=asked.turns),
        },
        "rows": [smoothed_row(context, twins, eps, passes) for eps, passes in asked.rows],
    }


def smoothed_row(
    context: Context, twins: dict[float, keras.Model], eps: float, passes: int
) -> dict[str, Any]:
    """SegCertify at a budget with so many passes, the best that it can be on other images.

    Sigma and the noise that its network was trained with are both chosen by that.
    """
    asked, info = context.scale.table_1, context.info("scenes")
    height, width = context.scale.scenes.size
    print(f"  SegCertify, eps {eps:g}, {passes} passes", flush=True)

    def smoothing(noise: float, sigma: float) -> Any:
        return segcertify(
            twins[noise], info.num_classes, sigma, passes=passes, alpha=asked.alpha,
            batch_size=asked.batch_size,
        )  # fmt: skip

    def evaluation(split: str, images: int, seeds: tuple[int, ...], *choice: float) -> Any:
        noise, sigma = choice
        return evaluate_smoothing(
            smoothing(*choice), context.data("scenes", split, images=images), eps,
            context.folder_of("table_1") / f"{split}_{eps:g}_{passes}_{noise:g}_{sigma:g}",
            ignore_class=info.ignore_class, seeds=seeds,
        )  # fmt: skip

    held_out = partial(evaluation, "validation", asked.validation_images, asked.seeds[:1])
    sigmas = possible(
        asked.sigmas, eps, passes=passes, pixels=height * width, alpha=asked.alpha
    )  # fmt: skip
    best, choices = best_choice(
        list(itertools.product(twins, sigmas)),
        lambda choice: held_out(*choice).rows()[0]["smoothed_crpa"],
    )
    row: dict[str, Any] = {"eps": eps, "passes": passes, "choice": best, "held_out": choices}
    if best is None:
        return row
    found = evaluation("test", asked.images, asked.seeds, *best).rows()[0]
    image = next(iter(context.data("scenes", batch_size=1)))[0]
    return {
        **row,
        "accuracy": found["accuracy"],
        "crpa": found["smoothed_crpa"],
        "spread": found.get("smoothed_crpa_spread", 0.0),
        "passes_needed": found["smoothing_passes"],
        "seconds": smoothing_seconds(smoothing(*best), image, eps, turns=asked.turns),
    }


def show(result: dict[str, Any]) -> str:
    """Our rows beside the paper's."""
    header = [
        "eps", "method", "CRPA, %", "s an image", "times the bound", "s, published statistics",
        "times the bound", "paper: CRPA, %", "paper: s an image", "paper: times the bound",
    ]  # fmt: skip
    bound, rows = result["lipschitz"], []
    for eps, crpa in bound["crpa"].items():
        rows.append(_bound_row(float(eps), crpa, bound["seconds"]))
        of_budget = [row for row in result["rows"] if f"{row['eps']:g}" == eps]
        rows += [_smoothed_row(row, bound["seconds"]) for row in of_budget]
    (height, width), clean = result["size"], 100 * bound["accuracy"]
    return f"""{table(header, rows)}

Both on the same {result["images"]} images of {height}x{width} pixels; alpha = {result["alpha"]:g}.
Without attack the Lipschitz network has {clean:.2f} % of the pixels right{twins(result)}.
SegCertify: mean and standard deviation over {len(result["seeds"])} seeds of the noise, with the
sigma, and the noise in training, that were best together on images of `{result["chosen_on"]}`.
Times are medians for one image at a time, in one run."""


def twins(result: dict[str, Any]) -> str:
    """How good the smoothed networks are."""
    found = sorted({row["accuracy"] for row in result["rows"] if row["choice"] is not None})
    percents = " and ".join(f"{100 * accuracy:.2f} %" for accuracy in found)
    return f", and what is smoothed {percents}" if found else ""


def _bound_row(eps: float, crpa: float, seconds: float) -> list[str]:
    of_paper = published.TABLE_1_LIPSCHITZ.get(eps)
    return [
        f"{eps:g}", "Lipschitz bound", f"{100 * crpa:.2f}", f"{seconds:.3g}", "1", "", "",
        "" if of_paper is None else f"{of_paper:.2f}",
        "" if of_paper is None else f"{published.TABLE_1_LIPSCHITZ_SECONDS:g}", "1",
    ]  # fmt: skip


def _smoothed_row(row: dict[str, Any], bound_seconds: float) -> list[str]:
    method = f"SegCertify, {row['passes']} passes"
    of_paper = published.TABLE_1_SEGCERTIFY.get((row["eps"], row["passes"]))
    right = ["", "", ""]
    if of_paper is not None:
        right = [
            f"{of_paper['crpa']:.2f} ± {of_paper['spread']:.2f} (sigma {of_paper['sigma']:g})",
            f"{of_paper['seconds']:.1f}",
            f"{of_paper['times']}",
        ]
    if row["choice"] is None:
        return [f"{row['eps']:g}", method, "nothing can be certified", "", "", "", "", *right]
    noise, sigma = row["choice"]
    sampling, fast, slow = (row["seconds"][key] for key in ("sampling", "statistics", "published"))
    return [
        f"{row['eps']:g}",
        f"{method}, sigma {sigma:g}, trained with {noise:g}",
        f"{100 * row['crpa']:.2f} ± {100 * row['spread']:.2f}",
        f"{sampling + fast:.3g}",
        f"{(sampling + fast) / bound_seconds:.0f}",
        f"{sampling + slow:.3g}",
        f"{(sampling + slow) / bound_seconds:.0f}",
        *right,
    ]


EXPERIMENT = Experiment("table_1", "Table 1: beside SegCertify", trainings, run, show)
