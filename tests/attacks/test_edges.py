"""Attacks at the edges: nothing to hit, flat losses, what rounds."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from keras import ops
from scipy.optimize import minimize

from deel_seg.attacks import ALMA, DDN, PDPGD, ALMAProx, Attack
from deel_seg.attacks.alma_prox import proximal
from deel_seg.attacks.ball import exact_norms_above
from tests.attacks.oracle import BOUNDS, identity, scenes


@pytest.mark.parametrize("made", [ALMA(steps=2), ALMAProx(steps=2), PDPGD(steps=2), DDN(steps=2)])
def test_nothing_has_to_be_hit(made: Attack) -> None:
    """A threshold of 1 asks for no hit, whether there are void pixels or not."""
    images, labels = scenes(1)
    labels = np.where(labels == 255, 0, labels)
    found = made(identity, images, labels, threshold=1.0, bounds=BOUNDS)
    np.testing.assert_array_equal(found.images, images)
    assert np.all(found.reached) and np.all(found.norms == 0)


@pytest.mark.one_backend
def test_norms_that_are_told_are_no_smaller_than_they_are() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        images = generator.uniform(size=(1, 5, 7, 3)).astype("float32")
        points = images + generator.normal(size=images.shape).astype("float32")
        told = Fraction(float(exact_norms_above(points, images)[0]))
        changes = [
            Fraction(float(a)) - Fraction(float(b))
            for a, b in zip(points.ravel(), images.ravel(), strict=True)
        ]
        square = sum((change**2 for change in changes), Fraction(0))
        assert square <= told**2 <= square * (1 + Fraction(1, 2**38))


@pytest.mark.one_backend
def test_the_proximal_step_is_a_minimum() -> None:
    """Nothing near it is lower, and far away neither, for the function is convex."""
    generator = np.random.default_rng(0)
    changes = generator.normal(size=(2, 3, 4, 1))
    metric = generator.uniform(0.1, 2.0, size=changes.shape)
    weight = np.array([0.3, 4.0]).reshape(2, 1, 1, 1)

    def value(points: np.ndarray) -> np.ndarray:
        return np.sum(weight * points**2 + 0.5 * metric * (points - changes) ** 2, axis=(1, 2, 3))

    found = ops.convert_to_numpy(
        proximal(*(ops.convert_to_tensor(each, "float32") for each in (changes, metric, weight)))
    )
    least = value(found)
    for row in range(2):
        numerical = minimize(
            lambda flat, row=row: value(np.stack([flat.reshape(3, 4, 1)] * 2))[row],
            np.zeros(12), tol=1e-12,
        )  # fmt: skip
        np.testing.assert_allclose(found[row].ravel(), numerical.x, atol=1e-4)
        assert least[row] <= numerical.fun + 1e-6
    for length in (1e-3, 0.1, 1.0):
        moved = found + length * generator.normal(size=found.shape)
        assert np.all(value(moved) > least)


def test_a_flat_loss_is_left_in_some_direction() -> None:
    """Where no pixel has a gradient a search that stood still would never end."""
    images, labels = np.full((2, 4, 4, 2), 0.5, "float32"), np.zeros((2, 4, 4), int)
    flat = DDN(steps=4, loss=lambda view: 0.0 * view.margins)
    found = flat(lambda x: x, images, labels, threshold=0.5, expected_norm=0.5)
    assert np.all(found.reached) and np.all(found.norms > 0)
    again = flat(lambda x: x, images, labels, threshold=0.5, expected_norm=0.5)
    np.testing.assert_array_equal(found.images, again.images)
