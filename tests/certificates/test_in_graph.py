"""Certificates inside functions that are traced and compiled by the backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from deel_seg._backend import IS_TENSORFLOW
from deel_seg.certificates import (
    pixel_accuracy_radius,
    pixel_radius,
    stability_radius,
    worst_case_pixel_accuracy,
    worst_case_stability,
)
from tests.certificates.exact import numbers

pytestmark = pytest.mark.xla

# JAX compiles whatever it traces: there the two are one.
JIT_COMPILE = [False, True] if IS_TENSORFLOW else [True]

LOGITS = np.random.default_rng(0).normal(size=(3, 4, 5, 3)).astype("float32")
LABELS = np.random.default_rng(1).integers(0, 3, (3, 4, 5)).astype("int32")


def traced(function: Callable[..., Any], jit_compile: bool) -> Callable[..., Any]:
    if IS_TENSORFLOW:
        import tensorflow as tf

        return tf.function(function, jit_compile=jit_compile, reduce_retracing=True)
    import jax

    return jax.jit(function)


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", JIT_COMPILE)
def test_the_same_as_outside(jit_compile: bool) -> None:
    def certify(logits: Any, labels: Any, eps: Any) -> Any:
        return (
            worst_case_pixel_accuracy(logits, labels, eps=eps, ignore_class=2),
            worst_case_stability(logits, eps=eps),
            pixel_accuracy_radius(logits, labels, threshold=0.2),
            stability_radius(logits, fraction=0.25),
            pixel_radius(logits, labels),
        )

    eps = np.array([0.0, 0.3, 1.0, 2.5], "float32")
    inside = traced(certify, jit_compile)(LOGITS, LABELS, eps)
    outside = certify(LOGITS, LABELS, eps)
    # Fused operations round differently, by a few units in the last place of float32.
    for one, other in zip(inside, outside, strict=True):
        np.testing.assert_allclose(numbers(one), numbers(other), rtol=1e-6)


@pytest.mark.parametrize("jit_compile", JIT_COMPILE)
def test_bad_images_become_nan_and_only_they(jit_compile: bool) -> None:
    function = traced(lambda z, y: worst_case_pixel_accuracy(z, y, eps=0.1), jit_compile)
    for value in (np.nan, np.inf, -np.inf):
        logits = LOGITS.copy()
        logits[1, 0, 0, 0] = value
        assert np.isnan(numbers(function(logits, LABELS))).tolist() == [False, True, False]
    for label in (3, -1, 255):
        labels = LABELS.copy()
        labels[2, 3, 4] = label
        assert np.isnan(numbers(function(LOGITS, labels))).tolist() == [False, False, True]
    radius = traced(lambda z: stability_radius(z), jit_compile)
    assert np.isnan(numbers(radius(logits))).tolist() == [False, True, False]
    radii = numbers(traced(lambda z: pixel_radius(z), jit_compile)(logits))
    assert np.isnan(radii[1]).all() and np.isfinite(radii[0]).all()


def test_bad_scalars_become_nan() -> None:
    def certify(eps: Any, constant: Any, tolerance: Any) -> Any:
        return worst_case_stability(
            LOGITS, eps=eps, lipschitz_constant=constant, logit_tolerance=tolerance
        )

    function = traced(certify, jit_compile=False)
    one = np.float32(1.0)
    assert np.isfinite(numbers(function(one, one, 0 * one))).all()
    for scalars in ((-one, one, 0 * one), (one, 0 * one, 0 * one), (one, one, -one)):
        assert np.isnan(numbers(function(*scalars))).all()
    for place in range(3):
        scalars = [one, one, one]
        scalars[place] = np.float32("nan")
        assert np.isnan(numbers(function(*scalars))).all()
    lost = numbers(function(np.float32("inf"), one, 0 * one))
    assert (lost == 0).all()


@pytest.mark.slow
@pytest.mark.one_backend
def test_shapes_and_numbers_of_budgets_may_change() -> None:
    function = traced(lambda z, e: worst_case_stability(z, eps=e), jit_compile=False)
    for batch, height, budgets in ((1, 2, 1), (3, 5, 6)):
        logits = np.random.default_rng(batch).normal(size=(batch, height, 3, 4)).astype("float32")
        eps = np.linspace(0, 1, budgets).astype("float32")
        values = numbers(function(logits, eps))
        assert values.shape == (batch, budgets)
        assert (values == numbers(worst_case_stability(logits, eps=eps))).all()
        if batch == 1:
            # A single budget has the shape of a sequence of one, and compiles nothing anew.
            single = numbers(worst_case_stability(logits, eps=float(eps[0])))
            assert (single == values[:, 0]).all()
            # Another number of classes between the calls must not blur it in the function.
            assert numbers(worst_case_stability(logits[..., :2], eps=0.1)).size
