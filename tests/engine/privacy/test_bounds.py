"""What (ε, δ) allows an attack, and lower limits of ε from attacks on models whose ε is known exactly."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats as scipy_stats
from tests.oracles.private_logistic import gaussian_delta, gaussian_epsilon, private_losses

from assay.basics.errors import InputError
from assay.basics.samples.privacy_limits import exponential_limits, privacy_loss_limits
from assay.engine.privacy.bounds import (
    advantage_bound,
    audited_epsilon,
    comparable_budget,
    exponential_bound,
    one_run_epsilon,
    rate_bound,
)


def test_the_largest_advantage_is_the_published_one() -> None:
    assert_allclose([advantage_bound(e) for e in (0.5, 1, 2, 8)], [0.245, 0.462, 0.762, 0.999], atol=6e-4)
    assert advantage_bound(1e4) == 1.0
    assert advantage_bound(1.0, 0.9) == pytest.approx(min(1, (np.e - 1 + 1.8) / (np.e + 1)))


def test_the_exponential_bound_says_nothing_from_ln_2_on_and_is_never_the_tighter_one() -> None:
    assert exponential_bound(np.log(2)) == pytest.approx(1)
    for epsilon in (0.01, 0.3, 0.69, 1.0, 8.0, 1e5):
        assert advantage_bound(epsilon) <= exponential_bound(epsilon)
        assert (exponential_bound(epsilon) >= 1) == (epsilon > 0.693)


@pytest.mark.parametrize(("epsilon", "delta"), [(0.2, 0.0), (1.0, 1e-3), (3.0, 0.05), (800.0, 0.0)])
def test_the_advantage_bound_is_the_largest_gap_below_the_rate_bound(epsilon: float, delta: float) -> None:
    grid = np.linspace(0, 1, 200_001)
    rates = rate_bound(grid, epsilon, delta)
    assert (rates <= np.minimum(1, np.exp(min(epsilon, 700)) * grid + delta) + 1e-12).all()
    assert_allclose((rates - grid).max(), advantage_bound(epsilon, delta), atol=1e-5)


def test_the_rates_of_the_best_attack_on_a_gaussian_mechanism_stay_below_its_bound_and_touch_it() -> None:
    mu, epsilon = 1.3, 1.1
    false = np.linspace(1e-4, 1, 5000)
    true = scipy_stats.norm.cdf(scipy_stats.norm.ppf(false) + mu)
    gap = rate_bound(false, epsilon, gaussian_delta(epsilon, mu)) - true
    assert 0 <= gap.min() + 1e-9 < 1e-4


def test_a_row_replaced_is_two_rows_added_or_removed() -> None:
    assert comparable_budget(1.0, 1e-5, "replace-one") == (1.0, 1e-5)
    assert comparable_budget(1.0, 1e-5, "add-remove") == (2.0, pytest.approx(1e-5 * (1 + np.e)))
    with pytest.raises(InputError, match="'add-remove' \\(that of Opacus\\) and 'replace-one'"):
        comparable_budget(1.0, 0.0, cast(Any, "swap"))
    with pytest.raises(InputError, match="a finite ε above 0"):
        advantage_bound(0.0)


def test_limits_of_a_privacy_loss_are_those_of_exact_limits_of_both_rates() -> None:
    hits, trials = np.array([30, 4]), np.array([200, 300])
    true, false = (
        scipy_stats.binomtest(k, n).proportion_ci(0.9, "exact") for k, n in zip(hits.tolist(), trials.tolist())
    )
    low, high = privacy_loss_limits(hits, trials, 0.01, 0.9)
    assert_allclose([low, high], [np.log((true.low - 0.01) / false.high), np.log((true.high - 0.01) / false.low)])
    assert privacy_loss_limits(np.array([0, 3]), trials, 0.0)[0] == -np.inf
    assert privacy_loss_limits(np.array([9, 0]), trials, 0.0)[1] == np.inf


def test_limits_of_an_exponential_mean_are_exact() -> None:
    generator = np.random.default_rng(0)
    inside = [low <= 2 <= high for low, high in map(exponential_limits, generator.exponential(2, (4000, 3)))]
    assert abs(np.mean(inside) - 0.95) < 0.012


def test_the_epsilon_of_one_run_is_the_largest_that_the_binomial_law_rejects() -> None:
    found = one_run_epsilon(80, 100)
    share = np.exp(found) / (1 + np.exp(found))
    assert scipy_stats.binom.sf(79, 100, share) == pytest.approx(0.05)
    assert one_run_epsilon(50, 100) == 0.0
    with pytest.raises(InputError, match="at most as many as guesses"):
        one_run_epsilon(5, 4)


def audits(count: int, rows: int, sigma: float, claimed: float = 0.0) -> tuple[list[float], float]:
    """The audited ε̂ of many models, one audit each, and the ε that they may have where a row is replaced."""
    losses, member = private_losses(count, rows, columns=400, sigma=sigma, steps=25, share=1.0, clip=0.5, seed=1)
    epsilon, delta = claimed or gaussian_epsilon(sigma, 25, 1e-7), 1e-7
    allowed, slack = comparable_budget(epsilon, delta, "add-remove")
    found = []
    for line, inside in zip(losses, member):
        half = np.arange(rows) % 2
        found.append(audited_epsilon(line[inside], line[~inside], half[inside], half[~inside], delta=slack)[0])
    return found, allowed


def test_an_audit_stays_below_a_claim_that_holds_and_refutes_one_that_does_not() -> None:
    found, allowed = audits(12, 500, sigma=40)
    assert max(found) <= allowed < 2
    leaky, _ = audits(12, 500, sigma=0.5, claimed=allowed / 2)
    assert np.median(leaky) > allowed


def test_audits_of_an_attack_that_uses_all_of_epsilon_come_near_it_and_rarely_exceed_it() -> None:
    """Randomised response: the attack is right with probability e^ε / (1 + e^ε), the most that ε allows."""
    generator, epsilon, found = np.random.default_rng(0), 1.0, []
    half = np.arange(2000) % 2
    for _ in range(200):
        right = np.exp(epsilon) / (1 + np.exp(epsilon))
        inside, outside = generator.random(2000) > right, generator.random(2000) > 1 - right
        found.append(audited_epsilon(inside.astype(float), outside.astype(float), half, half)[0])
    assert np.mean(np.array(found) > epsilon) <= 0.05
    assert np.mean(found) > 0.85


@pytest.mark.judge
@pytest.mark.parametrize("sigma", [2.0, 10.0, 40.0])
def test_at_most_one_audit_in_twenty_exceeds_the_epsilon_of_private_logistic_models(sigma: float) -> None:
    found, allowed = audits(100, 1000, sigma)
    assert np.mean(np.array(found) > allowed) <= 0.05


@pytest.mark.judge
def test_an_audit_chosen_and_measured_on_the_same_rows_would_be_wrong_too_often() -> None:
    generator, wrong, right = np.random.default_rng(0), 0, 0
    for _ in range(300):
        inside, outside = generator.normal(size=400), generator.normal(size=400)
        half = np.arange(400) % 2
        right += audited_epsilon(inside, outside, half, half, level=0.9)[0] > 0
        same = np.ones(800, dtype=int)
        same[:400] = 0
        wrong += audited_epsilon(np.tile(inside, 2), np.tile(outside, 2), same, same, level=0.9)[0] > 0
    assert right <= 30
    assert wrong > 2 * max(right, 1)
