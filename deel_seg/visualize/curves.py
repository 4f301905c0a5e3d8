"""Certified values against budgets, and accuracy against robustness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deel_seg._checks import check_choice, received
from deel_seg.visualize.canvas import ATTACKED, CERTIFIED, plot_panel


def certified_curve_figure(
    eps: Sequence[float],
    certified: Sequence[float],
    attacked: Sequence[float] | None = None,
    *,
    name: str = "pixel accuracy",
) -> Any:
    """Draws a certified value against the budget, below what attacks left, as the paper's Figure 3.

    What no attack can pass lies at or below the one line, what was seen on the other: the truth is
    in between.

    Args:
        eps: Budgets, growing, l2 norms.
        certified: The certified value at each, such as the mean CRPA.
        attacked: The least that attacks left at each; None where none were run.
        name: What the value is.

    Returns:
        A `matplotlib.figure.Figure`, not tied to pyplot.

    Raises:
        ValueError: If the sequences are not of one length, budgets do not grow, or a certified
            value is above what an attack left.
        ImportError: If matplotlib is not installed.

    Example:
    >>> from deel_seg.visualize import certified_curve_figure
    >>> figure = certified_curve_figure([0.0, 0.1], [0.9, 0.8], [0.9, 0.85])
    >>> [line.get_label() for line in figure.axes[0].lines]
    ['under attack', 'certified']

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Figure 3.
    """
    budgets, lower = _numbers("eps", eps), _numbers("certified", certified)
    if len(lower) != len(budgets) or not (np.diff(budgets) > 0).all():
        raise ValueError(
            "`eps` must grow, and `certified` hold a value for each. "
            + received(eps=list(eps), certified=list(certified))
        )
    figure, axes = plot_panel("eps, l2", name)
    if attacked is not None:
        upper = _numbers("attacked", attacked)
        if len(upper) != len(budgets) or (lower > upper).any():
            raise ValueError(
                "`attacked` must hold a value for each budget, none below what is certified. "
                + received(certified=list(certified), attacked=list(attacked))
            )
        axes.plot(budgets, upper, "o-", color=ATTACKED, label="under attack")
        axes.fill_between(budgets, lower, upper, color="0.9", label="not known")
    axes.plot(budgets, lower, "o-", color=CERTIFIED, label="certified")
    axes.legend(frameon=False)
    return figure


def pareto_figure(
    robustness: Sequence[float],
    accuracy: Sequence[float],
    *,
    names: Sequence[str] | None = None,
    robustness_name: str = "stability@50, l2",
    accuracy_name: str = "mIoU",
    robustness_best: str = "max",
    accuracy_best: str = "max",
    robustness_scale: str = "log",
) -> Any:
    """Draws accuracy against robustness, a point for each network, as the paper's Figure 5.

    Points that no other one surpasses in both are joined: the Pareto front. The others are hollow.

    Args:
        robustness: Of each network, such as its mean stability radius; `> 0` on a logarithmic
            axis.
        accuracy: Of each network.
        names: What to write beside each point, such as its temperature.
        robustness_name: Of the horizontal axis.
        accuracy_name: Of the vertical axis.
        robustness_best: `"max"`, or `"min"` where less of it is better, such as a bound of errors.
        accuracy_best: Likewise.
        robustness_scale: `"log"` or `"linear"`: the horizontal axis.

    Returns:
        A `matplotlib.figure.Figure`, not tied to pyplot.

    Raises:
        ValueError: If the sequences are not of one length, or a robustness is not above 0 on a
            logarithmic axis.
        ImportError: If matplotlib is not installed.

    Example:
    >>> from deel_seg.visualize import pareto_figure
    >>> figure = pareto_figure([1.0, 0.5, 0.4], [0.6, 0.7, 0.5], names=["a", "b", "c"])
    >>> figure.axes[0].lines[0].get_xydata().tolist()
    [[0.5, 0.7], [1.0, 0.6]]

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Figure 5.
    """
    x, y = _numbers("robustness", robustness), _numbers("accuracy", accuracy)
    check_choice("robustness_scale", robustness_scale, ("log", "linear"))
    positive = robustness_scale == "linear" or (x > 0).all()
    if len(x) != len(y) or not positive or (names is not None and len(names) != len(x)):
        raise ValueError(
            "`robustness` must be above 0, and `accuracy` and `names` hold one for each. "
            + received(robustness=list(robustness), accuracy=list(accuracy), names=names)
        )
    front = pareto_front(
        x * _sign("robustness_best", robustness_best), y * _sign("accuracy_best", accuracy_best)
    )
    figure, axes = plot_panel(robustness_name, accuracy_name)
    axes.set_xscale(robustness_scale)
    axes.plot(x[front], y[front], "o-", color=CERTIFIED)
    others = np.setdiff1d(np.arange(len(x)), front)
    axes.plot(x[others], y[others], "o", color=CERTIFIED, fillstyle="none")
    axes.margins(x=0.2)  # Room for names beside the last point.
    for place, text in enumerate(names or ()):
        axes.annotate(f" {text}", (x[place], y[place]))
    return figure


def pareto_front(robustness: Any, accuracy: Any) -> list[int]:
    """The points that no other one surpasses in one value without falling behind in the other.

    Example:
    >>> from deel_seg.visualize.curves import pareto_front
    >>> pareto_front([1.0, 0.5, 0.4, 0.5], [0.6, 0.7, 0.5, 0.6])
    [1, 0]
    """
    front: list[int] = []
    best = -np.inf
    for place in np.lexsort((np.asarray(accuracy), np.asarray(robustness)))[::-1]:
        if accuracy[place] > best:
            front.append(int(place))
            best = accuracy[place]
    return front[::-1]


def _sign(name: str, best: str) -> float:
    return 1.0 if check_choice(name, best, ("max", "min")) == "max" else -1.0


def _numbers(name: str, values: Sequence[float]) -> np.ndarray:
    array = np.asarray(values, "float64")
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        raise ValueError(f"`{name}` must be finite numbers. {received(**{name: values})}")
    return array
