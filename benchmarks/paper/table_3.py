"""Table 3: the least IoU of a class over a data set that attacks of a budget can reach."""

from __future__ import annotations

import time
from typing import Any

from keras import ops

from benchmarks.paper import published
from benchmarks.paper.experiment import Context, Experiment
from benchmarks.paper.networks import scenes_lipnet
from benchmarks.report import table
from deel_seg._inference import compiled_inference
from deel_seg.certificates import CertifiedIoUCurve
from deel_seg.visualize.canvas import plot_panel


def run(context: Context) -> dict[str, Any]:
    """The curve over the test split; each image has the whole budget."""
    asked, info = context.scale.table_3, context.info("scenes")
    model = context.model("scenes_lipnet")
    infer = compiled_inference(model)
    curve = CertifiedIoUCurve(
        asked.eps, info.num_classes, [info.class_names.index(asked.class_name)],
        lipschitz_constant=model.lipschitz_constant, ignore_class=info.ignore_class,
    )  # fmt: skip
    data = context.data("scenes", batch_size=1)
    curve.update(*_logits(infer, next(iter(data))))  # Compiles.
    curve.reset()
    seconds = 0.0
    for batch in data:
        logits, labels = _logits(infer, batch)
        start = time.perf_counter()
        curve.update(logits, labels)
        seconds += time.perf_counter() - start
    found = curve.result()
    return {
        "class_name": asked.class_name,
        "size": context.scale.scenes.size,
        "images": found.num_images,
        "images_with_class": int(found.images[0]),
        "eps": list(asked.eps),
        "iou": [float(value) for value in found.iou.reshape(-1)],
        "milliseconds": 1e3 * seconds / found.num_images,
    }


def _logits(infer: Any, batch: Any) -> tuple[Any, Any]:
    images, labels = (ops.convert_to_tensor(part) for part in batch)
    logits = infer(images)
    ops.convert_to_numpy(logits)  # Waits: what follows is timed.
    return logits, labels


def show(result: dict[str, Any]) -> str:
    """A row a budget."""
    rows = [
        [f"{eps:g}", f"{100 * iou:.2f}",
         f"{published.TABLE_3[eps]:.2f}" if eps in published.TABLE_3 else ""]
        for eps, iou in zip(result["eps"], result["iou"], strict=True)
    ]  # fmt: skip
    height, width = result["size"]
    header = ["eps", f"worst IoU of {result['class_name']}, %", 'paper: "person", %']
    return f"""{table(header, rows)}

Over all {result["images"]} images of {height}x{width}, of which {result["images_with_class"]} show
the class, with a budget of eps for each of them. All budgets at once take
{result["milliseconds"]:.1f} ms an image beside the forward pass; in the paper
{published.TABLE_3_MILLISECONDS} ms."""


def draw(result: dict[str, Any]) -> dict[str, Any]:
    """The curve."""
    figure, axes = plot_panel("eps, l2", f"certified IoU of {result['class_name']}")
    axes.plot(result["eps"], result["iou"], "o-", color="#0072B2")
    return {"paper_table_3": figure}


EXPERIMENT = Experiment(
    "table_3", "Table 3: worst IoU of a class", scenes_lipnet, run, show, draw
)  # fmt: skip
