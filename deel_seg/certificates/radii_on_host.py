"""Radii of the regions of predictions whose margins are known, in the memory of the host."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from keras import ops

from deel_seg._backend import accumulation_dtype, compiled
from deel_seg.certificates.changed_pixels import ChangedPixels
from deel_seg.certificates.costs import radius_below
from deel_seg.certificates.regions_on_host import connect_all, least_totals, sort_by_region
from deel_seg.certificates.rounding import to_float32_below
from deel_seg.certificates.sorted_regions import lowered_totals

Tensor = Any


class RegionsOnHost(NamedTuple):
    """The regions of a batch, listed one image after the other, each in reading order."""

    numbers: np.ndarray  # (batch, height, width) int32: place in the list from 1 on; 0 for none
    sizes: np.ndarray  # (regions,), pixels
    radius: np.ndarray  # (regions,), float32


def radii_on_host(
    margins: np.ndarray,
    classes: np.ndarray,
    inside: np.ndarray,
    *,
    changed: ChangedPixels,
    min_pixels: int,
    connectivity: int,
    lipschitz_constant: Any,
    p: float,
    num_classes: int,
    order: np.ndarray | None = None,
) -> RegionsOnHost:
    """Lower-bounds for each region the budget that changes most of its pixels.

    Args:
        margins: `(batch, height, width)`, float32; `>= 0` inside.
        classes: The same shape, integers: what the pixels of a region have in common.
        inside: The same shape, bool: pixels that are of regions.
        changed: How many pixels of a region have to change.
        min_pixels: Smaller regions are left out.
        connectivity: 4 or 8.
        lipschitz_constant: Checked scalar.
        p: Norm of the attack.
        num_classes: Number of logits.
        order: The places of all margins in increasing order, if that is known.
    """
    numbers = connect_all(classes, inside, connectivity, min_pixels)
    sizes = np.bincount(numbers.ravel())[1:]
    ordered = sort_by_region(margins.ravel(), numbers.ravel(), order)
    starts = np.cumsum(sizes) - sizes
    totals = least_totals(ordered, starts, changed.needed(sizes), p, accumulation_dtype())
    # Filled up to one of few lengths, for which this is compiled once.
    filled = np.pad(totals, (0, (1 << len(totals).bit_length()) - len(totals)))
    radius = _compiled_radius(
        ops.convert_to_tensor(filled), lipschitz_constant, p=p, num_classes=num_classes
    )
    return RegionsOnHost(numbers, sizes, ops.convert_to_numpy(radius)[: len(sizes)])


def _radius(totals: Tensor, lipschitz_constant: Tensor, *, p: float, num_classes: int) -> Tensor:
    total = lowered_totals(totals, p)
    return to_float32_below(radius_below(total, lipschitz_constant, p, num_classes))


_compiled_radius = compiled(_radius, static_argnames=("p", "num_classes"))
