"""Intervals of performance and of what the data choose: closed forms, and coverage on simulations."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats as scipy_stats

from assay.basics.samples.distribution_distances import (
    distance_limits,
    distance_shortfall,
    kolmogorov_distance,
    kolmogorov_excess,
    total_variation,
    total_variation_excess,
)
from assay.basics.stats import (
    Basis,
    auc_interval,
    clopper_pearson,
    distance_interval,
    largest_distance_interval,
    largest_mean_gap_interval,
    largest_rate_distance_interval,
    newcombe,
    rate_difference_interval,
    skewness_corrected_interval,
    skill_interval,
)


def test_skill_is_twice_the_area_less_one() -> None:
    area, skill = auc_interval(0.8, 30, 50, 0.9), skill_interval(0.8, 30, 50, 0.9)
    assert_allclose([skill.low, skill.high], [2 * area.low - 1, 2 * area.high - 1])


def test_a_distance_is_within_a_quantile_of_its_noise_and_never_below_nought() -> None:
    noise = np.linspace(0.0, 0.1, 101)
    for observed in (0.3, 0.01):
        found = distance_interval(observed, noise, 0.9)
        assert_allclose([found.low, found.high], [max(0.0, observed - 0.09), observed + 0.09])


def test_the_distance_of_one_rate_from_its_level_is_between_those_of_its_exact_limits() -> None:
    exact = clopper_pearson(12, 100, 0.9)
    inside, outside = (largest_rate_distance_interval(np.array([12]), 100, np.array([x]), 0.9) for x in (0.1, 0.4))
    assert_allclose([inside.low, inside.high], [0.0, exact.high - 0.1])
    assert_allclose([outside.low, outside.high], [0.4 - exact.high, 0.4 - exact.low])


def test_the_largest_distance_of_several_rates_is_covered() -> None:
    generator, true, levels = np.random.default_rng(0), np.array([0.12, 0.5, 0.85]), np.array([0.1, 0.5, 0.9])
    draws = generator.random((300, 200))
    hits = (draws[:, :, None] < true).sum(axis=1)
    found = [largest_rate_distance_interval(line, 200, levels) for line in hits]
    assert sum(0.05 in interval for interval in found) >= 285


def test_the_gap_of_one_set_of_rates_is_newcombes() -> None:
    wrong = np.repeat([1.0, 0.0, 1.0, 0.0], [9, 21, 20, 150])
    inside = np.arange(200) < 30
    found, right = largest_mean_gap_interval(wrong, inside[:, None], 0.9), newcombe(9, 30, 20, 170, 0.9)
    assert_allclose([found.low, found.high], [right.low, right.high])


def test_what_is_expected_of_each_set_is_subtracted_before_the_largest_is_taken() -> None:
    wrong, inside = np.repeat([1.0, 0.0, 1.0, 0.0], [9, 21, 20, 150]), np.zeros((200, 2), dtype=bool)
    inside[:30, 0], inside[100:140, 1] = True, True
    each = [largest_mean_gap_interval(wrong, inside[:, [place]], 0.95) for place in (0, 1)]  # 0.9 for both together
    found = largest_mean_gap_interval(wrong, inside, 0.9, expected=np.array([0.3, -0.2]))
    assert_allclose(found.low, max(each[0].low - 0.3, each[1].low + 0.2))
    assert_allclose(found.high, max(each[0].high - 0.3, each[1].high + 0.2))


def test_the_gap_of_means_combines_the_limits_of_both_and_is_wider_for_more_sets() -> None:
    generator = np.random.default_rng(1)
    values, inside = generator.exponential(size=120), np.arange(120) < 40
    a, b = (skewness_corrected_interval(values[one]) for one in (inside, ~inside))
    right = rate_difference_interval(values[:40].mean(), a, values[40:].mean(), b)
    found = largest_mean_gap_interval(values, inside[:, None])
    assert_allclose([found.low, found.high], [right.low, right.high])
    twice = largest_mean_gap_interval(values, np.stack([inside, inside], axis=1))
    assert twice.low < found.low < found.high < twice.high


@pytest.mark.parametrize("law", ["rates", "means"])
def test_the_largest_gap_of_several_sets_is_covered_although_the_data_choose_the_set(law: str) -> None:
    generator, covered = np.random.default_rng(2), 0
    inside = np.stack([np.arange(240) // 40 == place for place in range(4)], axis=1)  # 80 rows are in no set
    true = 0.2 + 0.2 * inside[:, 0]
    right = 0.4 - 0.2
    for _ in range(300):
        values = (generator.random(240) < true).astype(float) if law == "rates" else generator.exponential(true)
        covered += right in largest_mean_gap_interval(values, inside)
    assert covered >= 285


def test_sets_that_are_equal_are_rarely_told_to_differ() -> None:
    generator, beyond = np.random.default_rng(3), 0
    inside = np.stack([np.arange(300) // 30 == place for place in range(10)], axis=1)
    for _ in range(300):
        beyond += largest_mean_gap_interval((generator.random(300) < 0.3).astype(float), inside).low > 0
    assert beyond <= 15


def test_the_kolmogorov_distance_is_scipys() -> None:
    generator = np.random.default_rng(4)
    for ties in (False, True):
        one, other = generator.normal(size=50), generator.normal(0.3, size=80)
        one, other = (np.round(side) if ties else side for side in (one, other))
        assert_allclose(kolmogorov_distance(one, other), scipy_stats.ks_2samp(one, other).statistic)


def test_the_total_variation_is_the_largest_difference_of_any_set_of_levels() -> None:
    shares, others = np.array([0.2, 0.5, 0.1, 0.2]), np.array([0.4, 0.1, 0.15, 0.35])
    sets = [[bool(number >> place & 1) for place in range(4)] for number in range(16)]
    assert_allclose(total_variation(shares, others), max((shares - others)[one].sum() for one in sets))


@pytest.mark.parametrize("tail", [0.2, 0.01])
def test_the_excess_of_a_kolmogorov_distance_is_the_quantile_of_a_sum(tail: float) -> None:
    generator = np.random.default_rng(5)
    one, other = (np.sqrt(np.log(2 / generator.random(400_000)) / 2) for _ in range(2))
    right = np.quantile(one / np.sqrt(50) + other / np.sqrt(200), 1 - tail)
    assert_allclose(kolmogorov_excess(50, 200, tail), right, rtol=0.01)


def test_the_excess_of_a_total_variation_counts_the_sets_of_levels() -> None:
    for levels in (2, 5):
        right = np.sqrt(np.log((2**levels - 2) / 0.05) * (1 / 100 + 1 / 300) / 2)
        assert_allclose(total_variation_excess(levels, 100, 300, 0.05), right)
    assert total_variation_excess(1, 100, 300, 0.05) == 0.0
    assert total_variation_excess(10_000, 100, 300, 0.05) == 1.0


def test_no_bound_on_a_distance_is_above_one() -> None:
    assert kolmogorov_excess(1, 1, 1e-6) == 1.0
    assert distance_shortfall(1, 1, 1e-6) == 1.0


def test_limits_of_columns_lie_on_both_sides_of_their_distances() -> None:
    distances, levels = np.array([0.5, 0.5, 0.01, 0.99]), np.array([0, 3, 0, 2])
    low, high = distance_limits(distances, levels, np.array([200, 300]), 0.01)
    assert_allclose(
        low[:2], 0.5 - np.array([kolmogorov_excess(200, 300, 0.01), total_variation_excess(3, 200, 300, 0.01)])
    )
    assert_allclose(high[:2], 0.5 + distance_shortfall(200, 300, 0.01))
    assert (low[2], high[3]) == (0.0, 1.0)


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_the_largest_distance_of_columns_is_covered(shift: float) -> None:
    generator, covered = np.random.default_rng(6), 0
    true = float(2 * scipy_stats.norm.cdf(shift / 2) - 1)
    for _ in range(200):
        own, other = generator.normal(size=(100, 4)), generator.normal(size=(150, 4))
        own[:, 0] += shift
        distances = np.array([kolmogorov_distance(a, b) for a, b in zip(own.T, other.T)])
        covered += true in largest_distance_interval(distances, np.zeros(4, dtype=int), np.array([100, 150]))
    assert covered >= 190


@pytest.mark.parametrize(
    "basis",
    [
        Basis("skill", {"area": 0.7, "count": 20, "other": 30}),
        Basis("distance", {"observed": 0.2, "noise": np.linspace(0, 0.1, 50)}),
        Basis("coverage", {"hits": np.array([5, 45]), "trials": 50, "levels": np.array([0.1, 0.9])}),
        Basis("gaps", {"values": np.arange(60.0) % 2, "inside": np.arange(60)[:, None] % 3 == [0, 1]}),
        Basis("distances", {"distances": np.array([0.2]), "levels": np.array([0]), "rows": np.array([50, 60])}),
    ],
    ids=lambda basis: basis.how,
)
def test_a_higher_level_gives_a_wider_interval(basis: Basis) -> None:
    near, far = basis.at(0.9), basis.at(0.99)
    assert far.low <= near.low <= near.high < far.high
    assert (near.level, far.level) == (0.9, 0.99)
