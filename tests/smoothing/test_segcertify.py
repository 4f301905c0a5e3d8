"""SegCertify: its samples are independent, and its certificates hold."""

from __future__ import annotations

from fractions import Fraction
from math import comb
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

from deel_seg.smoothing import SegCertify, lower_bounds
from deel_seg.smoothing.binomial_test import radii_of
from deel_seg.smoothing.sampling import Sampler

SIGMA = 0.25


def linear(images: Any) -> Any:
    """One logit: the sum of two channels, less 1. Its pixels keep their class within a distance."""
    return images[..., :1] + images[..., 1:2] - 1.0


def drawn(count: int = 2, size: int = 12) -> np.ndarray:
    generator = np.random.default_rng(0)
    return generator.uniform(size=(count, size, size, 2)).astype("float32")


def test_certified_within_the_true_radius() -> None:
    """A pixel's own distance is known: with alpha of 1e-3 for 8 images nothing lies beyond it."""
    images = drawn(8)
    distance = np.abs(images.sum(-1) - 1.0) / np.sqrt(2.0)
    smoothed = SegCertify(linear, 2, SIGMA, samples=200)
    for found in smoothed(images, eps=[0.0, 0.1, 0.3]):
        certified = found.classes >= 0
        assert np.all(distance[certified] >= found.eps)
        np.testing.assert_array_equal(found.classes[certified], (images.sum(-1) > 1)[certified])
        assert 0.1 < certified.mean() < 1.0
        # Of those that a perfect test would certify most are.
        assert certified[distance > found.eps + 0.2].mean() > 0.8


def test_every_sample_has_a_noise_of_its_own() -> None:
    """Counts of a pixel on the edge are binomial: copies of one noise would be all or nothing."""
    images = np.full((1, 40, 40, 2), 0.5, "float32")
    counts = SegCertify(linear, 2, SIGMA, samples=64, batch_size=16).sample(images)
    hits = np.where(counts.top == 1, counts.hits, 64 - counts.hits).ravel()
    assert abs(hits.mean() - 32) < 5 * 4 / 40
    assert 0.8 < hits.var() / 16 < 1.2
    # First and other samples are independent as well.
    assert abs(np.corrcoef(counts.top.ravel(), hits)[0, 1]) < 0.15
    same = [hits[:800], hits[800:]]
    assert abs(np.corrcoef(same)[0, 1]) < 0.2


def test_the_same_however_images_are_put_together() -> None:
    images = drawn(3)
    smoothed = SegCertify(linear, 2, SIGMA, samples=30, batch_size=7)
    together = smoothed.sample(images, seed=3)
    alone = smoothed.sample(images[1:2], seed=3, first_image=1)
    np.testing.assert_array_equal(together.hits[1], alone.hits[0])
    assert np.any(smoothed.sample(images, seed=4).hits != together.hits)
    # Neither 30 nor 10 is a multiple of 7: what fills up the last batch is not counted.
    assert together.hits.max() == 30


@pytest.mark.parametrize("correction", ["holm", "bonferroni", "k_familywise"])
def test_stopping_early_changes_no_certificate(correction: str) -> None:
    images = np.where(np.arange(12)[:, None] % 2 == 0, 0.9, 0.1) * np.ones((1, 12, 12, 1))
    images = np.repeat(images, 2, axis=-1).astype("float32")
    smoothed = SegCertify(
        linear, 2, SIGMA, samples=300, correction=correction, tolerated=2, batch_size=10
    )
    for eps in ([0.05], [0.05, 0.2], [5.0]):
        stopped, full = smoothed.sample(images, eps=eps), smoothed.sample(images)
        assert stopped.taken[0] < 300 == full.taken[0]
        for radius in eps:
            one, other = (smoothed.certify(counts, eps=radius) for counts in (stopped, full))
            np.testing.assert_array_equal(one.classes, other.classes)


def test_nothing_is_sampled_that_cannot_be_certified() -> None:
    smoothed = SegCertify(linear, 2, SIGMA, samples=5)
    counts = smoothed.sample(drawn(1), eps=[0.2])
    assert counts.taken[0] == 0
    assert np.all(smoothed.certify(counts, eps=0.2).classes == -1)


def test_accuracy_counts_abstaining_as_wrong() -> None:
    images = drawn(2)
    found = SegCertify(linear, 2, SIGMA, samples=100)(images, eps=0.1)
    labels = (images.sum(-1) > 1).astype("int32")
    expected = np.mean(found.classes == labels, axis=(1, 2))
    np.testing.assert_array_equal(found.accuracy(labels), expected)
    np.testing.assert_array_equal(found.abstained, np.mean(found.classes == -1, axis=(1, 2)))
    labels[0], labels[1, :6] = 255, 255
    some = found.accuracy(labels, ignore_class=255)
    assert np.isnan(some[0]) and some[1] == np.mean(found.classes[1, 6:] == labels[1, 6:])


def test_a_keras_model_and_several_classes() -> None:
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, keras.layers.Rescaling(2.0)(inputs))
    images = np.random.default_rng(0).uniform(size=(2, 6, 5, 3)).astype("float32")
    found = SegCertify(model, 3, 0.05, samples=50, batch_size=4)(images, eps=0.02, verbose=0)
    certified = found.classes >= 0
    assert certified.any()
    np.testing.assert_array_equal(found.classes[certified], images.argmax(-1)[certified])


def test_most_frequent_class_of_ties_is_the_lowest() -> None:
    sampler = Sampler(lambda x: ops.zeros_like(x), 3, 0.1, 4)
    top = sampler.most_frequent(np.zeros((2, 2, 3), "float32"), 6, (0, 0, 0), lambda _: None)
    np.testing.assert_array_equal(ops.convert_to_numpy(top), 0)


def test_the_level_is_kept_on_a_network() -> None:
    """Pixels whose class comes up as often as is just not enough: few images are certified."""
    eps, sigma, size = 0.2, 0.25, 3
    images = np.zeros((400, size, size, 1), "float32") + 0.5 + eps  # At the radius itself
    smoothed = SegCertify(lambda x: x - 0.5, 2, sigma, samples=40, alpha=0.1, batch_size=40)
    found = smoothed(images, eps=eps)
    wrong = np.sum(np.any(found.classes >= 0, axis=(1, 2)))
    assert wrong <= stats.binom.ppf(1 - 1e-6, len(images), 0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_classes": 1}, "`num_classes`"), ({"sigma": 0.0}, "`sigma`"),
        ({"samples": 0}, "`samples`"), ({"first_samples": 0}, "`first_samples`"),
        ({"alpha": 1.0}, "`alpha`"), ({"correction": "none"}, "`correction`"),
        ({"tolerated": -1}, "`tolerated`"), ({"batch_size": 0}, "`batch_size`"),
    ],
)  # fmt: skip
def test_bad_arguments(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SegCertify(**{"model": linear, "num_classes": 2, "sigma": 0.1, **change})


def test_bad_calls() -> None:
    smoothed = SegCertify(linear, 2, SIGMA, samples=20)
    for call, message in (
        (lambda: smoothed(drawn(), eps=-1.0), "`eps`"),
        (lambda: smoothed(drawn()[0], eps=0.1), "must be floats of shape"),
        (lambda: smoothed(drawn() * np.nan, eps=0.1), "must be finite"),
        (lambda: smoothed(drawn(), eps=0.1, seed=-1), "`seed`"),
        (lambda: smoothed(drawn(), eps=0.1).accuracy(np.zeros((2, 3, 3))), "`labels` must have"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_sampling_goes_on_where_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = drawn(3)
    smoothed = SegCertify(linear, 2, SIGMA, samples=20)
    whole = smoothed.sample(images, eps=[0.1], seed=2)
    hits, sampled = Sampler.hits, []

    def stopping(self: Sampler, *args: Any) -> Any:
        sampled.append(len(sampled))
        if len(sampled) == 2:
            raise KeyboardInterrupt
        return hits(self, *args)

    monkeypatch.setattr(Sampler, "hits", stopping)
    options: dict[str, Any] = {"eps": [0.1], "seed": 2, "folder": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        smoothed.sample(images, **options)
    for found, expected in zip(smoothed.sample(images, **options), whole, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert len(sampled) == 2 + 2  # The first image was not sampled again.
    (certified,) = smoothed(images, **options)
    np.testing.assert_array_equal(certified.classes, smoothed.certify(whole, eps=0.1).classes)
    assert len(sampled) == 2 + 2
    for changed in ({"eps": [0.2]}, {"seed": 3}, {"first_image": 1}):
        with pytest.raises(ValueError, match=r"`folder` holds samples of something else"):
            smoothed.sample(images, **{**options, **changed})
    with pytest.raises(ValueError, match="its `smoothing` is"):
        SegCertify(linear, 2, 0.3, samples=20).sample(images, **options)
    with pytest.raises(ValueError, match="its `smoothing` is"):
        SegCertify(linear, 2, SIGMA, samples=20, batch_size=3).sample(images, **options)
    with pytest.raises(ValueError, match="another function"):
        SegCertify(lambda x: -linear(x), 2, SIGMA, samples=20).sample(images, **options)


def test_tolerated_certificates_are_not_counted_as_right() -> None:
    """Nearly every pixel is certified wrongly, which k-familywise control allows."""
    images, labels = np.zeros((1, 40, 40, 1), "float32"), np.ones((1, 40, 40), int)
    options: dict[str, Any] = {"samples": 100, "alpha": 0.1, "correction": "k_familywise"}
    smoothed = SegCertify(lambda x: x + 0.24, 2, SIGMA, tolerated=1599, **options)
    found = smoothed(images, eps=0.25)  # Half of what is needed keeps no pixel at 1.
    assert np.sum(found.classes == 1) > 10
    np.testing.assert_array_equal(found.accuracy(labels), [0.0])
    some = SegCertify(lambda x: x + 1.0, 2, SIGMA, tolerated=40, **options)(images, eps=0.1)
    assert some.tolerated == 40
    np.testing.assert_array_equal(some.accuracy(labels), [1.0 - 40 / 1600])


def test_a_number_of_classes_that_is_not_the_models_is_refused() -> None:
    smoothed = SegCertify(lambda x: x, 3, SIGMA, samples=5, batch_size=5)
    with pytest.raises(ValueError, match=r"`num_classes` must be .*num_classes=3, logits=\(5, "):
        smoothed(drawn(1), eps=0.1)


@pytest.mark.parametrize("correction", ["bonferroni", "k_familywise"])
def test_radii_are_what_is_certified_at_each_budget(correction: str) -> None:
    images = drawn(4)
    smoothed = SegCertify(linear, 2, SIGMA, samples=200, correction=correction, tolerated=2)
    counts = smoothed.sample(images)
    radii = smoothed.radii(counts)
    for eps in (1e-3, 0.05, 0.1, 0.2, 0.4):
        certified = smoothed.certify(counts, eps=eps).classes >= 0
        np.testing.assert_array_equal(radii >= eps, certified)
    if correction == "bonferroni":  # Whose radii all hold.
        distance = np.abs(images.sum(-1) - 1.0) / np.sqrt(2.0)
        assert np.all(radii[radii > 0] <= distance[radii > 0])
    ended = smoothed.sample(images, eps=[0.6])
    assert np.any(ended.taken < 200) and np.all(smoothed.radii(ended) <= radii)


def test_radii_are_below_those_in_exact_arithmetic() -> None:
    """At the radius that is told the count is as rare as promised, and hardly more than that."""
    for samples, level in ((20, 0.01), (153, 1e-6), (400, 1e-9)):
        radii = radii_of(lower_bounds(samples, level), SIGMA)
        told = np.flatnonzero(radii)
        assert len(told) > samples // 20
        for count in told[:: max(len(told) // 8, 1)].tolist():
            # The distribution function of scipy is right to some 1e-15; twice that is added.
            above = Fraction(float(stats.norm.cdf(radii[count] / SIGMA))) * (
                1 + Fraction(2, 10**15)
            )
            assert tail(samples, count, above) <= Fraction(level)
            further = Fraction(float(stats.norm.cdf((radii[count] + 1e-9) / SIGMA)))
            assert tail(samples, count, further) > Fraction(level)


def tail(samples: int, count: int, probability: Fraction) -> Fraction:
    """Probability of a count or more."""
    terms = range(count, samples + 1)
    other = 1 - probability
    return sum(
        (comb(samples, k) * probability**k * other ** (samples - k) for k in terms), Fraction(0)
    )
