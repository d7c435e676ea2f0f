"""Limits for gaps between groups: the pairs one by one, and the paired rates of one group."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from assay.basics.paired_tests import paired_rate_interval
from assay.basics.stats import Basis, newcombe, skewness_corrected_interval


def test_only_groups_of_the_same_part_are_compared() -> None:
    hits, trials = np.array([9, 3, 20, 1]), np.array([20, 20, 40, 40])
    found = Basis("pairs", {"hits": hits, "trials": trials, "part": np.array([0, 0, 1, 1])}).at(0.95)
    limits = [newcombe(9, 20, 3, 20, 0.975), newcombe(20, 40, 1, 40, 0.975)]
    assert_allclose([found.low, found.high], [max(one.low for one in limits), max(one.high for one in limits)])


def test_what_is_subtracted_from_the_rates_moves_the_limits_and_not_their_width() -> None:
    data = {"hits": np.array([30, 12]), "trials": np.array([40, 40])}
    plain, moved = (Basis("pairs", data | more).at(0.95) for more in ({}, {"less": np.array([0.2, 0.1])}))
    assert_allclose([moved.low, moved.high], [plain.low - 0.1, plain.high - 0.1])


@pytest.mark.parametrize("groups", [2, 4])
def test_the_gap_of_means_is_between_the_largest_limits_of_the_pairs(groups: int) -> None:
    generator = np.random.default_rng(groups)
    group = generator.integers(groups, size=120)
    values = generator.exponential(size=120) + group
    found = Basis("means", {"values": values, "group": group}).at(0.9)
    each = 1 - 0.1 / (groups * (groups - 1) / 2)
    lows, highs = [], []
    for one in range(groups):
        for two in range(one):
            own, other = values[group == one], values[group == two]
            a, b = skewness_corrected_interval(own, each), skewness_corrected_interval(other, each)
            gap = own.mean() - other.mean()
            low = gap - np.hypot(own.mean() - a.low, b.high - other.mean())
            high = gap + np.hypot(a.high - own.mean(), other.mean() - b.low)
            lows.append(max(low, -high, 0))
            highs.append(max(high, -low))
    assert_allclose([found.low, found.high], [max(lows), max(highs)])


def test_paired_rates_of_one_group_have_agresti_and_mins_limits() -> None:
    generator = np.random.default_rng(0)
    was, now = generator.integers(2, size=80).astype(float), generator.integers(2, size=80).astype(float)
    gained, lost = int((now > was).sum()), int((now < was).sum())
    right = paired_rate_interval(was, now)
    data = {"gained": np.array([gained]), "lost": np.array([lost]), "rows": np.array([80]), "weight": 0.5}
    found = Basis("paired sum", data).at(0.95)
    assert_allclose([found.low, found.high], [right.low / 2, right.high / 2])
    size = Basis("paired", {"gained": np.array([gained]), "lost": np.array([lost]), "rows": 80}).at(0.95)
    assert_allclose([size.low, size.high], [max(right.low, -right.high, 0), max(right.high, -right.low)])


def test_several_paired_rates_are_corrected_for_their_number() -> None:
    data = {"gained": np.array([9, 2]), "lost": np.array([1, 4]), "rows": 60}
    one = Basis("paired", {"gained": np.array([9]), "lost": np.array([1]), "rows": 60}).at(0.975)
    both = Basis("paired", data).at(0.95)
    assert_allclose([both.low, both.high], [one.low, one.high])
