"""Certified stability of every connected region of one predicted class (paper Eq. 30)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from keras import ops

from deel_seg._backend import compiled, taken
from deel_seg._checks import check_choice, check_integer
from deel_seg.certificates.class_groups import check_class_groups
from deel_seg.certificates.costs import capacity
from deel_seg.certificates.found_regions import find_regions
from deel_seg.certificates.inputs import MAX_PIXELS, check_eps, check_inputs
from deel_seg.certificates.rounding import ratio_below

Tensor = Any


class RegionShares(NamedTuple):
    """Regions of a batch of predictions, and what is left of each, written at all its pixels.

    Attributes:
        share: `(batch, height, width)`, or `(batch, len(eps), height, width)` for a sequence;
            float32: share of the region that is left; NaN where there is none.
        regions: `(batch, height, width)`, int32: numbers of the regions, as in `RegionRadii`.
    """

    share: Tensor
    regions: Tensor


def worst_case_region_stability(
    logits: Any,
    *,
    eps: Any,
    min_pixels: int = 1,
    connectivity: int = 4,
    labels: Any = None,
    lipschitz_constant: Any = 1.0,
    p: float = 2,
    ignore_class: int | None = None,
    mask: Any = None,
    logit_tolerance: Any = 0.0,
    class_groups: Sequence[Sequence[int]] | None = None,
) -> RegionShares:
    r"""Lower-bounds, for each connected region, the share of its pixels that keep their class.

    Answers Q1 for every maximal connected set $S$ of pixels of one predicted class at once, each
    against an attack that spends its whole budget there:

    $$1 - \frac{1}{|S|} \sup\Big\{n : \sum_{k \le n} R^{\pi(k)}(X)^p \le \epsilon^p\Big\},$$

    where $\pi$ is the order of the radii $R^\omega(X)$ of its pixels (see `pixel_radius`). The
    least budget for a given share is `region_radius`.

    Args:
        logits: `(batch, height, width, classes)`, floating point, before softmax and before any
            temperature; `classes = 1` is a binary model, whose prediction is `z > 0`.
        eps: Budget `>= 0` in the units of the model input, or a 1-D sequence of budgets.
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
        `RegionShares`; the shares are rounded down to multiples of 2^-24. In a graph an image with
            NaN or infinite logits has no regions.

    Raises:
        ValueError: When an argument has the wrong shape or value; outside a graph also for NaN
            or infinite logits.

    Example:
    Two pixels of class 0 with margins 1 and 2, and one of class 1 with margin 4.

    >>> import numpy as np
    >>> from keras import ops
    >>> from deel_seg.certificates import worst_case_region_stability
    >>> margins = np.array([[[1.0, 2.0, -4.0]]], dtype="float32")
    >>> logits = np.stack([margins, np.zeros_like(margins)], axis=-1)
    >>> certified = worst_case_region_stability(logits, eps=1.0)
    >>> ops.convert_to_numpy(certified.share).tolist()
    [[[0.5, 0.5, 1.0]]]

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Eq. 30, Fig. 8.
    """
    check_choice("connectivity", connectivity, (4, 8))
    min_pixels = min(check_integer("min_pixels", min_pixels, minimum=1), MAX_PIXELS)
    budgets, is_sequence = check_eps(eps)
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
    smallest = ops.convert_to_tensor(min_pixels, "int32")
    static = {
        "connectivity": connectivity,
        "class_groups": check_class_groups(class_groups, inputs.static["num_classes"]),
    }
    certified = inputs.certify(_compiled_shares, smallest, budgets, **static)
    return certified if is_sequence else certified._replace(share=certified.share[:, 0])


def _region_shares(
    logits: Tensor,
    labels: Tensor | None,
    mask: Tensor | None,
    lipschitz_constant: Tensor,
    logit_tolerance: Tensor,
    min_pixels: Tensor,
    eps: Tensor,
    *,
    p: float,
    num_classes: int,
    **static: Any,
) -> tuple[RegionShares, Tensor]:
    tensors = (logits, labels, mask, lipschitz_constant, logit_tolerance, min_pixels)
    found = find_regions(*tensors, num_classes=num_classes, p=p, **static)
    limits = capacity(eps, lipschitz_constant, p, num_classes)[:, None]
    fits = found.ordered.running_totals(p)[:, None] <= limits
    sizes = found.ordered.sizes[:, None]
    shares = ratio_below(sizes - found.ordered.count(fits), sizes)
    roots = ops.broadcast_to(found.roots[:, None], ops.shape(shares))
    shares = taken(shares, roots)
    certified = ops.logical_and(found.numbers[:, None] > 0, eps[:, None] >= 0)
    shares = ops.where(certified, shares, math.nan)
    batch, height, width = ops.shape(logits)[:-1]
    shares = ops.reshape(shares, (batch, ops.shape(eps)[0], height, width))
    numbers = ops.reshape(found.numbers, (batch, height, width))
    return RegionShares(shares, numbers), found.valid


_compiled_shares = compiled(
    _region_shares,
    static_argnames=("p", "ignore_class", "num_classes", "connectivity", "class_groups"),
)
