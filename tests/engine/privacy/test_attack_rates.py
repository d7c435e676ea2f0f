"""Rates of a membership attack: thresholds, refusals, exact null, precision."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats as scipy_stats

from assay.basics.errors import InputError
from assay.basics.samples.rate_ratios import ratio_limits
from assay.basics.stats import Basis, auc
from assay.engine.privacy.attack_rates import area_above, area_without_effect, least_rate, rates_at, roc_points

G = np.random.default_rng(0)


def test_the_rates_are_those_of_the_threshold() -> None:
    inside, outside = G.normal(1, 1, 400), G.normal(0, 1, 1000)
    found = rates_at(inside, outside, 0.02)
    assert found.alarms == (outside > found.threshold).sum() == 20
    assert found.hits == (inside > found.threshold).sum()
    true, false = found.limits(0.95)
    right = scipy_stats.binomtest(found.hits, 400).proportion_ci(0.95, "exact")
    assert_allclose([true.low, true.high], [right.low, right.high])
    assert found.false_rate in false


def test_rates_below_ten_false_alarms_are_refused_with_what_they_need() -> None:
    with pytest.raises(InputError, match=r"no false-positive rate below 1.11%; 1.00% needs at least 1000"):
        rates_at(G.normal(size=900), G.normal(size=899), 0.01)
    assert rates_at(G.normal(size=900), G.normal(size=899), least_rate(899)).alarms == 10
    with pytest.raises(InputError, match="lies between 0 and 1"):
        rates_at(np.ones(3), np.ones(30), 1.0)


def test_tied_scores_do_not_raise_the_false_positive_rate() -> None:
    found = rates_at(np.ones(50), np.ones(100), 0.1)
    assert (found.hits, found.alarms) == (0, 0)
    assert np.isnan(found.precision(0.1))


def test_the_precision_at_a_prior_is_bayes_rule() -> None:
    found = rates_at(G.normal(2, 1, 500), G.normal(0, 1, 500), 0.02)
    assert_allclose(found.precision(0.1), 0.1 * found.true_rate / (0.1 * found.true_rate + 0.9 * found.false_rate))


def test_the_null_interval_is_the_distribution_of_permuted_memberships() -> None:
    scores = G.normal(size=300)
    rates = []
    for _ in range(4000):
        order = G.permutation(300)
        rates.append(rates_at(scores[order[:100]], scores[order[100:]], 0.05).true_rate)
    limits = rates_at(scores[:100], scores[100:], 0.05).null_interval(0.95)
    shares = np.mean(np.array(rates) < limits.low - 1e-9), np.mean(np.array(rates) > limits.high + 1e-9)
    assert max(shares) <= 0.03
    assert_allclose(np.quantile(rates, [0.025, 0.975]), [limits.low, limits.high], atol=0.011)


def test_where_membership_is_permuted_the_rate_lies_outside_its_interval_in_about_one_run_in_twenty() -> None:
    outside = 0
    for _ in range(200):
        scores = G.normal(size=600)
        found = rates_at(scores[:300], scores[300:], least_rate(300))
        outside += found.true_rate not in found.null_interval(0.95)
    assert outside <= 16


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0])
def test_the_interval_of_the_ratio_of_rates_holds_the_true_ratio(shift: float) -> None:
    found = [rates_at(G.normal(shift, 1, 500), G.normal(0, 1, 500), 0.02) for _ in range(600)]
    thresholds = np.array([one.threshold for one in found])
    true = scipy_stats.norm.sf(thresholds - shift) / scipy_stats.norm.sf(thresholds)
    hits, alarms = (np.array([getattr(one, name) for one in found]) for name in ("hits", "alarms"))
    low, high = ratio_limits(hits, np.full(600, 500), alarms, np.full(600, 500))
    assert ((low <= true) & (true <= high)).mean() >= 0.925
    one = Basis("rate ratio", {"hits": np.array([hits[0], alarms[0]]), "trials": np.array([500, 500])}).at(0.95)
    assert_allclose([one.low, one.high], [low[0], high[0]])


def test_the_area_is_oriented_to_high_scores_and_its_null_interval_is_mann_whitneys() -> None:
    area, limits = area_above(np.array([2.0, 3.0]), np.array([0.0, 1.0]), 0.95)
    assert area == 1.0
    assert limits.low < 1.0
    areas = [auc(G.normal(size=60), G.normal(size=40)) for _ in range(500)]
    null = area_without_effect(40, 60, 0.95)
    assert_allclose(np.quantile(areas, [0.025, 0.975]), [null.low, null.high], atol=0.025)


def test_the_curve_rises_from_corner_to_corner() -> None:
    curve = np.array(roc_points(G.normal(1, 1, 200), G.normal(0, 1, 300)))
    assert len(curve) <= 40
    assert (np.diff(curve, axis=0) >= 0).all()
    assert curve[0].tolist() == [0, 0]
    assert curve[-1].tolist() == [1, 1]
