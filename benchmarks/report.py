"""Writes docs/results.md and its curves from the files under benchmarks/results.

python benchmarks/report.py            writes them
python benchmarks/report.py --check    fails if the page is not what the files give
"""

from __future__ import annotations

import csv
import json
import shlex
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import pages  # noqa: E402
from benchmarks.trainings import RESULTS, RUNS, TITLES, command  # noqa: E402

PAGE = ROOT / "docs" / "results.md"
IMAGES = ROOT / "docs" / "images"
Run = dict[str, Any]


def read_runs() -> dict[str, Run]:
    """Results and history of every run that has them."""
    runs = {}
    for name in RUNS:
        folder = RESULTS / name
        if not (folder / "results.json").exists():
            continue
        run = json.loads((folder / "results.json").read_text())
        with (folder / "history.csv").open(newline="") as file:
            run["history"] = list(csv.DictReader(file))
        for kind in ("audit", "export"):
            if (folder / f"{kind}.json").exists():
                run[kind] = json.loads((folder / f"{kind}.json").read_text())
        runs[name] = run
    return runs


def read_models() -> dict[str, Any]:
    """Rows of `benchmarks/models.py`, in the order of the configs."""
    file = RESULTS / "models.json"
    rows = json.loads(file.read_text()) if file.exists() else {}
    return {name: rows[name] for name in ("S", "M1", "M2", "L", "R") if name in rows}


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(values: dict[str, Any], key: str, form: str = ".3f") -> str:
    """A figure, or a dash where the run has none."""
    return format(values[key], form) if values.get(key) is not None else "none"


def trainings_table(runs: dict[str, Run]) -> str:
    """One row a run: what the best epoch gives on the test split."""
    header = [
        "run", "constant", "weights", "epochs", "minutes of training", "pixel accuracy",
        "mIoU", "CRPA(0.05)", "CRPA(0.1)", "CRPA(0.25)", "CRS(0.1)", "stability@50",
    ]  # fmt: skip
    keys = ["mean_iou", "crpa@0_05", "crpa@0_1", "crpa@0_25", "crs@0_1", "stability@50"]
    rows = []
    for name, run in runs.items():
        constant = run["lipschitz_constant"]
        rows.append(
            [
                TITLES[name],
                "none" if constant is None else f"{constant:g}",
                f"{run['parameters'] / 1e6:.2f} M",
                str(run["epochs"]),
                f"{run['training_seconds'] / 60:.1f}",
                number(run["metrics"], "pixel_accuracy"),
                *(number(run["metrics"], key) for key in keys),
            ]
        )
    return table(header, rows)


def audits(runs: dict[str, Run]) -> str:
    """The section on the constants of the trained networks."""
    audited = {name: run["audit"] for name, run in runs.items() if "audit" in run}
    if not audited:
        return ""
    header = [
        "run", "by design", "proved from the weights", "largest ratio seen", "seconds",
        "error of a logit seen", "proved",
    ]  # fmt: skip
    rows = [
        [
            TITLES[name],
            number(audit, "by_design", "g"),
            f"{audit['certified']:.6g}",
            f"{audit['seen']:.4g}",
            f"{audit['seconds']:.1f}",
            *(number(audit.get("rounding") or {}, key, ".1e") for key in ("measured", "proved")),
        ]
        for name, audit in audited.items()
    ]
    first = next(iter(audited.values()))
    return f"""## Constants of the trained networks

Of the best checkpoints: the constant by design, the one proved from the weights, and the largest
ratio seen around {first["images"]} images of the test split in {first["iterations"]} steps of each
search. Proving takes the seconds of that column, on two cores. The last two are how far rounding
moves a logit: seen at those images against float64, and proved for all of their size and range, all
roundings at their largest and agreeing.
(`python benchmarks/audits.py`)

{table(header, rows)}

"""


def _times_the_twin(ratios: dict[str, dict[str, float]]) -> str:
    exported, library = ratios["exported"], ratios["library"]
    spread = f"{exported['lower']:.2f}-{exported['upper']:.2f}"
    return f"{exported['median']:.2f} ({spread}) / {library['median']:.2f}"


def exports(runs: dict[str, Run]) -> str:
    """The section on the networks as they leave the library."""
    exported = {name: run["export"] for name, run in runs.items() if "export" in run}
    if not exported:
        return ""
    first = next(iter(exported.values()))
    sizes = list(first["times_the_twin"])
    header = [
        "run", "certified", "exported", "logits differ by", "CRS before", "CRS after",
        "stability@50 before", "after", *(f"times the twin, {size}" for size in sizes),
    ]  # fmt: skip
    rows = [
        [
            TITLES[name],
            f"{run['certified']:.6g}",
            f"{run['exported']:.6g}",
            f"{run['relative_difference']:.1e}",
            *(f"{run[when]['crs']:.6f}" for when in ("before", "after")),
            *(f"{run[when]['stability_radius']:.6f}" for when in ("before", "after")),
            *(_times_the_twin(run["times_the_twin"][size]) for size in sizes),
        ]
        for name, run in exported.items()
    ]
    better = sum(run["better_than_before"] for run in exported.values())
    return f"""## Exported networks

The same checkpoints out of Keras' own layers (`vanilla_export`): the constant proved of the
library's network and of the exported one, the largest difference of a logit relative to the largest
logit, and means over {first["images"]} images of the test split of CRS({first["eps"]}) and
stability@50, by the library's certificates and by the exported predictor's, which take off a
tolerance for what other programs round. Certificates that came out better than before: {better}.
The last columns are the time of a call on one image of so many pixels a side over that of the
unconstrained twin in the same turn, on two cores: the median (quartiles) of the exported network,
and after the stroke the median of the library's own, condensed. Each size has a process of its own:
where other work came before in the same process, large images gave up to a twentieth more, which
takes S past 1.1. What is above 1 goes into sorting
the pairs that two convolutions give and joining them again, and into shifts in front of borders of
zeros, where the twin's normalisation and activation are one with its convolution.
(`python benchmarks/exports.py`)

{table(header, rows)}

"""


def models_table(rows: dict[str, Any]) -> str:
    """One row a named model: constant, and how near to it the network was seen to come."""
    header = [
        "config", "weights", "constant", "largest ratio seen", "largest singular value seen",
        "seconds a step, 64x64, batch 2",
    ]  # fmt: skip
    return table(
        header,
        [
            [
                name,
                f"{row['parameters'] / 1e6:.1f} M",
                f"{row['lipschitz_constant']:g}",
                f"{row['largest_ratio']:.4f}",
                f"{row['largest_singular_value']:.4f}",
                f"{row['train_step_seconds_64']:.2f}",
            ]
            for name, row in rows.items()
        ],
    )


def draw_curves(runs: dict[str, Run]) -> None:
    """Validation accuracy and CRPA over the minutes of training, one picture a data set."""
    from matplotlib.figure import Figure

    for data in sorted({run["arguments"]["data"] for run in runs.values()}):
        figure = Figure(figsize=(7.5, 3.6), layout="constrained")
        axes = figure.subplots()
        chosen = {n: r for n, r in runs.items() if r["arguments"]["data"] == data}
        for colour, (name, run) in zip(
            ("#0072B2", "#D55E00", "#009E73"), chosen.items(), strict=False
        ):
            seconds, minutes = 0.0, []
            for row in run["history"]:
                seconds += float(row["seconds"])
                minutes.append(seconds / 60)
            prefix = "val_" if "val_loss" in run["history"][0] else ""
            for key, style, what in (
                ("pixel_accuracy", "-", "pixel accuracy"),
                ("crpa", "--", f"CRPA({run['arguments']['monitor_eps']:g})"),
            ):
                if prefix + key in run["history"][0]:
                    values = [float(row[prefix + key]) for row in run["history"]]
                    axes.plot(minutes, values, style, color=colour, label=f"{TITLES[name]}: {what}")
        axes.set_xlabel("minutes of training")
        axes.set_ylabel(f"{'validation' if prefix else 'training'} split")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, frameon=False, loc="lower right")
        figure.savefig(IMAGES / f"curves_{data}.png", dpi=110)


def networks(models: dict[str, Any]) -> str:
    """The section on the named models."""
    if not models:
        return ""
    row, big = next(iter(models.values())), models.get("M2", {})
    text = f"""## Networks against their constant

After {row["training_steps"]} training steps at a learning rate of 5e-3: the largest ratio of output
to input change over {row["pairs"]} pairs of images, far and near, smooth and rough; and the largest
singular value of the Jacobian that {row["power_iterations"]} power iterations find. Neither may
exceed the constant. Rows are of different days, and so are their seconds of a step: of networks
beside each other in one run see [performance](performance.md). (`python benchmarks/models.py`)

{models_table(models)}"""
    if "forward_seconds_1024" in big:
        text += f"""

`LipDeepLabV3("M2", num_classes=19)` takes {big["forward_seconds_1024"]:.1f} s for a forward pass at
1024x1024, and {big["train_step_seconds_256_jit"]:.1f} s for a training step at 256x256, batch 2,
with `jit_compile=True`, once it is compiled."""
    return text


def page(runs: dict[str, Run], models: dict[str, Any]) -> str:
    """The page, from the files alone."""
    commands = "\n\n".join(shlex.join(command(name)) for name in runs)
    curves = "\n\n".join(
        f"![Validation curves on {data}](images/curves_{data}.png)"
        for data in sorted({run["arguments"]["data"] for run in runs.values()})
    )
    return f"""# Results

Measured on two CPU cores, without a GPU. Made by `python benchmarks/report.py` from the files
under `benchmarks/results`, which the runs wrote themselves.

## Real data

What the epoch with the best validation value gives on the test split: means over images, void
pixels left out. Budgets are l2 norms of a change to an image in [0, 1]. mIoU is over the whole
split, without attack. CamVid has 11 classes at 160x120 where it says nothing else, Pets 3 classes
(border included) and Kvasir 2 at 128x128. The unconstrained twin has no constant and no
certificate.

{trainings_table(runs)}

Minutes are those of the training steps, other programs not excluded. The CamVid runs had both
cores, those at 160x120 for about as long; Pets and Kvasir ran side by side, one core each.

{curves}

The commands, with the data sets under the folder that `DEEL_SEG_DATA` names
(`python benchmarks/trainings.py` runs them all):

```sh
{commands}
```

{audits(runs)}{exports(runs)}{networks(models)}

## Certified scenes

Drawn scenes of the `shapes` data set, certified by the network that `make demo` trains.

![Certificates of a drawn scene at a budget of 0.1](images/quickstart/certificates.png)

![The same at a budget of 0.25](images/quickstart/certificates_025.png)
"""


def main() -> None:
    """Writes the page, or compares it."""
    check = pages.parser(__doc__).parse_args().check
    runs = read_runs()
    if not check:
        IMAGES.mkdir(parents=True, exist_ok=True)
        draw_curves(runs)
    pages.write_or_check(PAGE, page(runs, read_models()), check=check)


if __name__ == "__main__":
    main()
