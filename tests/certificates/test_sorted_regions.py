from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from keras import ops

from deel_seg._backend import accumulation_dtype, compiled
from deel_seg.certificates.sorted_regions import SortedRegions, sort_regions
from tests.certificates.exact import numbers

pytestmark = pytest.mark.xla

# A bound is off by 32 units below, and a sum by as many again at most.
SLACK = Fraction(65, 2**53 if accumulation_dtype() == "float64" else 2**24)

PIXELS = 4096


def _totals(
    margins: np.ndarray, roots: np.ndarray, *, p: float
) -> tuple[SortedRegions, np.ndarray]:
    regions = sort_regions(margins, roots)
    return regions, regions.running_totals(p)


totals_of = compiled(_totals, static_argnames=("p",))


def random_regions(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Margins and roots of two images: regions of many sizes, scattered over the image."""
    generator = np.random.default_rng(0)
    margins = np.empty((2, PIXELS), "float32")
    roots = np.empty((2, PIXELS), "int32")
    for image in range(2):
        region = (generator.geometric(0.2 - 0.19 * image, PIXELS) - 1) * (PIXELS > 1)
        first = {number: index for index, number in reversed([*enumerate(region.tolist())])}
        roots[image] = [first[number] for number in region.tolist()]
        if kind == "equal":
            margins[image] = 1.55
        elif kind == "ties":
            margins[image] = generator.integers(0, 3, PIXELS)
        else:
            margins[image] = 2.0 ** generator.uniform(-48, 48, PIXELS)
    margins[generator.random(margins.shape) < 0.2] = -1
    return margins, roots


@pytest.mark.parametrize("kind", ["equal", "ties", "mixed scales"])
@pytest.mark.parametrize("p", [1, 2, math.inf])
def test_totals_of_every_region_are_bounded_from_below(kind: str, p: float) -> None:
    margins, roots = random_regions(kind)
    regions, totals = (
        [numbers(part) for part in x] if isinstance(x, tuple) else numbers(x)
        for x in totals_of(margins, roots, p=p)
    )
    regions = SortedRegions(*regions)
    for image in range(2):
        seen = 0
        for root in np.unique(roots[image]):
            own = margins[image][(roots[image] == root) & (margins[image] >= 0)]
            ordered = [Fraction(float(m)) for m in np.sort(own)]
            assert regions.sizes[image, root] == len(ordered)
            start = regions.starts[image, root]
            inside = slice(start, start + len(ordered))
            assert (regions.margins[image, inside] == np.sort(own)).all()
            assert (regions.ranks[image, inside] == np.arange(len(ordered))).all()
            total = Fraction(0)
            for margin, bound in zip(ordered, totals[image, inside], strict=True):
                power = margin**2 if p == 2 else margin
                total = power if p == math.inf else total + power
                assert total * (1 - SLACK) <= Fraction(float(bound)) <= total
            seen += len(ordered)
        assert (regions.roots[image, seen:] == PIXELS).all()


def test_differences_of_prefix_sums_are_caught() -> None:
    # The twin: what the whole image adds up to drowns a region of small margins behind it.
    powers = np.array([1e15 / 3] * 3 + [0.1] * 8)
    sums = np.cumsum(powers)
    difference = Fraction(float(sums[-1])) - Fraction(float(sums[2]))
    exact_total = 8 * Fraction(0.1)
    assert not exact_total * (1 - SLACK) <= difference <= exact_total
    assert difference > exact_total


def test_float32_running_sums_are_caught() -> None:
    powers = np.full(2**18, np.float32(1.55) ** 2)
    naive = Fraction(float(np.cumsum(powers, dtype="float32")[-1]))
    exact_total = len(powers) * Fraction(float(powers[0]))
    assert not exact_total * (1 - Fraction(65, 2**24)) <= naive <= exact_total


def test_permuting_pixels_within_a_region_changes_no_bit() -> None:
    margins, roots = random_regions("mixed scales")
    roots = np.zeros_like(roots)
    moved = np.random.default_rng(1).permutation(PIXELS)
    one, other = totals_of(margins, roots, p=2)[1], totals_of(margins[:, moved], roots, p=2)[1]
    assert (numbers(one) == numbers(other)).all()


def test_least_totals_of_none_some_and_all() -> None:
    margins = np.array([[3.0, 1.0, -1.0, 2.0, 5.0]], "float32")
    roots = np.array([[0, 0, 0, 3, 3]], "int32")
    regions = sort_regions(ops.convert_to_tensor(margins), ops.convert_to_tensor(roots))
    totals = regions.running_totals(1)
    for needed, expected in (([0, 0], [0, 0]), ([1, 1], [1, 2]), ([2, 2], [4, 7])):
        asked = np.array([[needed[0], 0, 0, needed[1], 0]], "int32")
        got = numbers(regions.least_total(totals, ops.convert_to_tensor(asked)))[0]
        for bound, value in zip(got[[0, 3]], expected, strict=True):
            assert value * (1 - SLACK) <= Fraction(float(bound)) <= value
        assert (got[[1, 2, 4]] == 0).all()
