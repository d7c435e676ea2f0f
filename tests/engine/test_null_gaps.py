"""Where gaps lie without an effect: the same as rows that change their groups one by one."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from assay.basics.seed import Seed
from assay.engine.fairness.null_gaps import null_calibration_gap, null_gap, null_mean_gap, null_ratio


def permuted(statistic: object, group: np.ndarray, draws: int = 4000) -> np.ndarray:
    """A statistic of groups (row,) after permutations of the rows."""
    generator = np.random.default_rng(0)
    assert callable(statistic)
    return np.array([statistic(generator.permutation(group)) for _ in range(draws)])


@pytest.mark.parametrize("sizes", [(40, 60), (30, 50, 80)])
def test_counts_give_the_same_as_permuting_the_rows(sizes: tuple[int, ...]) -> None:
    group = np.repeat(np.arange(len(sizes)), sizes)
    hit = np.random.default_rng(1).random(len(group)) < 0.35
    hits, trials = np.bincount(group, hit).astype(int), np.array(sizes)

    def rates(own: np.ndarray) -> np.ndarray:
        return np.asarray(np.bincount(own, hit) / trials)

    gaps = permuted(lambda own: np.ptp(rates(own)), group)
    ratios = permuted(lambda own: rates(own).min() / rates(own).max(), group)
    gap, ratio = null_gap(hits, trials, 0.95, Seed(0)), null_ratio(hits, trials, 0.95, Seed(0))
    assert 0.94 <= (gaps <= gap.high).mean() <= 0.975
    assert 0.94 <= (ratios >= ratio.low).mean() <= 0.975
    assert_allclose([gap.low, ratio.high], [0.0, 1.0])


def test_the_larger_of_two_rates_gaps_is_permuted_within_each() -> None:
    hits, trials, part = np.array([10, 12, 3, 9]), np.array([40, 40, 20, 60]), np.array([0, 0, 1, 1])
    both = null_gap(hits, trials, 0.95, Seed(0), part).high
    alone = [null_gap(hits[own], trials[own], 0.95, Seed(0)).high for own in (part == 0, part == 1)]
    assert max(alone) - 0.01 < both < sum(alone)


def test_means_are_permuted_and_calibrated_events_are_drawn() -> None:
    group = np.repeat([0, 1, 2], [20, 30, 50])
    values = np.random.default_rng(0).exponential(size=100)
    gaps = permuted(lambda own: np.ptp(np.bincount(own, values) / np.bincount(own)), group)
    assert_allclose(null_mean_gap(values, group, 0.95, Seed(0)).high, np.quantile(gaps, 0.95), atol=0.06)
    chances, trials = np.array([0.2, 0.3]), np.array([50, 50])
    found = null_calibration_gap(chances, trials, np.zeros(2, dtype=int), np.zeros(2), 0.95, Seed(0))
    spread = np.sqrt((0.2 * 0.8 + 0.3 * 0.7) / 50)
    assert_allclose(found.high, 1.96 * spread, atol=0.02)
