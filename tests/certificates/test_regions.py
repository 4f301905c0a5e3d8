from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deel_seg._backend import IS_TENSORFLOW
from deel_seg.certificates import list_regions, region_radius
from tests.certificates import exact
from tests.certificates.cases import CASES
from tests.certificates.device import predictions
from tests.certificates.exact import numbers
from tests.certificates.region_search import searched_regions

BLOBS = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype("float32")


def needed(size: int, fraction: Any, pixels_left: int | None) -> int:
    """How many pixels of a region have to change."""
    if pixels_left is not None:
        return max(0, size - pixels_left)
    return math.ceil(Fraction(str(fraction)) * size)


def assert_sound(
    logits: np.ndarray,
    *,
    fraction: Any = None,
    pixels_left: int | None = None,
    min_pixels: int = 1,
    kept: np.ndarray | None = None,
    certified: tuple[np.ndarray, np.ndarray] | None = None,
    **options: Any,
) -> int:
    """Every region of every image against exact arithmetic; returns how many there were.

    `certified` are radii and regions that were computed otherwise than by an eager call.
    """
    share = 0.9 if fraction is None else fraction
    arguments = {"fraction": fraction, "pixels_left": pixels_left, "min_pixels": min_pixels}
    if certified is None:
        certified = map(numbers, region_radius(logits, **arguments, **options))
    radius, regions = certified
    p, constant = options.get("p", 2), options.get("lipschitz_constant", 1.0)
    found = 0
    for image, z in enumerate(logits):
        inside = np.ones(z.shape[:2], bool) if kept is None else kept[image]
        expected = searched_regions(predictions(z[None])[0], inside, options.get("connectivity", 4))
        costs = exact.image(z, p=p, tolerance=options.get("logit_tolerance", 0.0)).costs
        listed = np.zeros_like(expected)
        for number in range(1, expected.max() + 1):
            pixels = expected == number
            if pixels.sum() < min_pixels:
                continue
            found += 1
            listed[pixels] = listed.max() + 1
            chosen = [costs[index] for index in np.flatnonzero(pixels)]
            (value,) = set(radius[image][pixels].tolist())
            assert_radius(value, chosen, needed(len(chosen), share, pixels_left), p, constant)
        assert (regions[image] == listed).all()
        assert (np.isnan(radius[image]) == (listed == 0)).all()
    return found


def assert_radius(
    value: float, costs: list[Fraction], number: int, p: float, constant: float
) -> None:
    """One radius, against the cheapest `number` pixels."""
    image = exact.Image(costs, p)
    total = exact.combined(sorted(costs)[:number], p)
    if exact.combined(sorted(image.usable().costs)[:number], p) == total:
        exact.assert_radius_sound(value, image, total, constant)
    else:
        reached = Fraction(float(value)) * Fraction(constant)
        assert not exact.strictly_affordable(total, p, reached)


@pytest.mark.parametrize(
    ("name", "p"),
    [(name, 2) for name in CASES] + [("random", 1), ("random", math.inf), ("binary", math.inf)],
)
def test_sound_on_adversarial_logits(name: str, p: float) -> None:
    for arguments in ({}, {"fraction": 0.5}, {"fraction": 1}, {"pixels_left": 1}):
        assert assert_sound(CASES[name], p=p, **arguments) > 0


@settings(deadline=None, max_examples=25)
@given(
    logits=hnp.arrays(np.float32, (2, 4, 5, 2), elements=st.integers(-3, 3).map(float)),
    fraction=st.integers(1, 1000).map(lambda thousandths: Fraction(thousandths, 1000)),
    connectivity=st.sampled_from([4, 8]),
    p=st.sampled_from([1, 2]),
)
def test_sound_on_random_images(
    logits: np.ndarray, fraction: Fraction, connectivity: int, p: float
) -> None:
    assert_sound(logits, fraction=fraction, connectivity=connectivity, p=p)


@pytest.mark.parametrize("p", [1, 2, math.inf])
def test_no_subset_of_a_region_is_cheaper(p: float) -> None:
    generator = np.random.default_rng(2)
    margins = generator.integers(1, 20, (1, 2, 4)) / 8
    logits = np.stack([margins, 0 * margins], -1).astype("float32")
    costs = exact.image(logits[0], p=p).costs
    for number in (1, 3, 5, 8):
        least = min(
            exact.combined(subset, p)
            for size in range(number, 9)
            for subset in itertools.combinations(costs, size)
        )
        (radius,) = set(numbers(region_radius(logits, pixels_left=8 - number, p=p)[0]).flat)
        exact.assert_radius_sound(radius, exact.Image(costs, p), least)


def test_counts_are_exact() -> None:
    # 0.07 of 100 pixels are 7, though in binary floats the ceiling of their product is 8.
    assert math.ceil(0.07 * 100) == 8
    margins = np.arange(1, 101, dtype="float32").reshape(1, 1, 100)
    logits = np.stack([margins, 0 * margins], -1)
    for size, fraction, number in ((100, 0.07, 7), (10, 0.7, 7), (3, Fraction(1, 3), 1)):
        certified = region_radius(logits, fraction=fraction, p=1, mask=margins <= size)
        image = exact.Image(exact.image(logits[0], p=1).costs[:size], 1)
        total = Fraction(number * (number + 1), 2)
        exact.assert_radius_sound(numbers(certified.radius)[0, 0, 0], image, total)


def test_a_large_region_beside_dear_and_cheap_ones() -> None:
    # Columns of one class each: the sums of the dear one must not touch the others.
    margins = np.full((32, 33), 1.55, "float32")
    margins[:, 0], margins[:, 1] = 1e10, 1e-3
    classes = np.minimum(np.indices(margins.shape)[1], 2)
    logits = np.zeros((1, 32, 33, 3), "float32")
    np.put_along_axis(logits[0], classes[..., None], margins[..., None], axis=-1)
    assert assert_sound(logits, fraction=1) == 3
    assert assert_sound(logits, pixels_left=3) == 3


def test_regions_left_out_and_cut_apart() -> None:
    mask = np.random.default_rng(3).random((2, 4, 5)) < 0.75
    everything = assert_sound(BLOBS)
    assert 0 < assert_sound(BLOBS, min_pixels=3) < everything
    assert assert_sound(BLOBS, min_pixels=10**12) == 0
    assert assert_sound(BLOBS, mask=mask, kept=mask) > 0
    predicted = predictions(BLOBS)
    assert assert_sound(BLOBS, ignore_class=1, kept=predicted != 1) < everything
    labels = np.where(mask, 7, 255)
    assert assert_sound(BLOBS, ignore_class=255, labels=labels, kept=mask) > 0
    nothing = region_radius(BLOBS, mask=np.zeros_like(mask))
    assert np.isnan(numbers(nothing.radius)).all() and (numbers(nothing.regions) == 0).all()


def test_more_pixels_left_than_there_are() -> None:
    radii = numbers(region_radius(BLOBS, pixels_left=20)[0])
    assert (radii == 0).all()
    assert (numbers(region_radius(BLOBS, pixels_left=10**12)[0]) == 0).all()


def test_other_constants() -> None:
    assert_sound(BLOBS, lipschitz_constant=0.3)


def test_logit_tolerance_covers_every_perturbation_of_the_logits() -> None:
    generator = np.random.default_rng(11)
    for _ in range(3):
        moved = (BLOBS + generator.uniform(-0.12, 0.12, BLOBS.shape)).astype("float32")
        radius, regions = map(numbers, region_radius(moved, fraction=1, logit_tolerance=0.125))
        for image in range(2):
            predicted = predictions(moved)[image]
            # What the exact logits cost to leave the class that the inexact ones show.
            costs = np.array(exact.image(BLOBS[image], predicted).costs, object)
            for number in range(1, regions[image].max() + 1):
                pixels = regions[image] == number
                (value,) = set(radius[image][pixels].tolist())
                total = exact.combined(costs[pixels.reshape(-1)], 2)
                assert not exact.strictly_affordable(total, 2, Fraction(value)) or value == 0


def test_mirroring_the_image_mirrors_the_radii() -> None:
    radii = numbers(region_radius(BLOBS, fraction=0.5)[0])
    mirrored = numbers(region_radius(BLOBS[:, ::-1, ::-1].copy(), fraction=0.5)[0])
    assert (mirrored == radii[:, ::-1, ::-1]).all()
    alone = numbers(region_radius(np.stack([BLOBS[1], BLOBS[0]]), fraction=0.5)[0])
    assert (alone == radii[::-1]).all()


def test_the_list_says_what_the_maps_say() -> None:
    certified = region_radius(BLOBS, min_pixels=2)
    radius, regions = map(numbers, certified)
    for image, listed in enumerate(list_regions(certified, BLOBS)):
        assert [region.number for region in listed] == [*range(1, regions[image].max() + 1)]
        for region in listed:
            pixels = regions[image] == region.number
            assert (predictions(BLOBS)[image][pixels] == region.class_id).all()
            assert pixels.sum() == region.pixels >= 2
            assert (radius[image][pixels] == np.float32(region.radius)).all()


@pytest.mark.xla
@pytest.mark.parametrize("jit_compile", [False, True])
def test_in_a_graph_bad_images_have_no_regions(jit_compile: bool) -> None:
    logits = BLOBS.copy()
    logits[1, 0, 0, 0] = np.nan
    if IS_TENSORFLOW:
        import tensorflow as tf

        signature = [tf.TensorSpec((None, None, None, 3))]
        function = tf.function(region_radius, signature, jit_compile=jit_compile)
    else:
        import jax

        function = jax.jit(region_radius)
    radius, regions = map(numbers, function(logits))
    assert np.isnan(radius[1]).all() and (regions[1] == 0).all()
    # Fused operations round differently, and none of them may round up.
    assert assert_sound(BLOBS[:1], certified=(radius[:1], regions[:1])) > 2
    above = radius[:1] * np.float32(1.0001)
    with pytest.raises(AssertionError):
        assert_sound(BLOBS[:1], certified=(above, regions[:1]))
    with pytest.raises(ValueError, match="`logits` must be finite"):
        region_radius(logits)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fraction": 0}, r"`fraction` must lie in \(0, 1\]"),
        ({"fraction": 1.5}, r"`fraction`"),
        ({"fraction": 1 / 3}, r"`fraction`.*denominator"),
        ({"pixels_left": -1}, r"`pixels_left` must be at least 0.*pixels_left=-1"),
        ({"pixels_left": 1.5}, r"`pixels_left` must be an integer"),
        (
            {"fraction": 0.9, "pixels_left": 3},
            r"exclude each other. Received: fraction=0.9, pixels_left=3",
        ),
        ({"min_pixels": 0}, r"`min_pixels` must be at least 1"),
        ({"connectivity": 5}, r"`connectivity` must be one of 4, 8"),
        ({"mask": np.ones((2, 4, 4), bool)}, r"`mask` must have shape"),
    ],
)
def test_wrong_arguments_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        region_radius(BLOBS, **changes)


@pytest.mark.parametrize("broken", ["nothing", "factor missing", "count in floats", "one region"])
def test_the_check_catches_a_broken_radius(broken: str) -> None:
    margins = [0.5 + 0.01 * index for index in range(100)]
    costs = [Fraction(margin) ** 2 / 2 for margin in margins]
    number = 7
    ordered = costs
    if broken == "factor missing":
        ordered = [2 * cost for cost in costs]
    if broken == "count in floats":
        number = math.ceil(0.07 * 100)
    if broken == "one region":  # A neighbour's pixels in the place of its own.
        ordered = costs[1:] + costs[:1]
    radius = math.sqrt(sum(ordered[:number])) * (1 - 1e-7)
    if broken == "nothing":
        assert_radius(radius, costs, 7, 2, 1.0)
    else:
        with pytest.raises(AssertionError, match="too much"):
            assert_radius(radius, costs, 7, 2, 1.0)
