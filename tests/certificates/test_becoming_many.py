"""The cost of becoming one of many classes, which are read side by side."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from deel_seg._backend import IS_TENSORFLOW, accumulation_dtype, compiled
from deel_seg.certificates import becoming, class_lanes
from deel_seg.certificates.becoming import becoming_margins
from tests.certificates.anew import compiled_anew
from tests.certificates.exact import numbers
from tests.certificates.test_becoming import assert_sound, exact_cost, get, uncorrected

# One more than the cache keeps, a multiple of the lanes' number of 8, one more than that, and many.
CLASSES = (33, 40, 41, 150, 300)
STATIC = ("num_classes", "p")


@functools.cache
def images(classes: int) -> np.ndarray:
    """Kinds of logits as rows of one image: a number of classes compiles once."""
    generator = np.random.default_rng(classes)
    shape = (3, classes)
    one_above = np.zeros(shape)
    one_above[:, -2] = 1
    kinds = (
        generator.normal(size=shape),
        generator.integers(0, 2, shape),
        np.broadcast_to((np.arange(classes) > 0) & (np.arange(classes) < classes - 1), shape),
        np.broadcast_to(np.linspace(0, 1, classes) ** 0.25, shape),
        np.broadcast_to(np.linspace(1, 0, classes) ** 4, shape),
        3e38 * generator.uniform(-1, 1, shape),
        10.0 ** generator.uniform(-30, 30, shape),
        10.0 ** generator.uniform(-18, -10, shape),
        10.0 ** generator.uniform(10, 18, shape),
        1e4 + 1e-2 * generator.normal(size=shape),
        1e-40 * generator.normal(size=shape),
        np.zeros(shape),
        one_above,
    )
    return np.asarray(np.stack(kinds)[None], "float32")


@pytest.mark.parametrize("classes", CLASSES)
def test_sound_and_tight(classes: int) -> None:
    for k in (0, classes // 2, classes - 1):
        assert_sound(images(classes), k)


@pytest.mark.one_backend
@pytest.mark.xla
@pytest.mark.parametrize("classes", [41, 150])
def test_sound_and_tight_when_fused(classes: int) -> None:
    function = compiled_anew(becoming_margins, STATIC)
    for k in (0, classes - 1):
        assert_sound(images(classes), k, function=function)


@pytest.mark.one_backend
@pytest.mark.parametrize("p", [1, float("inf")])
def test_other_norms(p: float) -> None:
    for k in (0, 40):
        assert_sound(images(41), k, p)


@pytest.mark.parametrize("classes", CLASSES)
@settings(deadline=None, max_examples=10)
@given(data=st.data())
def test_sound_and_tight_on_any_logits(classes: int, data: Any) -> None:
    everything = st.floats(width=32, allow_nan=False, allow_infinity=False)
    for elements in (st.floats(-4, 4, width=32), everything):
        logits = data.draw(hnp.arrays(np.float32, (1, 1, 2, classes), elements=elements))
        assert_sound(logits, data.draw(st.integers(0, classes - 1)))


@pytest.mark.slow
@pytest.mark.one_backend
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_other_dtypes(dtype: str) -> None:
    if dtype == "float64" and accumulation_dtype() == "float32":
        pytest.skip("no float64 on this backend")
    narrow = ops.cast(np.random.default_rng(0).normal(size=(1, 2, 2, 41)), dtype)
    read = np.asarray(numbers(ops.cast(narrow, "float64" if dtype == "float64" else "float32")))

    def function(_: Any, *scalars: Any, **static: Any) -> Any:
        return compiled(becoming_margins, STATIC)(narrow, *scalars, **static)

    for k in (0, 40):
        assert_sound(read, k, function=function)


@pytest.mark.parametrize("tolerance", [2.0**-6, 1e4])
def test_the_tolerance_is_taken_off(tolerance: float) -> None:
    assert_sound(images(41), 40, tolerance=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [33, 41, 150])
def test_leaving_pixels_have_the_margin_of_the_class(classes: int) -> None:
    logits = images(classes)
    leaving = np.random.default_rng(1).random(logits.shape[:-1]) < 0.5
    zero = ops.convert_to_tensor(np.zeros((), accumulation_dtype()))
    function = compiled(lambda z, k, where: becoming_margins(z, k, zero, classes, 2, leaving=where))
    for k in (0, classes - 1):
        own = np.where(np.arange(classes) == k, np.float32(2), np.float32(0))
        raised = np.clip(logits, -1e6, 1e6) + own
        got = numbers(function(*map(ops.convert_to_tensor, (raised, np.int32(k), leaving))))
        assert (got[~leaving] == get(raised, k)[~leaving]).all()
        others = np.delete(raised, k, axis=-1).max(-1).astype("float64")
        exact = np.maximum(raised[..., k].astype("float64") - others, 0)[leaving]
        # A difference of two float32 logits and three places below it.
        assert (got[leaving] <= exact).all() and (got[leaving] >= exact * (1 - 1e-6)).all()
        assert exact.any()


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_nan(value: float, p: float) -> None:
    classes, k = 41, 37
    logits = np.random.default_rng(0).normal(size=(1, 1, classes + 1, classes)).astype("float32")
    logits[0, 0, np.arange(classes), np.arange(classes)] = value  # k among them
    nan = np.isnan(get(logits, k, p))
    assert nan[0, 0, :-1].all() and not nan[0, 0, -1]


@pytest.mark.slow
@pytest.mark.one_backend
def test_going_on_reaches_the_level(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = images(150)
    held = get(logits, 0)
    monkeypatch.setattr(becoming, "_PASSES", 0)
    # What the lanes leave out is left out of the first levels, and the steps have yet to be taken.
    assert_sound(logits, 0, function=compiled_anew(becoming_margins, STATIC))
    monkeypatch.setattr(becoming._Pass, "_searched", lambda self, levels, margins: margins)
    cut = get(logits, 0, function=compiled_anew(becoming_margins, STATIC))
    assert (cut < held * (1 - 1e-4)).any()


@pytest.mark.one_backend
def test_the_search_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    # Newton's steps replaced by steps anywhere: looser, and never too much.
    monkeypatch.setattr(becoming._LanePass, "_newton", lambda self, levels: levels * 0.7 + 0.1)
    logits = images(41)
    got = get(logits, 40, function=compiled_anew(becoming_margins, STATIC))
    for place in np.ndindex(*got.shape):
        assert Fraction(float(got[place])) ** 2 / 2 <= exact_cost(logits[place], 40, 2)


def counted_twice(logits: Any, num_classes: int) -> Iterator[tuple[Any, np.ndarray]]:
    for start in range(0, num_classes, 16):
        first = min(start, num_classes - 16)
        yield logits[..., first : first + 16], np.arange(first, first + 16)


@pytest.mark.one_backend
@pytest.mark.parametrize("fault", ["no correction", "counted twice", "too few additions"])
def test_a_broken_cost_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if fault == "no correction":
        monkeypatch.setattr(becoming._LanePass, "_newton", lambda self, levels: levels * 0.5)
        monkeypatch.setattr(becoming, "margins_at_level", uncorrected)
    elif fault == "counted twice":
        monkeypatch.setattr(class_lanes, "lanes", counted_twice)
    else:
        monkeypatch.setattr(becoming, "additions", lambda num_classes: -150)
    broken = compiled_anew(becoming_margins, STATIC)
    with pytest.raises(AssertionError, match="cost too much"):
        assert_sound(images(41), 0, function=broken)


@pytest.mark.slow
@pytest.mark.skipif(not IS_TENSORFLOW, reason="shapes are known wherever JAX traces")
def test_sizes_may_be_unknown() -> None:
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 41), tf.float32)])
    def margins(logits: Any) -> Any:
        return becoming_margins(logits, tf.constant(3), tf.constant(0.0, tf.float64), 41, 2)

    for shape in ((1, 2, 3), (2, 1, 5)):
        logits = np.random.default_rng(0).normal(size=(*shape, 41)).astype("float32")
        got = numbers(margins(logits))
        assert got.shape == shape
        # Fused or not, sums of the same order round alike but for a few units.
        np.testing.assert_allclose(got, get(logits, 3), rtol=1e-6)
