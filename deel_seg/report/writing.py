"""The certificates of a folder, as one page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from deel_seg._checks import check_real, received
from deel_seg._parts import whole
from deel_seg.report.curves import shares_at_stops
from deel_seg.report.findings import Findings, read_findings
from deel_seg.report.page import page
from deel_seg.report.payload import payload

REPORT_FILE = "report.html"


def write_report(
    folder: str | os.PathLike[str],
    *,
    class_names: Sequence[str] | None = None,
    max_megabytes: float = 60.0,
    verbose: int = 1,
) -> Path:
    """Writes `report.html`, one file to be read in a browser, without a network.

    It has the guarantees in plain words, with the manifest and the audit of the network; certified
    curves over the budget; a table of the pictures to be sorted and filtered; and an explorer: of
    each picture the prediction, the labels, the radii, and at every budget on a slider which pixels
    stay certified alone, which regions hold, and the worst case of the budget shared by all pixels.

    What the slider shows is exactly what the library certifies: the pixels lie in 8-bit levels that
    are cut wherever one of its budgets cuts, the page counts them, and shows nothing of a picture
    whose counts are not those that the library has found.

    The same files give the same page, to the last byte.

    Args:
        folder: What `certify_folder(..., report=True)` has written to.
        class_names: A name for each class; numbers if not given.
        max_megabytes: Size up to which pictures are taken into the explorer, those that keep least
            first. The tables and curves are about all of them.
        verbose: 1 shows a progress bar.

    Returns:
        The file.

    Raises:
        ValueError: If `folder` does not hold what a report takes, or an argument is not as
            described.

    Example:
    >>> import tempfile, numpy as np, deel_seg
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from deel_seg.report import write_report
    >>> model = deel_seg.LipDeepLabV3({"widths": [8], "aspp_rates": [2]}, num_classes=3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     drawn = np.random.default_rng(0).integers(0, 256, (8, 8, 3), "uint8")
    ...     Image.fromarray(drawn).save(Path(folder) / "drawn.png")
    ...     out = Path(folder) / "out"
    ...     found = deel_seg.folders.certify_folder(
    ...         model, folder, out, eps=[0.1], report=True, verbose=0)
    ...     text = write_report(out, verbose=0).read_text("utf-8")
    >>> "What is guaranteed" in text, "drawn.png" in text, "http://" in text
    (True, True, False)
    """
    limit = check_real("max_megabytes", max_megabytes, minimum=0.0) * 1e6
    findings = read_findings(Path(folder))
    names = _checked_names(class_names, findings)
    shares = shares_at_stops(findings)
    weakest = sorted(
        shares, key=lambda name: (float(np.nan_to_num(shares[name]["crs"]).mean()), name)
    )
    # First without maps, to know what is left for them.
    size = len(page(findings, shares, dict.fromkeys(weakest[:1], ""), names))
    rows = {row["image"]: row for row in findings.rows}
    bar = keras.utils.Progbar(len(rows), verbose=verbose, unit_name="image")
    payloads: dict[str, str] = {}
    for name in weakest:
        text = payload(rows[name], findings.picture(name))
        bar.add(1)
        # Beside its maps the button and the option of its name, which may have to be escaped.
        size += len(text) + 300 + 12 * len(name)
        if size > limit:
            bar.update(len(rows), finalize=True)
            break
        payloads[name] = text
    content = page(
        findings, shares, {name: payloads[name] for name in rows if name in payloads}, names
    )
    path = findings.folder / REPORT_FILE
    with whole(path) as file:
        file.write(content)
    return path


def _checked_names(class_names: Sequence[str] | None, findings: Findings) -> list[str]:
    """Names, or none; a number more than needed does no harm."""
    if class_names is None:
        return []
    names = [str(name) for name in class_names]
    if isinstance(class_names, str) or not names or not all(names):
        raise ValueError(
            f"`class_names` must be a sequence of names. {received(class_names=class_names)}"
        )
    return names
