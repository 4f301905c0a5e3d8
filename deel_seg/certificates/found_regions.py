"""Connected regions of one predicted class, found and sorted: where their certificates start."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from deel_seg.certificates.class_groups import Groups, group_of
from deel_seg.certificates.connected_regions import number_regions, region_roots
from deel_seg.certificates.counted_pixels import count_pixels
from deel_seg.certificates.pixels import predicted_class
from deel_seg.certificates.sorted_regions import SortedRegions, sort_regions

Tensor = Any


class RegionPixels(NamedTuple):
    """The pixels that regions are made of."""

    margins: Tensor  # (batch, height, width) float32; -1 outside
    classes: Tensor  # the same shape: predicted classes, or the first ones of their groups
    inside: Tensor  # the same shape, bool; nowhere in an image that cannot be certified
    valid: Tensor  # (batch,), bool


class FoundRegions(NamedTuple):
    """Regions in the graph, and the pixels of each in the order of their margins."""

    ordered: SortedRegions
    roots: Tensor  # (batch, pixels) int32, see `region_roots`
    numbers: Tensor  # (batch, pixels) int32; 0 where there is no region
    valid: Tensor  # (batch,), bool


def find_regions(
    logits: Tensor,
    labels: Tensor | None,
    mask: Tensor | None,
    lipschitz_constant: Tensor,
    logit_tolerance: Tensor,
    min_pixels: Tensor,
    *,
    ignore_class: int | None,
    num_classes: int,
    connectivity: int,
    p: float,
    class_groups: Groups | None,
) -> FoundRegions:
    """Finds and sorts the regions of a batch of predictions, in the graph.

    Args:
        logits: Checked tensors, as the next four.
        labels: See `count_pixels`.
        mask: See `count_pixels`.
        lipschitz_constant: Scalar.
        logit_tolerance: Scalar.
        min_pixels: Scalar, int32.
        ignore_class: See `count_pixels`.
        num_classes: Number of logits.
        connectivity: 4 or 8.
        p: Norm of the attack, for the price of leaving a group.
        class_groups: Groups that count as one class, see `check_class_groups`.
    """
    pixels = region_pixels(
        logits,
        labels,
        mask,
        lipschitz_constant,
        logit_tolerance,
        ignore_class=ignore_class,
        num_classes=num_classes,
        p=p,
        class_groups=class_groups,
    )
    roots = region_roots(pixels.classes, pixels.inside, connectivity)
    ordered = sort_regions(ops.reshape(pixels.margins, ops.shape(roots)), roots)
    numbers = number_regions(roots, ordered.sizes >= min_pixels)
    return FoundRegions(ordered, roots, numbers, pixels.valid)


def region_pixels(
    logits: Tensor,
    labels: Tensor | None,
    mask: Tensor | None,
    lipschitz_constant: Tensor,
    logit_tolerance: Tensor,
    *,
    ignore_class: int | None,
    num_classes: int,
    p: float,
    class_groups: Groups | None,
) -> RegionPixels:
    """The pixels that regions are made of; arguments as above."""
    pixels = count_pixels(
        logits,
        labels,
        mask,
        logit_tolerance,
        ignore_class=ignore_class,
        num_classes=num_classes,
        by_label=False,
        class_groups=class_groups,
        p=p,
    )
    margins = ops.reshape(pixels.margins, ops.shape(logits)[:-1])
    defined = pixels.defined(lipschitz_constant, logit_tolerance)[:, None, None]
    inside = ops.logical_and(margins >= 0, defined)
    classes = group_of(predicted_class(logits, num_classes), class_groups)
    return RegionPixels(ops.where(inside, margins, -1.0), classes, inside, pixels.valid)
