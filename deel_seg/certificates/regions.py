"""Certified radius of every connected region of one predicted class (paper Eq. 30, Fig. 1, 8)."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from deel_seg._backend import (
    compiled,
    in_host_memory,
    is_concrete,
    taken,
)
from deel_seg._checks import check_choice, check_integer
from deel_seg.certificates.changed_pixels import (
    ChangedPixels,
    check_fraction_or_left,
    pixels_needed,
)
from deel_seg.certificates.class_groups import check_class_groups
from deel_seg.certificates.costs import radius_below
from deel_seg.certificates.found_regions import find_regions, region_pixels
from deel_seg.certificates.inputs import MAX_PIXELS, check_inputs
from deel_seg.certificates.pixels import predicted_class
from deel_seg.certificates.radii_on_host import radii_on_host
from deel_seg.certificates.rounding import to_float32_below

Tensor = Any


class RegionRadii(NamedTuple):
    """Regions of a batch of predictions, and their radii, written at each of their pixels.

    Attributes:
        radius: `(batch, height, width)`, float32: radius of the region; NaN where there is none.
        regions: `(batch, height, width)`, int32: in each image 1, 2, ... in the order in which
            reading row by row meets the regions; 0 where there is none.
    """

    radius: Tensor
    regions: Tensor


class Region(NamedTuple):
    """A connected region of one predicted class.

    Attributes:
        number: Its number in `RegionRadii.regions`.
        class_id: The predicted class of its pixels; with `class_groups`, of the first of them.
        pixels: How many they are.
        radius: Its radius, in the units of the model input.
    """

    number: int
    class_id: int
    pixels: int
    radius: float


def region_radius(
    logits: Any,
    *,
    fraction: Any = None,
    pixels_left: int | None = None,
    min_pixels: int = 1,
    connectivity: int = 4,
    labels: Any = None,
    lipschitz_constant: Any = 1.0,
    p: float = 2,
    ignore_class: int | None = None,
    mask: Any = None,
    logit_tolerance: Any = 0.0,
    class_groups: Sequence[Sequence[int]] | None = None,
) -> RegionRadii:
    r"""Lower-bounds, for each connected region, the attack size that changes most of its pixels.

    A region $S$ is a maximal connected set of pixels of one predicted class. Of its pixels
    $n = \lceil q |S| \rceil$ have to change to any other classes, $q$ = `fraction`, or with
    `pixels_left` all but that many; no attack smaller than
    $(\sum_{k \le n} R^{\pi(k)}(X)^p)^{1/p}$ does it, $\pi$ being the order of the radii
    $R^\omega(X)$ of the pixels of $S$ (see `pixel_radius`). All regions are certified at once, each
    against an attack that spends its whole budget there.

    Args:
        logits: `(batch, height, width, classes)`, floating point, before softmax and before any
            temperature; `classes = 1` is a binary model, whose prediction is `z > 0`.
        fraction: Share of the pixels of a region that changes, in `(0, 1]`; at most six decimals,
            or a `fractions.Fraction` of denominator at most 10^6. `None` is 0.9, unless
            `pixels_left` is given, which excludes it.
        pixels_left: Number of pixels of a region that keep their class. The radius of a region
            that has no more than these is 0.
        min_pixels: Smaller regions are left out.
        connectivity: 4 for neighbours that share an edge, 8 for those that share a corner too.
        labels: `(batch, height, width)`, integers, or `None`. They only say which pixels
            `ignore_class` leaves out.
        lipschitz_constant: Proved upper bound `L > 0` of the map from image to `logits`, both
            measured in the l_p norm.
        p: Norm of the attack: 1, 2 or `inf`.
        ignore_class: Class of the pixels left out: by label where `labels` are given, and
            otherwise by clean prediction. They belong to no region and do not connect any.
        mask: `(batch, height, width)`, bool; pixels outside are left out. `None` keeps all.
        logit_tolerance: How far each logit may be from its exact value; margins shrink by it.
        class_groups: Disjoint groups of class ids that count as one, such as `[(11, 13, 14)]`, in
            which a pixel may change and stay in its region. Classes in none of them stand alone.

    Returns:
        `RegionRadii`; the radii are rounded down. In a graph an image with NaN or infinite
            logits has no regions.

    Raises:
        ValueError: When an argument has the wrong shape or value, or `fraction` and
            `pixels_left` are both given; outside a graph also for NaN or infinite logits.

    Example:
    Class 0 in two pieces; half of the first is its cheapest pixel, of margin 1.

    >>> import numpy as np
    >>> from deel_seg.certificates import list_regions, region_radius
    >>> margins = np.array([[[1.0, 2.0, -4.0, 3.0]]], dtype="float32")
    >>> logits = np.stack([margins, np.zeros_like(margins)], axis=-1)
    >>> certified = region_radius(logits, fraction=0.5)
    >>> for region in list_regions(certified, logits)[0]:
    ...     print(region.class_id, region.pixels, f"{region.radius:.4f}")
    0 2 0.7071
    1 1 2.8284
    0 1 2.1213

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Eq. 30, Fig. 1, 8.
    """
    changed = check_fraction_or_left(fraction, pixels_left)
    check_choice("connectivity", connectivity, (4, 8))
    min_pixels = min(check_integer("min_pixels", min_pixels, minimum=1), MAX_PIXELS)
    inputs = check_inputs(
        logits,
        labels,
        mask,
        lipschitz_constant=lipschitz_constant,
        p=p,
        ignore_class=ignore_class,
        logit_tolerance=logit_tolerance,
        labels_name_classes=False,
    )
    static = {
        "connectivity": connectivity,
        "class_groups": check_class_groups(class_groups, inputs.static["num_classes"]),
    }
    tensors = [each for each in inputs.tensors if each is not None]
    if is_concrete(*tensors) and in_host_memory(tensors[0]):
        on_host = functools.partial(_radii_on_host, changed=changed, min_pixels=min_pixels)
        return inputs.certify(on_host, **static)
    smallest = ops.convert_to_tensor(min_pixels, "int32")
    return inputs.certify(_compiled_radii, smallest, *changed.tensors(), **static)


def list_regions(certified: RegionRadii, logits: Any) -> list[list[Region]]:
    """Lists the regions of each image, outside a graph.

    Args:
        certified: What `region_radius` returned.
        logits: `(batch, height, width, classes)`, those that it was given.

    Returns:
        One list for each image, in the order of the numbers.

    Example:
    >>> import numpy as np
    >>> from deel_seg.certificates import list_regions, region_radius
    >>> logits = np.array([[[[0.0, 2.0], [0.0, 2.0]]]])
    >>> [[region]] = list_regions(region_radius(logits, fraction=1), logits)
    >>> region.number, region.class_id, region.pixels, round(region.radius, 4)
    (1, 1, 2, 2.0)
    """
    logits = ops.convert_to_tensor(logits)
    classes = ops.convert_to_numpy(predicted_class(logits, logits.shape[-1]))
    radii, regions = (ops.convert_to_numpy(part) for part in certified)
    listed = []
    for image in range(len(regions)):
        numbers, first, sizes = np.unique(regions[image], return_index=True, return_counts=True)
        at = first[numbers > 0]
        listed.append(
            [
                Region(int(number), int(class_id), int(size), float(radius))
                for number, class_id, size, radius in zip(
                    numbers[numbers > 0],
                    classes[image].reshape(-1)[at],
                    sizes[numbers > 0],
                    radii[image].reshape(-1)[at],
                    strict=True,
                )
            ]
        )
    return listed


def _region_radii(
    logits: Tensor,
    labels: Tensor | None,
    mask: Tensor | None,
    lipschitz_constant: Tensor,
    logit_tolerance: Tensor,
    min_pixels: Tensor,
    *changed: Tensor,
    p: float,
    num_classes: int,
    **static: Any,
) -> tuple[RegionRadii, Tensor]:
    tensors = (logits, labels, mask, lipschitz_constant, logit_tolerance, min_pixels)
    found = find_regions(*tensors, num_classes=num_classes, p=p, **static)
    ordered, shape = found.ordered, ops.shape(logits)[:-1]
    needed = pixels_needed(ordered.sizes, *changed)
    total = ordered.least_total(ordered.running_totals(p), needed)
    radius = to_float32_below(radius_below(total, lipschitz_constant, p, num_classes))
    radius = taken(radius, found.roots)
    radius = ops.where(found.numbers > 0, radius, math.nan)
    return RegionRadii(ops.reshape(radius, shape), ops.reshape(found.numbers, shape)), found.valid


_compiled_radii = compiled(
    _region_radii,
    static_argnames=("p", "ignore_class", "num_classes", "connectivity", "class_groups"),
)


def _radii_on_host(
    *tensors: Tensor,
    changed: ChangedPixels,
    min_pixels: int,
    p: float,
    num_classes: int,
    connectivity: int,
    **static: Any,
) -> tuple[RegionRadii, Tensor]:
    """The same outside of a graph, several times faster on a processor."""
    *pixels, valid = _compiled_pixels(*tensors, p=p, num_classes=num_classes, **static)
    found = radii_on_host(
        *(ops.convert_to_numpy(each) for each in pixels),
        changed=changed,
        min_pixels=min_pixels,
        connectivity=connectivity,
        lipschitz_constant=tensors[3],
        p=p,
        num_classes=num_classes,
    )
    radius = np.append(np.float32(math.nan), found.radius)[found.numbers]
    inside = found.numbers > 0
    first = np.min(found.numbers, axis=(1, 2), where=inside, initial=MAX_PIXELS)
    numbers = np.where(inside, found.numbers - first[:, None, None] + 1, 0)
    return RegionRadii(ops.convert_to_tensor(radius), ops.convert_to_tensor(numbers)), valid


_compiled_pixels = compiled(
    region_pixels, static_argnames=("p", "ignore_class", "num_classes", "class_groups")
)
