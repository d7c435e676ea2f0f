"""Rates of clustered attempts: closed forms, and the coverage of nominal 95 % beside that of a plain bootstrap."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import betabinom

from assay.basics.samples.clustered_rates import (
    CORRELATIONS,
    RATES,
    _log_likelihood,
    clustered_difference_limits,
    clustered_rate_limits,
    undetected_rate,
)
from assay.basics.stats import Basis, clopper_pearson


def drawn(rng: np.random.Generator, clusters: int, draws: int, rate: float, correlation: float) -> np.ndarray:
    """Hits (cluster,) of a beta-binomial distribution."""
    scale = (1 - correlation) / correlation
    return rng.binomial(draws, rng.beta(rate * scale, (1 - rate) * scale, clusters))


@functools.lru_cache(maxsize=4096)
def limits(hits: tuple[int, ...], draws: int) -> tuple[float, float]:
    return clustered_rate_limits(hits, [draws] * len(hits))


def covered(clusters: int, draws: int, rate: float, correlation: float, runs: int) -> float:
    rng = np.random.default_rng([clusters, draws, int(100 * rate), int(100 * correlation)])
    found = [
        limits(tuple(np.sort(drawn(rng, clusters, draws, rate, correlation)).tolist()), draws) for _ in range(runs)
    ]
    return float(np.mean([low <= rate <= high for low, high in found]))


@pytest.mark.parametrize(("hits", "trials"), [(0, 30), (3, 30), (30, 30), (17, 60)])
def test_one_attempt_a_cluster_gives_the_exact_binomial_interval(hits: int, trials: int) -> None:
    exact = clopper_pearson(hits, trials, 0.9)
    assert_allclose(
        clustered_rate_limits([1] * hits + [0] * (trials - hits), [1] * trials, 0.9), [exact.low, exact.high]
    )
    basis = Basis("clusters", {"hits": np.arange(trials) < hits, "draws": np.ones(trials, dtype=int)})
    assert_allclose([basis.at(0.9).low, basis.at(0.9).high], [exact.low, exact.high])


def test_the_likelihood_is_that_of_a_beta_binomial_distribution() -> None:
    hits, draws = np.array([0, 2, 5, 1]), np.array([5, 5, 5, 3])
    place, which = 300, 10
    scale = (1 - CORRELATIONS[which]) / CORRELATIONS[which]
    a, b = RATES[place] * scale, (1 - RATES[place]) * scale
    from scipy.special import comb

    expected = betabinom.logpmf(hits, draws, a, b).sum() - np.log(comb(draws, hits)).sum()
    assert_allclose(_log_likelihood(hits, draws)[place, which], expected)


def test_copies_of_an_answer_add_nothing() -> None:
    """Ten equal answers a prompt are one answer: limits near those of one draw, far from those of 300 prompts."""
    hits = np.array([1] * 6 + [0] * 24)
    one, ten = clustered_rate_limits(hits, [1] * 30), clustered_rate_limits(10 * hits, [10] * 30)
    many = clopper_pearson(60, 300)
    assert ten[1] - ten[0] > 0.85 * (one[1] - one[0])
    assert ten[1] - ten[0] > 2 * (many.high - many.low)


@pytest.mark.parametrize("draws", [1, 5])
def test_no_hit_leaves_the_exact_upper_limit_and_not_zero(draws: int) -> None:
    low, high = clustered_rate_limits([0] * 30, [draws] * 30)
    assert low == 0
    assert high >= clopper_pearson(0, 30).high - 1e-12
    assert_allclose(clustered_rate_limits([draws] * 30, [draws] * 30), [1 - high, 1.0], atol=1e-9)


def test_limits_mirror_where_hits_and_misses_are_exchanged() -> None:
    hits = np.array([0, 1, 5, 2, 0, 0, 3])
    low, high = clustered_rate_limits(hits, [5] * 7)
    assert_allclose(clustered_rate_limits(5 - hits, [5] * 7), [1 - high, 1 - low], atol=1e-6)


def test_undefined_cases_give_the_whole_range() -> None:
    assert clustered_rate_limits([], []) == (0.0, 1.0)
    assert clustered_rate_limits([2], [5]) == (0.0, 1.0)
    assert clustered_rate_limits([0], [5]) == (0.0, 0.975)
    assert clustered_rate_limits([5, 0, 0], [5, 0, 0]) == pytest.approx((0.025, 1.0))
    assert clustered_difference_limits([1], [0], [0], [1]) == (-1.0, 1.0)
    assert undetected_rate(0) == 1.0
    assert_allclose(undetected_rate(59), 0.0495, atol=1e-4)


@pytest.mark.parametrize(("clusters", "rate"), [(30, 0.3), (100, 0.1)])
def test_nominal_intervals_cover_clustered_rates(clusters: int, rate: float) -> None:
    assert 0.93 <= covered(clusters, 5, rate, 0.5, 400) <= 0.975


@pytest.mark.judge
@pytest.mark.parametrize("correlation", [0.2, 0.5, 0.8])
@pytest.mark.parametrize(("clusters", "rate"), [(30, 0.3), (30, 0.5), (60, 0.1), (60, 0.3), (100, 0.05), (100, 0.1)])
def test_nominal_intervals_cover_in_two_thousand_simulations(clusters: int, rate: float, correlation: float) -> None:
    assert 0.93 <= covered(clusters, 5, rate, correlation, 2000) <= 0.97


@pytest.mark.parametrize("shared", [0.0, 0.5])
def test_differences_to_controls_of_the_same_prompts_are_covered(shared: float) -> None:
    rng, missed, runs = np.random.default_rng(3), 0, 300
    for _ in range(runs):
        common = rng.random(60) < shared
        own = np.where(common, (q := rng.beta(0.3, 0.7, 60)), rng.beta(0.3, 0.7, 60))
        control = np.where(common, q, rng.beta(0.3, 0.7, 60)) * 0.5
        low, high = clustered_difference_limits(rng.binomial(4, own), [4] * 60, rng.binomial(4, control), [4] * 60)
        missed += not low <= 0.15 <= high
    assert 0.925 <= 1 - missed / runs <= 0.985


def test_without_hits_anywhere_the_difference_has_the_limits_of_the_rate() -> None:
    low, high = clustered_difference_limits([0] * 60, [1] * 60, [0] * 60, [1] * 60)
    assert_allclose([low, high], [-clopper_pearson(0, 60).high, clopper_pearson(0, 60).high])
