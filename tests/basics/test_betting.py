"""Betting's interval for a bounded mean."""

import numpy as np
import pytest

from assay.basics.betting import betting_interval


def hedged_capital(x, m, miss):
    """Waudby-Smith and Ramdas 2024, §4.4, draw after draw: the largest capital of either side against the mean m."""
    n, up, down, best, seen = len(x), 1.0, 1.0, 0.0, []
    mean_sum, square_sum = 0.5, 0.25
    for i, value in enumerate(x, start=1):
        variance = 0.25 if not seen else square_sum / (i - 1 + 1)
        stake = np.sqrt(2 * np.log(2 / miss) / (n * variance))
        up *= 1 + min(stake, 0.5 / m) * (value - m)
        down *= 1 - min(stake, 0.5 / (1 - m)) * (value - m)
        best = max(best, up / 2, down / 2)
        seen.append(value)
        mean_sum += value
        square_sum += (value - mean_sum / (i + 1)) ** 2
    return best


def test_the_limits_are_where_the_capital_reaches_its_goal():
    x = np.random.default_rng(0).beta(2, 5, size=60)
    low, high = betting_interval(x[:, None], 0.0, 1.0, 0.05)
    for limit, inward in ((float(low[0]), 1e-6), (float(high[0]), -1e-6)):
        assert hedged_capital(x, limit - inward, 0.05) >= 20
        assert hedged_capital(x, limit + inward, 0.05) < 20


def test_another_range_is_another_scale():
    x = np.random.default_rng(1).uniform(size=(40, 3))
    low, high = betting_interval(x, 0.0, 1.0, 0.1)
    moved_low, moved_high = betting_interval(6 * x - 2, -2.0, 4.0, 0.1)
    np.testing.assert_allclose(moved_low, 6 * low - 2, atol=1e-9)
    np.testing.assert_allclose(moved_high, 6 * high - 2, atol=1e-9)


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_a_constant_is_within_and_an_end_of_the_range_is_reached(value):
    low, high = betting_interval(np.full((200, 1), value), -1.0, 1.0, 0.05)
    assert low[0] <= value <= high[0]
    assert high[0] - low[0] < 0.1


@pytest.mark.parametrize("draws", [5, 50, 500])
@pytest.mark.parametrize("chance", [0.02, 0.5, 0.9])
def test_it_covers_coins_of_any_bias(draws, chance):
    x = (np.random.default_rng(draws).random((draws, 800)) < chance).astype(float)
    low, high = betting_interval(x, 0.0, 1.0, 0.1)
    assert ((low <= chance) & (chance <= high)).mean() >= 0.9
