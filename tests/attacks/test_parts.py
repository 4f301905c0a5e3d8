"""Parts of attacks against what they are defined by."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from deel_seg.attacks.augmented_lagrangian import penalty, slope, wanted_limit
from deel_seg.attacks.ball import exactly_inside, norms_above, project
from deel_seg.attacks.contract import Given
from deel_seg.attacks.envelope import Envelope, hits_needed
from deel_seg.attacks.goal import Goal
from deel_seg.attacks.pixel_losses import frontier

POSITIVE = st.floats(2.0**-6, 4.0, width=32)


@settings(deadline=None)
@given(value=st.floats(-3.0, 3.0, width=32), rho=POSITIVE, mu=POSITIVE)
def test_the_slope_of_a_penalty(value: float, rho: float, mu: float) -> None:
    step = 2.0**-10
    at = [
        float(penalty(*(np.float64(v) for v in (value + sign * step, rho, mu)))) for sign in (1, -1)
    ]
    found = float(slope(np.float64(value), np.float64(rho), np.float64(mu)))
    assert abs((at[0] - at[1]) / (2 * step) - found) < 1e-2 * (1 + abs(found))


@pytest.mark.every_set
@pytest.mark.parametrize("needed", [0, 1, 7, 18])
def test_as_many_pixels_are_wanted_however_values_are_rounded(needed: int) -> None:
    # XLA computed the values of a pixel anew behind the sort, half a unit of the last place off.
    generator = np.random.default_rng(0)
    values = (generator.normal(size=(3, 5, 4)) * [[[1.0]], [[1e-3]], [[1e4]]]).astype("float32")
    mask = np.ones(values.shape, bool)
    mask[0, 0, :2] = False
    asked = Given(*[None] * len(Given._fields))._replace(
        goal=Goal(*[None] * len(Goal._fields))._replace(mask=ops.convert_to_tensor(mask)),
        needed=ops.convert_to_tensor([needed] * 3, "int32"),
    )
    limit = ops.convert_to_numpy(wanted_limit(ops.convert_to_tensor(values), asked))
    other = np.nextafter(values, np.float32(np.inf))
    for rounded in (values, other, np.nextafter(values, np.float32(-np.inf))):
        count = ((rounded <= limit) & mask).sum((1, 2))
        # Where none has to be hit, one may be wanted all the same.
        np.testing.assert_array_equal(np.maximum(count, 1), max(needed, 1))


@settings(deadline=None)
@given(
    eps=st.floats(1e-3, 100.0),
    scale=st.floats(1e-6, 1e3),
    seed=st.integers(0, 2**16),
)
def test_the_norm_is_never_below_the_true_one(eps: float, scale: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    changes = (scale * generator.normal(size=(1, 7, 5, 3))).astype("float32")
    exact = sum(Fraction(float(value)) ** 2 for value in changes.ravel())
    bound = Fraction(float(norms_above(ops.convert_to_tensor(changes))[0]))
    assert exact <= bound**2 <= exact * (1 + Fraction(1, 2**12))
    inside = project(ops.convert_to_tensor(changes), ops.convert_to_tensor([np.float32(eps)]))
    inside = ops.convert_to_numpy(inside)
    assert sum(Fraction(float(v)) ** 2 for v in inside.ravel()) <= Fraction(float(eps)) ** 2


def test_points_outside_are_brought_inside() -> None:
    generator = np.random.default_rng(0)
    images = generator.uniform(size=(3, 9, 8, 3)).astype("float32")
    points = images + generator.normal(size=images.shape).astype("float32")
    eps = np.array([0.5, 1e-6, 100.0])
    inside = exactly_inside(points, images, eps)
    for image, point, budget in zip(images, inside, eps, strict=True):
        pairs = zip(point.ravel(), image.ravel(), strict=True)
        squares = sum((Fraction(float(a)) - Fraction(float(b))) ** 2 for a, b in pairs)
        assert squares <= Fraction(float(budget)) ** 2
    np.testing.assert_array_equal(inside[2], points[2])


@settings(deadline=None)
@given(
    points=st.lists(
        st.tuples(st.floats(0, 4, width=16), st.integers(0, 10)), min_size=1, max_size=12
    ),
    eps=st.floats(0, 4),
    threshold=st.integers(0, 10),
)
def test_an_envelope_is_the_best_of_all_points(
    points: list[tuple[float, int]], eps: float, threshold: int
) -> None:
    points = [(0.0, 1), *points]
    norms, hits = (np.array(column)[:, None] for column in zip(*points, strict=True))
    envelope = Envelope.of(norms, hits, np.array([10]))
    half = len(points) // 2
    merged = Envelope.of(norms[: half + 1], hits[: half + 1], np.array([10])).merged(
        Envelope.of(np.append([[0.0]], norms[half:], 0), np.append([[1]], hits[half:], 0), [10])
    )
    most = max(hit for norm, hit in points if norm <= eps)
    least = min((norm for norm, hit in points if 10 - hit <= threshold), default=np.inf)
    for each in (envelope, merged):
        assert each.accuracy(eps)[0] == (10 - most) / 10
        assert each.accuracy([eps, 0.0]).shape == (1, 2)
        assert each.norm(Fraction(threshold, 10))[0] == least
        assert each.norm(threshold / 10)[0] == least


def test_hits_needed_are_whole_numbers() -> None:
    counted = np.array([10, 0, 3])
    np.testing.assert_array_equal(hits_needed(0.7, counted), [3, 0, 1])
    np.testing.assert_array_equal(hits_needed([0.0, 1.0, 0.34], counted), [10, 0, 2])


def test_the_frontier_is_what_a_budget_buys() -> None:
    margins = np.array([[[1.0, 3.0, 2.0, -1.0]], [[1.0, 3.0, 2.0, 9.0]]], "float32")
    mask = np.array([[[True, True, True, True]], [[True, True, True, False]]])
    found = frontier(margins, mask, ops.convert_to_tensor(np.float32([1.6, np.inf])))
    # (1 + 4) / 2 <= 1.6^2 < (1 + 4 + 9) / 2; the median of 1, 2 and 3.
    np.testing.assert_array_equal(ops.convert_to_numpy(found), [2.0, 2.0])
