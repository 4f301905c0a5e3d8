"""Connected regions and their least totals in the memory of the host: what graphs find slowly.

A graph has no shape that depends on data: it looks at every pixel twenty times to connect regions,
sorts all of them, and adds up as many totals as there are pixels. On a processor, outside of a
graph, regions are connected by the runs of their rows, sorted as whole numbers, and each is added
up once. Every sum takes the path that it takes in `SortedRegions.running_totals`, so not a bit of
it is another.
"""

from __future__ import annotations

import math

import numpy as np

from deel_seg.certificates.order_on_host import bits_of, order_of


def connect(classes: np.ndarray, kept: np.ndarray, connectivity: int) -> np.ndarray:
    """Numbers the connected regions of equal class of one class map.

    Args:
        classes: `(height, width)`, integers.
        kept: `(height, width)`, bool; pixels outside belong to no region.
        connectivity: 4 or 8.

    Returns:
        `(height, width)`, int32: 1, 2, ... in the order in which reading row by row meets the
        regions; 0 where a pixel belongs to none.

    Example:
    >>> import numpy as np
    >>> from deel_seg.certificates.regions_on_host import connect
    >>> classes = np.array([[5, 5, 7], [7, 7, 5]])
    >>> connect(classes, np.ones((2, 3), bool), 4).tolist()
    [[1, 1, 2], [3, 3, 4]]
    >>> connect(classes, np.ones((2, 3), bool), 8).tolist()
    [[1, 1, 2], [2, 2, 1]]
    """
    # Sparse graphs are imported where they are used: they take longer than the library itself.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    begins = np.ones(classes.shape, bool)
    begins[:, 1:] = ~_linked(classes, kept, (0, 1))
    runs = np.cumsum(begins.ravel(), dtype=np.int32).reshape(classes.shape) - 1
    number = int(runs[-1, -1]) + 1
    below = _linked(classes, kept, (1, 0))
    # Two runs are linked once: not where they were linked one pixel to the left.
    first = below.copy()
    first[:, 1:] &= ~below[:, :-1] | begins[:-1, 1:] | begins[1:, 1:]
    pairs = [(runs[:-1][first], runs[1:][first])]
    if connectivity == 8:
        for step, here, there in (
            (1, (slice(None, -1), slice(None, -1)), (slice(1, None), slice(1, None))),
            (-1, (slice(None, -1), slice(1, None)), (slice(1, None), slice(None, -1))),
        ):
            slanted = _linked(classes, kept, (1, step)) & ~below[:, here[1]]
            pairs.append((runs[here][slanted], runs[there][slanted]))
    one, other = (np.concatenate(ends) for ends in zip(*pairs, strict=True))
    links = coo_array((np.ones(len(one), np.int8), (one, other)), (number, number))
    found = connected_components(links, directed=False)[1]
    # From any numbers to those in the order of the first run, of runs that are kept alone.
    real = kept[begins]
    leads = _first_places(found)[found] == np.arange(number)
    order = np.cumsum(leads & real, dtype=np.int32)
    return np.where(kept, order[_first_places(found)[found]][runs], 0).astype(np.int32)


def connect_all(
    classes: np.ndarray, kept: np.ndarray, connectivity: int, min_pixels: int
) -> np.ndarray:
    """The same for each class map of a batch `(batch, height, width)`, without small regions.

    Those of at least `min_pixels` are numbered on from image to image.
    """
    numbers, before = np.zeros(classes.shape, np.int32), 0
    for image in range(len(classes)):
        found = connect(classes[image], kept[image], connectivity)
        large = np.bincount(found.ravel()) >= min_pixels
        large[0] = False
        names = np.where(large, np.cumsum(large) + before, 0)
        numbers[image] = names[found]
        before = max(before, int(names.max()))
    return numbers


def _linked(classes: np.ndarray, kept: np.ndarray, step: tuple[int, int]) -> np.ndarray:
    """Where a pixel and the one a step down and aside are of one region."""
    down, aside = step
    height, width = classes.shape
    columns = slice(max(0, -aside), width - max(0, aside))
    beside = slice(max(0, aside), width + min(0, aside))
    here, there = (slice(0, height - down), columns), (slice(down, height), beside)
    return kept[here] & kept[there] & (classes[here] == classes[there])


def _first_places(values: np.ndarray) -> np.ndarray:
    """Where each of the values 0, 1, ... stands first."""
    places = np.zeros(values.max(initial=-1) + 1, np.int64)
    backwards = np.arange(len(values))[::-1]
    places[values[backwards]] = backwards  # The last one written stays.
    return places


def sort_by_region(
    margins: np.ndarray, numbers: np.ndarray, order: np.ndarray | None = None
) -> np.ndarray:
    """The margins of each region in increasing order, one region after the other.

    Args:
        margins: `(pixels,)` float32, `>= 0` in regions.
        numbers: `(pixels,)` int32, the number of their regions; 0 for none.
        order: The places of all margins in increasing order, if that is known.
    """
    if order is None:
        chosen = np.flatnonzero(numbers)
        order = chosen[order_of(bits_of(margins[chosen]))]
    else:
        order = order[numbers[order] > 0]
    return margins[order_of(numbers, order)]


def least_totals(
    margins: np.ndarray, starts: np.ndarray, needed: np.ndarray, p: float, dtype: str
) -> np.ndarray:
    r"""Sums $m^p$ over the cheapest pixels of each region; for `p = inf` the largest of them.

    Neighbours are added up in pairs, from the last one on, and so are the sums: no term goes
    through more additions than there are doublings up to its region's size.

    Args:
        margins: See `sort_by_region`.
        starts: `(regions,)`, where each begins.
        needed: `(regions,)`, how many pixels are summed up of each; at most as many as it has.
        p: Norm order.
        dtype: In which to add.

    Returns:
        `(regions,)`, not shrunk by what rounding may have added; 0 for no pixel.
    """
    some = np.flatnonzero(needed)
    starts, lengths = starts[some], needed[some].astype(np.int64)
    if p == math.inf:
        sums = margins[starts + lengths - 1].astype(dtype)
    else:
        offsets = np.cumsum(lengths) - lengths
        back = np.arange(lengths.sum()) - np.repeat(offsets, lengths)
        sums = margins[np.repeat(starts + lengths - 1, lengths) - back].astype(dtype)
        sums = sums * sums if p == 2 else sums
        while len(sums) > len(lengths):
            halves = (lengths + 1) // 2
            ends = np.cumsum(halves) - halves
            pairs = 2 * np.arange(halves.sum()) + np.repeat(offsets - 2 * ends, halves)
            sums, lengths, offsets = np.add.reduceat(sums, pairs), halves, ends
    totals = np.zeros(len(needed), dtype)
    totals[some] = sums
    return totals
