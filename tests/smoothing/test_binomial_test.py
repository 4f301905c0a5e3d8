"""Tables and corrections against those of scipy and statsmodels."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from deel_seg.smoothing import (
    fewest_samples,
    least_count,
    lower_bounds,
    p_values,
    probability_for,
    radius_for,
)

pytestmark = pytest.mark.one_backend  # NumPy and scipy alone


@pytest.mark.parametrize("samples", [1, 10, 54, 100, 1000])
@pytest.mark.parametrize("probability", [0.5, 0.655, 0.95])
def test_p_values_are_those_of_a_binomial_test(samples: int, probability: float) -> None:
    table = p_values(samples, probability)
    for count in {0, 1, samples // 2, samples - 1, samples}:
        tested = stats.binomtest(count, samples, probability, alternative="greater").pvalue
        assert table[count] == pytest.approx(tested, rel=1e-12)


def test_p_values_against_exact_rationals() -> None:
    probability = 0.6552
    table, p = p_values(40, probability), Fraction(probability)
    for count in range(41):
        exact = sum(comb(40, k) * p**k * (1 - p) ** (40 - k) for k in range(count, 41))
        assert abs(Fraction(float(table[count])) / exact - 1) < Fraction(1, 10**12)


@pytest.mark.parametrize("samples", [1, 20, 153])
def test_bounds_are_those_of_clopper_and_pearson(samples: int) -> None:
    bounds, counts = lower_bounds(samples, 0.01), np.arange(samples + 1)
    expected = proportion_confint(counts, samples, 0.02, "beta")[0]
    np.testing.assert_allclose(bounds, np.nan_to_num(expected), rtol=1e-10)
    # The same question, asked the other way round.
    for probability in (0.3, 0.7, 0.9):
        rejected = p_values(samples, probability) <= 0.01
        np.testing.assert_array_equal(rejected, bounds >= probability)


@pytest.mark.parametrize("correction", ["holm", "bonferroni"])
def test_corrections_are_those_of_statsmodels(correction: str) -> None:
    generator, some = np.random.default_rng(0), 0
    for _ in range(15):
        table = p_values(30, generator.uniform(0.5, 0.95))
        counts = generator.binomial(30, generator.uniform(0.5, 1.0), generator.integers(1, 60))
        counts[generator.random(len(counts)) < 0.3] = 30
        alpha = generator.choice([0.3, 0.05, 0.01, 0.001])
        histogram = np.bincount(counts, minlength=31)
        least = least_count(table, histogram, alpha=alpha, correction=correction)
        expected = multipletests(table[counts], alpha, method=correction)[0]
        np.testing.assert_array_equal(counts >= least, expected)
        some += 0 < expected.sum() < len(expected)
    assert some > 3  # Often some are rejected and others not.


def test_a_step_down_that_does_not_stop_would_be_seen() -> None:
    """Two pixels fail where a third, of fewer hits, would pass at its own level."""
    table = np.array([1.0, 0.04, 0.02])
    histogram = np.array([0, 1, 1])
    assert least_count(table, histogram, alpha=0.035) == 3  # 0.02 > 0.035 / 2
    assert least_count(table, histogram, alpha=0.041) == 1


@pytest.mark.parametrize(
    ("eps", "sigma", "expected"),
    [(0.1, 0.15, 72), (0.1, 0.2, 57), (0.1, 0.25, 50), (0.1, 0.3, 46), (0.17, 0.2, 95)],
)
def test_the_cliff(eps: float, sigma: float, expected: int) -> None:
    pixels = 1024 * 1024
    assert fewest_samples(eps, sigma, pixels=pixels, alpha=0.001) == expected
    for samples, least in ((expected - 1, expected), (expected, expected)):
        table = p_values(samples, probability_for(eps, sigma))
        histogram = np.append(np.zeros(samples, int), pixels)
        found = least_count(table, histogram, alpha=0.001)
        assert found == (samples + 1 if samples < expected else least)


def test_radius_and_probability_are_inverse() -> None:
    for eps in (0.0, 0.1, 0.5):
        assert radius_for(probability_for(eps, 0.25), 0.25) == pytest.approx(eps, abs=1e-12)


@pytest.mark.parametrize("correction", ["holm", "bonferroni"])
def test_hardly_any_image_has_a_false_certificate(correction: str) -> None:
    """All pixels come up exactly as often as is not enough: every certificate is a false one."""
    generator, probability, alpha, samples = np.random.default_rng(0), 0.7, 0.1, 60
    table, wrong, images = p_values(samples, probability), 0, 3000
    for _ in range(images):
        counts = generator.binomial(samples, probability, 50)
        histogram = np.bincount(counts, minlength=samples + 1)
        wrong += bool(
            np.any(counts >= least_count(table, histogram, alpha=alpha, correction=correction))
        )
    # So many would come up once in a million times, were the rate alpha.
    assert wrong <= stats.binom.ppf(1 - 1e-6, images, alpha)
    assert wrong > 0


def test_as_many_false_certificates_as_are_tolerated() -> None:
    generator, probability, alpha, samples = np.random.default_rng(0), 0.7, 0.1, 60
    table, wrong, images = p_values(samples, probability), 0, 3000
    least = {
        tolerated: least_count(
            table, np.append(50, np.zeros(samples, int)), alpha=alpha,
            correction="k_familywise", tolerated=tolerated,
        )
        for tolerated in (0, 2)
    }  # fmt: skip
    assert least[2] < least[0]
    for _ in range(images):
        counts = generator.binomial(samples, probability, 50)
        wrong += np.sum(counts >= least[2]) > 2
    assert wrong <= stats.binom.ppf(1 - 1e-6, images, alpha)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: probability_for(-0.1, 0.2), "`eps`"),
        (lambda: probability_for(0.1, 0.0), "`sigma`"),
        (lambda: p_values(0, 0.5), "`samples`"),
        (lambda: p_values(5, 1.5), "`probability`"),
        (lambda: radius_for(0.4, 0.2), "`probability`"),
        (lambda: least_count(np.ones(2), np.ones(2), alpha=0.0), "`alpha`"),
        (lambda: least_count(np.ones(2), np.ones(2), alpha=0.1, correction="bh"), "`correction`"),
        (lambda: fewest_samples(100.0, 0.1, pixels=10), "`eps` is so large"),
    ],
)
def test_bad_arguments(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        call()
