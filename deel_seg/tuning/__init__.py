"""Sweeps over temperatures, widths and learning rates; they need keras-tuner, the extra `tuner`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deel_seg.tuning.pareto import non_dominated
from deel_seg.tuning.sweep_result import SweepResult, Trial

if TYPE_CHECKING:
    from deel_seg.tuning.hypermodel import SegmentationHyperModel
    from deel_seg.tuning.objectives import certified_objective
    from deel_seg.tuning.running import sweep

__all__ = [
    "SegmentationHyperModel",
    "SweepResult",
    "Trial",
    "certified_objective",
    "non_dominated",
    "sweep",
]

_NEED_KERAS_TUNER = {
    "SegmentationHyperModel": "hypermodel",
    "certified_objective": "objectives",
    "sweep": "running",
}


def __getattr__(name: str) -> Any:
    """Imports what needs keras-tuner when it is first asked for."""
    if name not in _NEED_KERAS_TUNER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_NEED_KERAS_TUNER[name]}"), name)
