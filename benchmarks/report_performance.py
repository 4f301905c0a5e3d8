"""Writes the tables of docs/performance.md from the files under benchmarks/results.

python benchmarks/report_performance.py            writes them, between their marks
python benchmarks/report_performance.py --check    fails if they are not what the files give

The files are those of benchmarks/training.py, inference.py, orthogonality.py, input_pipeline.py,
certified_fit.py and trainings.py.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import pages  # noqa: E402
from benchmarks.report import table  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "performance.md"
SCRIPT = "benchmarks/report_performance.py"
GIGABYTE = 2**30
Found = dict[str, Any]


def read(name: str) -> list[Found]:
    """The files of a benchmark: of each backend that it ran on."""
    files = [RESULTS / f"{name}_{backend}.json" for backend in ("tensorflow", "jax")]
    return [json.loads(file.read_text()) for file in files if file.exists()]


def where(found: Found) -> str:
    """On what it was measured."""
    machine = found["machine"]
    backend = found.get("backend", "tensorflow")
    names = ("keras", backend)
    versions = ", ".join(f"{name} {machine['versions'][name]}" for name in names)
    return f"{machine['device']}, {machine['cores']} cores; {versions}"


def spread(values: Found, form: str) -> str:
    """Median, and quartiles in brackets."""
    median, lower, upper = (format(values[key], form) for key in ("median", "lower", "upper"))
    return f"{median} ({lower} to {upper})"


def batches(setting: Found) -> str:
    """The size of a batch, and how many of them one update of the weights takes."""
    gathered = setting.get("batches_an_update", 1)
    size = str(setting["batch_size"])
    return size if gathered == 1 else f"{size}, {gathered} an update"


def training(found: Found) -> str:
    """Seconds of a step, ratios, and memory."""
    header = [
        "config", "image", "batch", "twin, s a step", "Lipschitz, s a step", "ratio", "turns",
        "peak memory, ratio", "orthogonium over its twin",
    ]  # fmt: skip
    rows = []
    for setting in found["settings"].values():
        seconds = setting["seconds"]
        other = setting.get("orthogonium")
        rows.append(
            [
                setting["config"]
                + ("" if setting["dtype"] == "float32" else f", {setting['dtype']}")
                + (f", in {parts} parts" if (parts := setting.get("remat_parts", 1)) > 1 else ""),
                f"{setting['size']}x{setting['size']}",
                batches(setting),
                f"{seconds['DeepLabV3']['median']:.3g}",
                f"{seconds['LipDeepLabV3']['median']:.3g}",
                spread(setting["ratio"], ".2f"),
                str(setting["turns"]),
                f"{setting['memory']['ratio']:.2f}",
                "not measured" if other is None else spread(other["ratio"], ".2f"),
            ]
        )
    in_parts = any(setting.get("remat_parts", 1) > 1 for setting in found["settings"].values())
    less = "; in parts the Lipschitz network trains in less of it, see below" if in_parts else ""
    return f"""{table(header, rows)}

{where(found)}. Medians, and quartiles in brackets; a ratio is that of one turn, in which both
networks train. Memory is the peak of a process that trains one of them, libraries included{less}.
The last column is the same architecture of orthogonium's adaptive orthogonal convolutions, MaxMin
and BatchCentering2D over that of PyTorch's own layers, timed by turns in PyTorch after ours.
(`python benchmarks/training.py --torch PYTHON`)"""


def little_memory(found: Found) -> str:
    """Steps whose updates take several batches, and networks that train in parts."""
    header = [
        "config", "image", "batch", "in parts", "twin, s a step", "Lipschitz, s a step", "ratio",
        "peak memory, GB",
    ]  # fmt: skip
    rows = [
        [
            setting["config"],
            f"{setting['size']}x{setting['size']}",
            batches(setting),
            str(setting["remat_parts"]),
            f"{setting['seconds']['DeepLabV3']['median']:.3g}",
            f"{setting['seconds']['LipDeepLabV3']['median']:.3g}",
            spread(setting["ratio"], ".2f"),
            f"{setting['memory']['bytes']['LipDeepLabV3']['peak'] / GIGABYTE:.2f}",
        ]
        for setting in found["settings"].values()
    ]
    return f"""{table(header, rows)}

{where(found)}. As in the first table; a step is that of one batch, and the twin trains in one part.
Memory is the peak of a process that trains the Lipschitz network, libraries included.
(`python benchmarks/training.py {" ".join(found["settings"])} --out
benchmarks/results/little_memory_{found["backend"]}.json`)"""


def inference(found: Found) -> str:
    """Ratios to the twin's bare forward pass."""
    kinds = ("network without certificates", "network", "exported")
    header = ["config", "image", "batch", "twin, s", *(f"{kind}, times that" for kind in kinds)]
    rows = [
        [
            setting["config"] + ("" if setting["dtype"] == "float32" else f", {setting['dtype']}"),
            f"{setting['size']}x{setting['size']}",
            str(setting["batch_size"]),
            f"{setting['seconds']['twin']['median']:.3g}",
            *(f"{setting['times_the_twin'][kind]:.2f}" for kind in kinds),
        ]
        for setting in found["settings"].values()
    ]
    return f"""{table(header, rows)}

{where(found)}. Medians of calls by turns, 19 classes. `network` is the condensed Lipschitz
network with CRPA(0.1) and stability@50 from the same compiled call, `exported` the same with what
`vanilla_export` gives; both have centerings with means as after training. The twin computes its
logits and nothing else.
(`python benchmarks/inference.py`)"""


def orthogonality(found: Found) -> str:
    """Extremes of the singular values."""
    header = ["dtype policy", "steps", "smallest singular value", "largest"]
    rows = [
        [policy, str(each["steps"]), f"{each['smallest']:.6f}", f"{each['largest']:.6f}"]
        for policy, each in found["policies"].items()
    ]
    machines = "; ".join(dict.fromkeys(where(each) for each in found["policies"].values()))
    return f"""Of all layers of config S after training with AdamW at 5e-3, by the Fourier transform
of the kernels in float64. A layer that changes dimensions has as many singular values as its
shorter side.

{table(header, rows)}

{machines}. Kernels are shrunk by 2^-16, so that rounding leaves none above 1.
(`python benchmarks/orthogonality.py`)"""


def data(found: Found) -> str:
    """Images a second of the pipeline and of training."""
    rates, trained = found["pipeline"], found["training"]
    size = found["size"]
    header = ["", "images a second"]
    rows = [
        ["first epoch, pictures decoded", f"{rates['first_epoch']:.0f}"],
        ["later epochs, pixels in memory", spread(rates["later"], ".0f")],
        ["training of config S", spread(trained, ".1f")],
    ]
    return f"""CamVid at {size}x{size} in batches of {found["batch_size"]}, cropped, rotated,
flipped and recoloured by `deel_seg.data.load`: {found["ratio"]:.0f} times what training takes, and
{found["ratio_of_first_epoch"]:.1f} times in the first epoch.

{table(header, rows)}

{where(found)}. (`python benchmarks/input_pipeline.py --root DIR`)"""


def quality(found: Found) -> str:
    """The same training by the code from before the step was made faster, and by today's."""
    header = ["", "epochs", "training, s", "pixel accuracy", "CRPA(0.1)"]
    rows = [
        [
            name,
            str(run["epochs"]),
            f"{run['training_seconds']:.0f}",
            f"{run['metrics']['pixel_accuracy']:.3f}",
            f"{run['metrics']['crpa@0_1']:.3f}",
        ]
        for name, run in found.items()
    ]
    height, width = next(iter(found.values()))["arguments"]["size"]
    return f"""CamVid at {height}x{width}, config S, on the test split. Both trainings ran at
the same time, on one core each, with the same arguments (`benchmarks/results/camvid_s_step`):

{table(header, rows)}"""


def certified_fit(found: Found) -> str:
    """What `model.fit` reported."""
    header = ["epoch", "s", "validation accuracy", "CRPA(0.1)", "stability@50"]
    names = ("val_pixel_accuracy", "val_crpa", "val_stability@50")
    rows = [
        [str(epoch), f"{row['seconds']:.3g}", *(f"{row[name]:.3f}" for name in names)]
        for epoch, row in enumerate(found["history"], 1)
    ]
    size = found["size"]
    return f"""Config S on {found["images"]} drawn images of {size}x{size}, in batches of
{found["batch_size"]}; the first epoch compiles.

{table(header, rows)}

{where(found)}. (`python benchmarks/certified_fit.py`)"""


def folders(found: Found) -> str:
    """What reading, writing and the rest take beside a bare loop over the predictor."""
    header = [
        "config", "pictures", "size", "for a report", "bare loop, one by one, s a picture",
        "in batches of", "s a picture", "folder, s a picture", "of the first's throughput",
        "of the second's",
    ]  # fmt: skip
    settings = list(found["settings"])
    for name in ("folder_with_report", "folder_of_pictures"):
        if (file := RESULTS / f"{name}.json").exists():
            settings += json.loads(file.read_text())["settings"]
    rows = [
        [
            each["config"],
            each.get("pictures", "noise"),
            f"{each['size']}x{each['size']}",
            "yes" if each["report"] else "no",
            *middle_of(each, "bare loop"),
            str(each["batch_size"]),
            *middle_of(each, "in the same batches", "folder"),
            *(extent(shares) for shares in each["shares"].values()),
        ]
        for each in settings
    ]
    return f"""{table(header, rows)}

{where(found)}. PNG files, the middle half of the times from one batch to the next,
medians of turns (the lowest and highest in brackets); what is compiled at the beginning is left out
of all. A bare loop takes the pictures one by one, or in the batches that the command line makes of
small pictures. For a report it is also found what
the page shows: 50 budgets, regions, and the order in which pixels are lost. Noise goes through a
new network; pictures through one that was trained on such, which finds regions in them.
(`python benchmarks/folder.py`, also with `--report` and with `--model` and `--pictures`)"""


def report_page(found: Found) -> str:
    """How large a report is, and how long a browser takes to open it."""
    seconds = [found[f"seconds_to_{name}"] for name in ("write", "load", "first_picture")]
    write, load, first = (f"{each:.2g}" for each in seconds)
    step, megabytes = (f"{found[name]:.0f}" for name in ("milliseconds_a_slider_step", "megabytes"))
    size = f"{found['size']}x{found['size']}"
    return f"""The report of {found["images"]} drawn pictures of {size} is a file of {megabytes} MB
with {found["in_explorer"]} of them in its explorer, written in {write} s. Chromium shows its
tables after {load} s and the first picture after {first} s, and takes {step} ms for a step of the
slider. {where(found)}. (`python benchmarks/report_page.py`)"""


def middle_of(found: Found, *names: str) -> list[str]:
    """Medians of the seconds a picture."""
    return [f"{statistics.median(found['seconds'][name]):.3g}" for name in names]


def extent(values: list[float]) -> str:
    """The median, and the lowest and highest."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def trainings() -> list[Found]:
    """The runs that `quality` compares, where both are there."""
    folder = RESULTS / "camvid_s_step"
    files = {name: folder / name / "results.json" for name in ("before", "now")}
    if not all(file.exists() for file in files.values()):
        return []
    return [{name: json.loads(file.read_text()) for name, file in files.items()}]


MISSING = {
    "": "Not measured yet.",
    "fit": "Not measured on a GPU yet; on two cores see [Speed](speed.md#in-training).",
}


def page(text: str) -> str:
    """The page with the tables of the files that there are."""
    parts = {"training": (training, read("training")), "inference": (inference, read("inference"))}
    single = {
        "orthogonality": orthogonality, "input_pipeline": data, "folder": folders,
        "report_page": report_page,
    }  # fmt: skip
    for name, make in single.items():
        file = RESULTS / f"{name}.json"
        parts[name] = (make, [json.loads(file.read_text())] if file.exists() else [])
    parts["fit"] = (certified_fit, read("certified_fit"))
    parts["data"] = parts.pop("input_pipeline")
    parts["quality"] = (quality, trainings())
    parts["memory"] = (little_memory, read("little_memory"))
    for name, (make, files) in parts.items():
        made = "\n\n".join(make(found) for found in files) or MISSING.get(name, MISSING[""])
        text = pages.Part(name, SCRIPT).replaced(text, made)
    return text


if __name__ == "__main__":
    pages.main(PAGE, page, __doc__)
