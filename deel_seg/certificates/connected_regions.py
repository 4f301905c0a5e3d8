"""Connected regions of equal class, found in the graph: no loop over regions, no shape of data."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from deel_seg._backend import compiled, taken
from deel_seg._checks import check_choice, check_integer, received
from deel_seg.certificates.pixels import kept_pixels

Tensor = Any

# One of each pair of opposite neighbours, as steps down and right.
_HALF_NEIGHBOURHOODS = {4: ((0, 1), (1, 0)), 8: ((0, 1), (1, 0), (1, 1), (1, -1))}


def connected_regions(
    classes: Any,
    *,
    mask: Any = None,
    ignore_class: int | None = None,
    connectivity: int = 4,
) -> Tensor:
    """Numbers the connected regions of equal class of every class map.

    Args:
        classes: `(batch, height, width)`, integers.
        mask: `(batch, height, width)`, bool; pixels outside belong to no region. `None` keeps all.
        ignore_class: Class whose pixels belong to no region.
        connectivity: 4 for neighbours that share an edge, 8 for those that share a corner too.

    Returns:
        `(batch, height, width)`, int32: in each image 1, 2, ... in the order in which reading row
            by row meets the regions; 0 where a pixel belongs to none.

    Raises:
        ValueError: When an argument has the wrong shape, type or value.

    Example:
    >>> import numpy as np
    >>> from keras import ops
    >>> from deel_seg.certificates import connected_regions
    >>> classes = np.array([[[5, 5, 7], [7, 7, 5]]])
    >>> ops.convert_to_numpy(connected_regions(classes)).tolist()
    [[[1, 1, 2], [3, 3, 4]]]
    >>> ops.convert_to_numpy(connected_regions(classes, connectivity=8)).tolist()
    [[[1, 1, 2], [2, 2, 1]]]
    """
    check_choice("connectivity", connectivity, (4, 8))
    if ignore_class is not None:
        ignore_class = check_integer("ignore_class", ignore_class)
    classes = ops.convert_to_tensor(classes)
    shape, dtype = tuple(classes.shape), keras.backend.standardize_dtype(classes.dtype)
    if len(shape) != 3 or 0 in shape or "int" not in dtype:
        raise ValueError(
            "`classes` must be integers of shape (batch, height, width), none of them 0. "
            f"{received(shape=shape, dtype=dtype)}"
        )
    if mask is not None:
        mask = ops.convert_to_tensor(mask)
        dtype = keras.backend.standardize_dtype(mask.dtype)
        if tuple(mask.shape) != shape or dtype != "bool":
            raise ValueError(
                f"`mask` must be boolean of shape {shape}. "
                f"{received(shape=tuple(mask.shape), dtype=dtype)}"
            )
    return _compiled_regions(classes, mask, ignore_class=ignore_class, connectivity=connectivity)


def _regions(
    classes: Tensor, mask: Tensor | None, *, ignore_class: int | None, connectivity: int
) -> Tensor:
    kept = kept_pixels(classes, mask, ignore_class)
    roots = region_roots(classes, kept, connectivity)
    flat_kept = ops.reshape(kept, ops.shape(roots))
    index = ops.arange(ops.shape(roots)[1], dtype="int32")
    first = ops.logical_and(flat_kept, ops.equal(roots, index))
    return ops.reshape(number_regions(roots, first), ops.shape(classes))


_compiled_regions = compiled(_regions, static_argnames=("ignore_class", "connectivity"))


def number_regions(roots: Tensor, chosen: Tensor) -> Tensor:
    """Numbers regions from 1 in each image in the order of their roots.

    Args:
        roots: `(batch, pixels)`, see `region_roots`.
        chosen: `(batch, pixels)`, bool; true at the roots of the regions to number.

    Returns:
        `(batch, pixels)`, int32; 0 in regions not chosen.
    """
    numbers = ops.cumsum(ops.cast(chosen, "int32"), axis=-1)
    return taken(ops.where(chosen, numbers, 0), roots)


def region_roots(classes: Tensor, kept: Tensor, connectivity: int) -> Tensor:
    """Finds for every pixel the first pixel of its region.

    Pixels point at earlier pixels of their region, at first each at itself. A round offers each
    pixel the pointers of its neighbours' targets, and passes the smallest on to the pixel it
    points at, which pulls whole subtrees along; so long winding regions take few rounds too, some
    twenty for a spiral through a million pixels. When a round changes nothing, targets point at
    themselves and neighbours at the same target, which is then the first pixel of the region.

    Args:
        classes: `(batch, height, width)`, integers.
        kept: `(batch, height, width)`, bool; pixels outside are regions of their own.
        connectivity: 4 or 8.

    Returns:
        `(batch, height * width)`, int32: indices within the image.
    """
    _check_size(tuple(classes.shape))
    batch, height, width = ops.shape(classes)
    total = batch * height * width
    links = _links(classes, kept, connectivity)

    def unfinished(pointers: Tensor, changed: Tensor) -> Tensor:
        return changed

    def one_round(pointers: Tensor, changed: Tensor) -> tuple[Tensor, Tensor]:
        targets = ops.reshape(ops.take(pointers, pointers), (batch, height, width))
        smallest = targets
        for down, right, linked in links:
            offered = ops.where(linked, _neighbour(targets, down, right), targets)
            smallest = ops.minimum(smallest, offered)
        smallest = ops.reshape(smallest, (-1,))
        # The smallest that was passed on to each pixel; `total` where none was.
        passed = total - ops.maximum(ops.segment_max(total - smallest, pointers, total), 0)
        updated = ops.minimum(ops.minimum(pointers, passed), smallest)
        return updated, ops.any(ops.not_equal(updated, pointers))

    start = ops.arange(total, dtype="int32")
    pointers, _ = ops.while_loop(unfinished, one_round, (start, ops.ones((), dtype="bool")))
    first = height * width * ops.arange(batch, dtype="int32")[:, None]
    return ops.reshape(pointers, (batch, height * width)) - first


def _check_size(shape: tuple[int | None, ...]) -> None:
    if math.prod(size or 0 for size in shape) >= 2**31:
        raise ValueError(
            f"A batch must have fewer than 2^31 pixels for its regions to be found. "
            f"{received(shape=shape)}"
        )


def _links(classes: Tensor, kept: Tensor, connectivity: int) -> list[tuple[int, int, Tensor]]:
    """Steps to the neighbours, and where they lead to a pixel of the same region."""
    links = []
    for down, right in _HALF_NEIGHBOURHOODS[connectivity]:
        for sign in (1, -1):
            step = (sign * down, sign * right)
            both = ops.logical_and(kept, _neighbour(kept, *step))
            linked = ops.logical_and(both, ops.equal(classes, _neighbour(classes, *step)))
            links.append((*step, linked))
    return links


def _neighbour(values: Tensor, down: int, right: int) -> Tensor:
    """Value a step away from every pixel; 0, or false, past the border."""
    _, height, width = ops.shape(values)
    padded = ops.pad(values, ((0, 0), (1, 1), (1, 1)))
    return padded[:, 1 + down : 1 + down + height, 1 + right : 1 + right + width]
