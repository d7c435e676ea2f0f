"""Score limits of ratios of rates: a published example, inverted tests, and their coverage."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from assay.basics.samples.rate_ratios import ratio_limits, smallest_ratio_limits
from assay.basics.stats import Basis

BASES = (0.02, 0.05, 0.1, 0.2, 0.5)


def test_limits_lie_just_outside_koopmans_for_his_example() -> None:
    low, high = ratio_limits(36, 40, 16, 80)  # Koopman 1984: 2.94 to 7.15, without the factor N / (N − 1)
    assert_allclose([low[0], high[0]], [2.94, 7.15], rtol=0.005)
    assert low[0] < 2.9396
    assert high[0] > 7.1520


def test_limits_of_the_inverse_ratio_are_the_inverse_limits() -> None:
    low, high = ratio_limits([30, 3], [200, 50], [50, 9], [150, 70])
    back_low, back_high = ratio_limits([50, 9], [150, 70], [30, 3], [200, 50])
    assert_allclose(np.concatenate([low, high]), 1 / np.concatenate([back_high, back_low]))


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [((0, 10, 5, 10), 0.0, 0.641), ((5, 10, 0, 10), 1.560, np.inf), ((0, 10, 0, 10), 0.0, np.inf)],
)
def test_counts_of_zero_have_open_limits(counts: tuple[int, int, int, int], low: float, high: float) -> None:
    found = ratio_limits(*counts)
    assert_allclose([found[0][0], found[1][0]], [low, high], atol=0.001)


def test_certain_rates_have_limits_on_both_sides_of_one() -> None:
    low, high = ratio_limits(10, 10, 10, 10)
    assert low[0] < 1 < high[0]
    assert_allclose(low * high, 1.0)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("ratio", [1.0, 0.8, 0.25])
def test_limits_cover_the_ratio_at_low_and_high_rates(base: float, ratio: float) -> None:
    generator, runs, rows = np.random.default_rng(0), 3000, 400
    hits, others = generator.binomial(rows, base * ratio, runs), generator.binomial(rows, base, runs)
    low, high = ratio_limits(hits, np.full(runs, rows), others, np.full(runs, rows))
    assert np.mean((low <= ratio) & (ratio <= high)) >= 0.937  # 95 % less 3.3 standard errors


@pytest.mark.parametrize("shares", [(1, 1, 1), (1, 0.8, 0.8), (1, 0.9, 0.25)])
def test_the_smallest_ratio_is_covered_whichever_groups_the_data_choose(shares: tuple[float, ...]) -> None:
    generator, trials = np.random.default_rng(1), np.full(3, 300)
    hits = np.concatenate([generator.binomial(300, base * np.array(shares), size=(20, 3)) for base in BASES])
    limits = np.array([smallest_ratio_limits(row, trials) for row in hits])
    assert np.mean((limits[:, 0] <= min(shares)) & (min(shares) <= limits[:, 1])) >= 0.9


def test_the_basis_gives_the_limits_at_any_level() -> None:
    basis = Basis("ratios", {"hits": np.array([120, 30]), "trials": np.array([1500, 1500])})
    for level in (0.8, 0.95, 0.999):
        found = basis.at(level)
        low, high = ratio_limits(30, 1500, 120, 1500, level)
        assert_allclose([found.low, found.high], [low[0], high[0]])
    assert basis.at(1 - 0.05 / 40).high < 0.8


def test_the_smallest_ratio_has_the_smallest_corrected_limits_of_all_pairs() -> None:
    counts = [(30, 200), (12, 150), (40, 180)]
    pairs = [(counts[i], counts[j]) for i in range(3) for j in range(3) if i != j]
    limits = [ratio_limits(*one, *two, 1 - 0.05 / 3) for one, two in pairs]
    hits, trials = np.array(counts).T
    assert_allclose(
        smallest_ratio_limits(hits, trials), [min(low[0] for low, _ in limits), min(high[0] for _, high in limits)]
    )
