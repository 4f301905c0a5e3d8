"""The certified curve of an epoch as a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Okabe and Ito's colours, and a mark each for print.
_LINES = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#000000", "v"))
_NOT_CURVES = ("eps", "pixel_accuracy", "mean_iou", "lipschitz_constant", "images", "skipped")


def has_matplotlib() -> bool:
    """Whether the curve can be drawn."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        return False
    return True


def curve_figure(curve: dict[str, list[Any]]) -> Any:
    """Draws every certified column of `CertificateCurve.curve` against the budgets.

    The axes are those of every epoch, so that pictures of several can be compared.

    Example:
    >>> from deel_seg.certificates.callbacks.curve_picture import curve_figure
    >>> figure = curve_figure({"eps": [0.0, 0.5], "crpa": [0.9, 0.4], "mean_iou": [0.7, 0.7]})
    >>> [(line.get_label(), line.get_xydata().tolist()) for line in figure.axes[0].lines]
    [('crpa', [[0.0, 0.9], [0.5, 0.4]])]
    """
    from matplotlib.figure import Figure

    eps = curve["eps"]
    order = sorted(range(len(eps)), key=eps.__getitem__)
    names = [name for name in curve if name not in _NOT_CURVES and not name.startswith("stability")]
    figure = Figure(figsize=(5.6, 3.6), dpi=100, layout="constrained")
    axes = figure.subplots()
    for place, name in enumerate(names):
        colour, mark = _LINES[place % len(_LINES)]
        heights = [curve[name][i] for i in order]
        axes.plot([eps[i] for i in order], heights, color=colour, marker=mark, label=name)
    axes.set(xlabel="eps", ylabel="certified", ylim=(-0.02, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


def curve_picture(curve: dict[str, list[Any]]) -> NDArray[np.uint8]:
    """The same as pixels `(height, width, 3)`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(curve_figure(curve))
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
