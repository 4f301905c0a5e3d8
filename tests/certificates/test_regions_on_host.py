"""Regions found and added up in the host's memory are those of the graph."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from deel_seg._backend import accumulation_dtype, compiled
from deel_seg.certificates import region_radius, regions, regions_on_host
from deel_seg.certificates.connected_regions import region_roots
from deel_seg.certificates.regions_on_host import connect, least_totals, sort_by_region
from deel_seg.certificates.sorted_regions import lowered_totals, sort_regions
from tests.certificates.exact import numbers
from tests.certificates.region_search import searched_regions

HEIGHT, WIDTH = 23, 31


def drawn(kind: str) -> np.ndarray:
    """Class maps whose regions wind, branch, or are single pixels."""
    generator = np.random.default_rng(0)
    rows, columns = np.indices((HEIGHT, WIDTH))
    if kind == "spiral":
        ring = np.minimum.reduce([rows, columns, HEIGHT - 1 - rows, WIDTH - 1 - columns])
        return (ring + (rows == columns + 1) * (ring < 8)) % 2
    return {
        "noise": generator.integers(0, 3, (HEIGHT, WIDTH)),
        "comb": np.where(rows == HEIGHT - 1, 1, columns % 2),
        "one": np.zeros((HEIGHT, WIDTH), int),
        "diagonals": (rows + columns) // 2 % 2,
    }[kind]


KINDS = ["noise", "spiral", "comb", "one", "diagonals"]


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_regions_are_those_that_a_search_finds(kind: str, connectivity: int) -> None:
    classes = drawn(kind)
    for share in (1.0, 0.7):
        kept = np.random.default_rng(1).random(classes.shape) < share
        found = connect(classes, kept, connectivity)
        assert (found == searched_regions(classes, kept, connectivity)).all()


@settings(deadline=None, max_examples=200)
@given(
    classes=hnp.arrays(np.int32, (4, 5), elements=st.integers(0, 2)),
    kept=hnp.arrays(bool, (4, 5)),
    connectivity=st.sampled_from([4, 8]),
)
def test_regions_of_random_maps(classes: np.ndarray, kept: np.ndarray, connectivity: int) -> None:
    found = connect(classes, kept, connectivity)
    assert (found == searched_regions(classes, kept, connectivity)).all()


def _totals(margins: Any, classes: Any, needed: Any, *, p: float) -> tuple[Any, Any]:
    roots = region_roots(classes, ops.ones_like(classes, dtype="bool"), 4)
    ordered = sort_regions(margins, roots)
    return ordered.least_total(ordered.running_totals(p), needed), ordered.sizes


totals_in_a_graph = compiled(_totals, static_argnames=("p",))


@pytest.mark.xla
@pytest.mark.parametrize("p", [1, 2, math.inf])
@pytest.mark.parametrize("kind", ["noise", "spiral"])
def test_totals_are_those_of_the_graph_to_the_last_bit(kind: str, p: float) -> None:
    classes = drawn(kind)
    generator = np.random.default_rng(2)
    margins = (2.0 ** generator.uniform(-40, 40, classes.size)).astype("float32")
    found = connect(classes, np.ones(classes.shape, bool), 4).ravel()
    sizes = np.bincount(found)[1:]
    first = np.array([np.flatnonzero(found == number)[0] for number in range(1, len(sizes) + 1)])
    for needed in (sizes, sizes // 2, np.minimum(sizes, 1)):
        asked = np.zeros((1, classes.size), "int32")
        asked[0, first] = needed
        batch = classes[None].astype("int32")
        expected, counted = map(numbers, totals_in_a_graph(margins[None], batch, asked, p=p))
        assert (counted[0, first] == sizes).all()
        ordered = sort_by_region(margins, found)
        starts = np.cumsum(sizes) - sizes
        totals = least_totals(ordered, starts, needed, p, accumulation_dtype())
        lowered = numbers(lowered_totals(ops.convert_to_tensor(totals), p))
        assert (lowered == expected[0, first]).all()


@pytest.mark.xla
@pytest.mark.parametrize(("p", "connectivity"), [(1, 4), (2, 4), (2, 8), (math.inf, 8)])
def test_radii_are_those_of_the_graph(
    p: float, connectivity: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(3)
    logits = generator.normal(size=(3, 9, 10, 4)).astype("float32")
    logits[1] = np.round(logits[1])
    mask = generator.random((3, 9, 10)) < 0.9
    mask[2] = False
    options: dict[str, Any] = {
        "p": p, "connectivity": connectivity, "mask": mask, "ignore_class": 3,
        "lipschitz_constant": 1.7, "logit_tolerance": 1e-3,
    }  # fmt: skip
    for more in ({}, {"fraction": 0.5, "min_pixels": 3}, {"pixels_left": 2}):
        monkeypatch.setattr(regions, "in_host_memory", lambda tensor: True)
        found = region_radius(logits, **options, **more)
        monkeypatch.setattr(regions, "in_host_memory", lambda tensor: False)
        expected = region_radius(logits, **options, **more)
        assert (numbers(found.regions) == numbers(expected.regions)).all()
        radius, other = numbers(found.radius), numbers(expected.radius)
        assert (np.isnan(radius) == np.isnan(other)).all()
        # What follows the sums is fused with other neighbours; float64 hides how it rounds.
        places = 0 if accumulation_dtype() == "float64" else 2
        inside = ~np.isnan(radius)
        np.testing.assert_array_max_ulp(radius[inside], other[inside], places)
        assert (numbers(found.regions).max(axis=(1, 2)) > 0).tolist() == [True, True, False]


@pytest.mark.parametrize("broken", ["no pairs", "rows only"])
def test_a_broken_search_is_caught(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    linked = regions_on_host._linked

    def without(classes: np.ndarray, kept: np.ndarray, step: tuple[int, int]) -> np.ndarray:
        found = linked(classes, kept, step)
        return found & (step == (0, 1) and broken == "rows only")

    monkeypatch.setattr(regions_on_host, "_linked", without)
    classes = drawn("comb")
    kept = np.ones(classes.shape, bool)
    assert (connect(classes, kept, 4) != searched_regions(classes, kept, 4)).any()
