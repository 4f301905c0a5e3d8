"""Objectives of a search out of metrics."""

from __future__ import annotations

from typing import Any

from deel_seg._checks import check_choice, received
from deel_seg.tuning.pareto import DIRECTIONS
from deel_seg.tuning.tuner_library import keras_tuner

_OF_METRICS = {"up": "max", "down": "min"}


def certified_objective(metric: Any, *, direction: str | None = None) -> Any:
    """What a search is to make as large, or as small, as it can: a metric on the validation data.

    For a `keras_tuner` tuner of one's own, as for `sweep`.

    Args:
        metric: A metric, such as `CRPA(eps=0.1)`; it is told by its name.
        direction: `"max"` or `"min"`. The metrics of this library know it: a bound on the false
            negative rate is to be small, accuracies, IoUs and radii large.

    Returns:
        A `keras_tuner.Objective` named `val_` and the metric's name.

    Raises:
        ValueError: If the metric does not know its direction and none is given.
        ImportError: If keras-tuner is not installed.

    Example:
    >>> from deel_seg.certificates import CertifiedFNR, StabilityRadius
    >>> from deel_seg.tuning import certified_objective
    >>> str(certified_objective(StabilityRadius(0.5)))
    'Objective(name="val_stability@50", direction="max")'
    >>> certified_objective(CertifiedFNR(0.1, positive_class=1)).direction
    'min'
    """
    known = _OF_METRICS.get(getattr(metric, "_direction", None) or "")
    if direction is None and known is None:
        raise ValueError(
            "`direction` must be given, for the metric does not say whether it is to be large. "
            + received(metric=getattr(metric, "name", metric))
        )
    found = check_choice("direction", direction or known, DIRECTIONS)
    return keras_tuner.Objective(f"val_{metric.name}", found)
