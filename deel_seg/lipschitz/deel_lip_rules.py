"""Bounds of deel-lip's layers, of those that work on Keras 3 and keep their word.

Left out on purpose: the layers with a normalised kernel do not build on Keras 3, and the bound of
`SpectralConv2D` is exceeded by up to 2 % under zero padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_SOUND = frozenset(
    {
        "GroupSort",
        "GroupSort2",
        "FullSort",
        "ScaledAveragePooling2D",
        "ScaledGlobalAveragePooling2D",
        "ScaledL2NormPooling2D",
        "ScaledGlobalL2NormPooling2D",
        "InvertibleDownSampling",
        "InvertibleUpSampling",
    }
)


def deel_lip_bound(layer: Any, incoming: Sequence[float], shapes: Any) -> float | None:
    """Bound from the network's input to the output of a deel-lip layer, or None if not known."""
    kind = type(layer)
    if not kind.__module__.startswith("deel.lip.") or kind.__name__ not in _SOUND:
        return None
    # The invertible samplings permute values and know no factor.
    return float(getattr(layer, "k_coef_lip", 1.0)) * incoming[0]
