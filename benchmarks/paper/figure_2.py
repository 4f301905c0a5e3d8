"""Figure 2: SegCertify on the Lipschitz network itself, against the number of samples."""

from __future__ import annotations

from functools import partial
from typing import Any

import deel_seg
from benchmarks.paper import published
from benchmarks.paper.experiment import Context, Experiment
from benchmarks.paper.networks import pets_lipnet, pets_name
from benchmarks.paper.smoothed import best_choice, evaluate_smoothing, possible, segcertify
from benchmarks.paper.times import certificate_seconds, smoothing_seconds
from benchmarks.report import table
from deel_seg.visualize.canvas import plot_panel


def run(context: Context) -> dict[str, Any]:
    """The bound, and SegCertify with each number of samples, on the same images."""
    asked, info = context.scale.figure_2, context.info("pets")
    model = context.model(pets_name(context.scale.pets.temperature))
    bound = deel_seg.evaluate(
        model, context.data("pets", images=asked.images), eps=[asked.eps],
        ignore_class=info.ignore_class, folder=context.folder_of("figure_2") / "bound", verbose=0,
    )  # fmt: skip
    image = next(iter(context.data("pets", batch_size=1)))
    return {
        "size": context.scale.pets.size,
        "eps": asked.eps,
        "alpha": asked.alpha,
        "images": len(bound.images["crpa"]),
        "accuracy": bound.rows()[0]["accuracy"],
        "crpa": bound.rows()[0]["crpa"],
        "seconds": certificate_seconds(model, *image, eps=asked.eps, turns=7),
        "smoothed": [point(context, model, samples) for samples in asked.samples],
    }


def point(context: Context, model: Any, samples: int) -> dict[str, Any]:
    """SegCertify with so many samples: sigma chosen on held-out images."""
    asked, info = context.scale.figure_2, context.info("pets")
    height, width = context.scale.pets.size
    print(f"  {samples} samples", flush=True)

    def smoothing(sigma: float) -> Any:
        return segcertify(
            model, info.num_classes, sigma, passes=samples, alpha=asked.alpha,
            batch_size=asked.batch_size,
        )  # fmt: skip

    def evaluation(split: str, images: int, sigma: float) -> dict[str, float]:
        found = evaluate_smoothing(
            smoothing(sigma), context.data("pets", split, images=images), asked.eps,
            context.folder_of("figure_2") / f"{split}_{samples}_{sigma:g}",
            ignore_class=info.ignore_class,
        )  # fmt: skip
        return found.rows()[0]

    held_out = partial(evaluation, "validation", asked.validation_images)
    sigmas = possible(
        asked.sigmas, asked.eps, passes=samples, pixels=height * width, alpha=asked.alpha
    )  # fmt: skip
    sigma, choices = best_choice(sigmas, lambda sigma: held_out(sigma)["smoothed_crpa"])
    found: dict[str, Any] = {"samples": samples, "sigma": sigma, "held_out": choices}
    if sigma is not None:
        image = next(iter(context.data("pets", batch_size=1)))[0]
        found["crpa"] = evaluation("test", asked.images, sigma)["smoothed_crpa"]
        found["seconds"] = smoothing_seconds(smoothing(sigma), image, asked.eps, turns=3)
    return found


def show(result: dict[str, Any]) -> str:
    """A row for each number of samples, and what the paper says of its own."""
    rows = [["Lipschitz bound", "1", "", f"{100 * result['crpa']:.2f}", "1", "1"]]
    for found in result["smoothed"]:
        name, samples = "SegCertify", str(found["samples"])
        if found["sigma"] is None:
            rows.append([name, samples, "none", "nothing can be certified", "", ""])
            continue
        taken = found["seconds"]
        rows.append(
            [
                name, samples, f"{found['sigma']:g}", f"{100 * found['crpa']:.2f}",
                *(
                    f"{(taken['sampling'] + taken[key]) / result['seconds']:.0f}"
                    for key in ("statistics", "published")
                ),
            ]
        )  # fmt: skip
    height, width = result["size"]
    better = [
        found["samples"]
        for found in result["smoothed"]
        if found["sigma"] is not None and found["crpa"] > result["crpa"]
    ]
    here = (
        f"{better[0]} here" if better else f"{result['smoothed'][-1]['samples']} are too few here"
    )
    header = [
        "method", "passes", "sigma", "CRPA, %", "times the bound's seconds",
        "with published statistics",
    ]  # fmt: skip
    return f"""{table(header, rows)}

eps = {result["eps"]:g}, alpha = {result["alpha"]:g}, {result["images"]} images of {height}x{width},
clean accuracy {100 * result["accuracy"]:.2f} %. Samples that SegCertify takes to certify more than
the bound: {here}, more than {published.FIGURE_2_SAMPLES} in the paper, whose figure gives no
numbers, at about {published.FIGURE_2_TIMES} times the time. SegCertify certifies the smoothed
network, which is another one."""


def draw(result: dict[str, Any]) -> dict[str, Any]:
    """The curve."""
    found = [each for each in result["smoothed"] if each["sigma"] is not None]
    samples = [each["samples"] for each in found]
    figure, axes = plot_panel("samples of SegCertify", f"CRPA at eps = {result['eps']:g}")
    axes.semilogx(samples, [each["crpa"] for each in found], "o-", color="#D55E00",
                  label="SegCertify, the same network")  # fmt: skip
    axes.axhline(result["crpa"], color="#0072B2", label="Lipschitz bound")
    axes.legend(frameon=False)
    return {"paper_figure_2": figure}


EXPERIMENT = Experiment(
    "figure_2", "Figure 2: SegCertify on the same network", pets_lipnet, run, show, draw
)
