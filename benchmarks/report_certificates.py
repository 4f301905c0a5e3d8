"""Writes docs/speed.md from the files under benchmarks/results.

python benchmarks/report_certificates.py            writes it
python benchmarks/report_certificates.py --check    fails if the page is not what the files give
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import pages  # noqa: E402
from benchmarks.report import table  # noqa: E402
from benchmarks.speed_tables import (  # noqa: E402
    accelerator_table,
    all_cases_table,
    growth_table,
    main_table,
)
from benchmarks.speed_targets import MAIN, UNEVEN, Rows, targets  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "speed.md"


def read_results() -> dict[str, Any]:
    """The files of `benchmarks/certificates.py`, by section, and that of `fit_overhead.py`."""
    files = {path.stem: path for path in sorted(RESULTS.glob("*.json"))}
    wanted = {
        name: path
        for name, path in files.items()
        if name.startswith("certificates_") or name == "fit_overhead"
    }
    return {name: json.loads(path.read_text()) for name, path in wanted.items()}


def targets_table(results: dict[str, Any]) -> str:
    """Each target, the figure furthest from it, and whether it is met."""
    words = {True: "yes", False: "**no**", None: ""}
    return table(
        ["target", "wanted", "measured, worst case", "met"],
        [[t.what, t.limit, t.measured, words[t.holds]] for t in targets(results)],
    )


def processor_section(rows: Rows) -> str:
    """What was measured on the processor."""
    machine = rows["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    text = f"""## On the processor

{machine["device"]}, {machine["cores"]} cores; {versions}."""
    if MAIN in rows["cases"]:
        text += f"""

One image of 1024x1024 pixels and 19 classes, 76 MiB of logits. Peak extra memory is what a process
holds at most during a call, beyond what it held before; results count, compilation does not.

{main_table(rows)}

How the time grows; for comparison, the factor by which the data grows:

{growth_table(rows["cases"])}"""
    for batch, title in ((1, "One image"), (8, "Eight images")):
        if any(f"batch {batch} smooth" in key for key in rows["cases"]):
            text += f"""

{title}, milliseconds, and passes over the logits in brackets:

{all_cases_table(rows, batch)}"""
    return text


def accelerator_section(rows: Rows) -> str:
    """What was measured on an accelerator under JAX."""
    machine = rows["machine"]
    text = f"""## On a GPU

{machine["device"]}, JAX {machine["versions"]["jax"]}. A single call includes its launch and the
wait for its end; of ten calls queued, only the last is waited for, which shows what the device
itself takes. Bandwidth is that of reading the logits once, beside the
{machine["copy_bytes_per_second"] / 1e9:,.0f} GB/s that a copy reads and writes on the same
device."""
    if MAIN in rows["cases"]:
        text += f"""

One image of 1024x1024 pixels and 19 classes:

{accelerator_table(rows)}"""
    for batch, title in ((1, "One image"), (8, "Eight images")):
        if any(f"batch {batch} smooth" in key for key in rows["cases"]):
            text += f"""

{title}, milliseconds of one call, and passes over the logits in brackets:

{all_cases_table(rows, batch)}"""
    return text


def training_section(fit: dict[str, Any]) -> str:
    """What the metrics add to a training step."""
    ratios, size, step, update = fit["ratio"], fit["size"], fit["step"], fit["update"]
    metrics = ", ".join(f"`{name}`" for name in fit["metrics"])
    return f"""## In training

`LipDeepLabV3("S")` at {size}x{size}, batch {fit["batch_size"]}: two equal models take turns in
`model.fit`, one with {metrics}. Over {fit["pairs"]} pairs of steps, the step with metrics takes
{ratios["median"]:.3f} times as long as the one without (quartiles {ratios["lower"]:.3f} to
{ratios["upper"]:.3f}), which takes {1e3 * step["median"]:,.0f} ms. The update of the metrics alone
takes {1e3 * update["median"]:,.1f} ms, {update["median"] / step["median"]:.1%} of that."""


def page(results: dict[str, Any]) -> str:
    """The page, from the files alone."""
    sections = []
    if "certificates_tensorflow" in results:
        sections.append(processor_section(results["certificates_tensorflow"]))
    if "fit_overhead" in results:
        sections.append(training_section(results["fit_overhead"]))
    for rows in results.values():
        if "copy_bytes_per_second" in rows.get("machine", {}):
            sections.append(accelerator_section(rows))
    return f"""# Speed

Made by `python benchmarks/report_certificates.py` from the files under `benchmarks/results`, which
`benchmarks/certificates.py` and `benchmarks/fit_overhead.py` wrote.

The yardstick is one pass over the logits: the largest one of each pixel, eager or compiled,
whichever is faster in the same run. The obvious code is that of CRPA: it finds the two largest
logits of each pixel, sorts the costs and sums them up. All candidates take turns in one process;
figures are medians with quartiles. The certificates are called inside a compiled function on
tensors that are already there, unless a row says that the call is eager. Logits are smooth over the
image, and the labels agree with 85 % of the predictions.

## Targets

At 1024x1024 pixels, 19 classes, one image, in float32, on the processor unless said otherwise.
Where a target is for several certificates, the figure is that of the one that misses it by most, or
comes nearest. The obvious code in TensorFlow is its faster variant, with XLA or without. Growth
counts as linear up to {UNEVEN} times that of the data, or of the one pass where that grows faster.

{targets_table(results)}

{(chr(10) * 2).join(sections) if sections else "Nothing is measured yet."}
"""


if __name__ == "__main__":
    pages.main(PAGE, lambda _: page(read_results()), __doc__)
