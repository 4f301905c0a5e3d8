"""What a report needs of a picture: maps of few levels that answer for every budget on a ladder."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from deel_seg.certificates.changed_pixels import check_fraction_or_left
from deel_seg.certificates.inputs import check_scalar
from deel_seg.certificates.order_on_host import bits_of, order_of
from deel_seg.certificates.radii_on_host import radii_on_host
from deel_seg.data.dataset_info import VOID

Arrays = dict[str, np.ndarray]

REPORT = "report/"  # Before the names of what only a report takes.
REGION_FRACTION = "0.9"  # Share of a region that has to change: the default of `region_radius`.
NO_REGION = 255
_REGIONS_LISTED = 40
_LEAST_SHARE_OF_REGION = 1000  # Regions below a thousandth of the picture are left out.
_QUALITY = 75  # Of the JPEG that is looked at.


def explored(
    found: Mapping[str, np.ndarray],
    labels: np.ndarray | None,
    stops: Sequence[float],
    **options: Any,
) -> Arrays:
    """What was found of a picture, and what a report shows beyond it.

    Args:
        found: `predicted`, `radius`, and, which are taken out of it, `second`, the class of the
            largest logit but the predicted one, `margins` and the certificates at the stops.
        labels: `(height, width)`, 255 for void, or None.
        stops: Budgets, increasing.
        options: As of `explore_regions`, but for the order.
    """
    values = dict(found)
    margins, crs = values.pop("margins"), values.pop("stop_crs")
    second = values.pop("second")
    predicted, radius = values["predicted"], values["radius"]
    counted = np.ones(predicted.shape, bool) if labels is None else labels != VOID
    number = int(counted.sum())
    more = {"stops": np.array(stops), "crs": crs, "lost_count": lost_pixels(crs, number)}
    right = None
    if labels is not None:
        right = counted & (predicted == labels)
        more["crpa"] = values.pop("stop_crpa")
        wrong = number - int(right.sum())
        more["lost_right_count"] = lost_pixels(more["crpa"], number) - wrong
    order = order_of(bits_of(np.nan_to_num(margins.ravel(), nan=np.inf)))
    more |= budget_levels(
        order,
        radius.ravel(),
        stops,
        more["lost_count"],
        counted.ravel(),
        more.get("lost_right_count"),
        None if right is None else right.ravel(),
    )
    more["level"] = more["level"].reshape(predicted.shape)
    more["second"] = second
    if np.isfinite(radius).all():
        more |= explore_regions(margins, predicted, stops, order=order, **options)
    else:
        more |= no_regions(predicted.shape, stops)
    return values | {REPORT + name: value for name, value in more.items()}


def lost_pixels(shares: np.ndarray, counted: int) -> np.ndarray:
    """The whole number of pixels behind certified shares, which are rounded down to 2^-24.

    As `worst_case_segmentation` counts them; all of them where there is no certificate.

    Example:
    >>> import numpy as np
    >>> from deel_seg.folders.explored import lost_pixels
    >>> lost_pixels(np.array([1.0, 0.6666666, np.nan], "float32"), 3).tolist()
    [0, 1, 3]
    """
    given = np.nan_to_num(np.asarray(shares, np.float64), nan=0.0)
    return (counted * ((1.0 - given) * 2.0**24).astype(np.int64)) >> 24


def budget_levels(
    order: np.ndarray,
    radius: np.ndarray,
    stops: Sequence[float],
    lost: np.ndarray,
    counted: np.ndarray,
    lost_right: np.ndarray | None = None,
    right: np.ndarray | None = None,
) -> Arrays:
    """Levels of pixels in increasing order of radius, cut wherever a budget cuts.

    At budget `k` a pixel stays certified alone where its level is at least `alone[k]`; it counts
    among the worst case of the stability where it is counted and its level is below `lost[k]`; and,
    if its label is right, among that of the accuracy where it is below `lost_right[k]`. The levels
    say this exactly, so nothing is rounded.

    Args:
        order: `(pixels,)`, their places in the order in which they are lost, that of the margins
            behind `radius`.
        radius: `(pixels,)`, the budget that changes each pixel alone.
        stops: Budgets.
        lost: Number of pixels lost at each of them, against the prediction.
        counted: `(pixels,)` bool, those that may be lost.
        lost_right: Number of pixels of the right class that are lost at each.
        right: `(pixels,)` bool, those.

    Returns:
        `level` `(pixels,)` uint8, the three cuts `(stops,)` uint8, and `level_radius`, the least
        radius of every level.
    """
    ordered = np.nan_to_num(radius[order], nan=-1.0)
    if not (ordered[1:] >= ordered[:-1]).all():
        ordered = np.sort(ordered)
    cuts = {
        "alone": np.searchsorted(ordered, stops, side="right"),
        "lost": _places(counted[order], lost),
    }
    if lost_right is not None and right is not None:
        cuts["lost_right"] = _places(right[order], lost_right)
    edges = np.unique(np.concatenate([*cuts.values(), [0]]))[1:]
    level = np.empty(len(order), np.uint8)
    lengths = np.diff(edges, prepend=0, append=len(order))
    level[order] = np.repeat(np.arange(len(lengths), dtype=np.uint8), lengths)
    found = {name: np.searchsorted(edges, cut) + (cut > 0) for name, cut in cuts.items()}
    least = np.concatenate([[0], edges])
    least = radius[order[least[least < len(order)]]]
    return {
        "level": level,
        "level_radius": np.nan_to_num(least).astype(np.float32),
        **{name: cut.astype(np.uint8) for name, cut in found.items()},
    }


def _places(chosen: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """How far to go for so many of those chosen."""
    places = np.concatenate([[0], np.flatnonzero(chosen) + 1])
    return places[numbers]


def explore_regions(
    margins: np.ndarray,
    predicted: np.ndarray,
    stops: Sequence[float],
    *,
    order: np.ndarray,
    lipschitz_constant: float,
    num_logits: int,
) -> Arrays:
    """Which connected regions of the prediction hold at which budget, as `region_radius` says it.

    Args:
        margins: `(height, width)`, float32, finite.
        predicted: The same shape, classes.
        stops: Budgets, increasing.
        order: The places of the margins in increasing order.
        lipschitz_constant: Of the network.
        num_logits: How many it answers each pixel with.

    Returns:
        `region_level` `(height, width)` uint8: how many of the budgets are below the radius of the
        region of a pixel, 255 where there is none; `regions` `(listed, 4)`, number of pixels, a row
        and a column inside, and radius of the largest; and `regions_held` `(stops + 1,)`, how many
        regions hold at each budget, and how many there are.
    """
    found = radii_on_host(
        margins[None],
        predicted[None],
        np.ones((1, *margins.shape), bool),
        changed=check_fraction_or_left(REGION_FRACTION, None),
        min_pixels=max(1, margins.size // _LEAST_SHARE_OF_REGION),
        connectivity=4,
        lipschitz_constant=check_scalar("lipschitz_constant", lipschitz_constant, positive=True),
        p=2,
        num_classes=num_logits,
        order=order,
    )
    numbers, sizes, radii = found.numbers[0], found.sizes, found.radius
    levels = np.append(NO_REGION, np.searchsorted(stops, radii, side="left")).astype(np.uint8)
    largest = np.argsort(-sizes, kind="stable")[:_REGIONS_LISTED]
    rows, columns = np.divmod(_deepest(numbers, len(sizes))[largest], numbers.shape[1])
    listed = np.stack([sizes[largest], rows, columns, radii[largest]], axis=-1)
    held = len(radii) - np.searchsorted(np.sort(radii), stops, side="right")
    return {
        "region_level": levels[numbers],
        "regions": listed.astype(np.float64),
        "regions_held": np.append(held, len(radii)),
    }


def no_regions(size: tuple[int, int], stops: Sequence[float]) -> Arrays:
    """What there is of a picture of which nothing can be certified."""
    return {
        "region_level": np.full(size, NO_REGION, np.uint8),
        "regions": np.empty((0, 4)),
        "regions_held": np.zeros(len(stops) + 1, int),
    }


def _depth(numbers: np.ndarray) -> np.ndarray:
    """How many steps each pixel is from the border of its region, diagonal ones among them."""
    framed = np.pad(numbers, 1, constant_values=-1)
    middle, inner = framed[1:-1, 1:-1], np.ones(numbers.shape, bool)
    for beside in (framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:]):
        inner &= beside == middle
    return ndimage.distance_transform_cdt(inner)


def _deepest(numbers: np.ndarray, regions: int) -> np.ndarray:
    """The place of the pixel of each region that is farthest from its border."""
    depth = _depth(numbers).astype(np.int64).ravel()
    # Of those equally far the first.
    keys = (depth << 32) | np.arange(numbers.size)[::-1]
    deepest = np.zeros(regions + 1, np.int64)
    np.maximum.at(deepest, numbers.ravel(), keys)
    return numbers.size - 1 - (deepest[1:] & (2**32 - 1))


def seen(pixels: np.ndarray) -> np.ndarray:
    """A picture to be looked at, as the bytes of a JPEG file.

    Args:
        pixels: uint8 `(height, width, channels)`.
    """
    content = io.BytesIO()
    shown = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    Image.fromarray(shown).save(content, "JPEG", quality=_QUALITY, optimize=True)
    return np.frombuffer(content.getvalue(), np.uint8)
