"""Membership scores equal literal transcriptions, and the optimal likelihood ratio in a world where it is known."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import stats as scipy_stats

import assay
from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.basics.stats import auc
from assay.engine.privacy.likelihood_ratio import (
    Moments,
    VariancePrior,
    finite_confidence,
    gaussian_ratio,
    gaussian_tail,
    scaled_confidence,
    student_ratio,
    student_tail,
    true_probability,
)
from assay.engine.privacy.relative_membership import (
    best_offline_weight,
    cross_fitted_scores,
    probability_ratio,
    relative_score,
)
from assay.engine.privacy.shadow_models import balanced_halves

G = np.random.default_rng(0)
MODELS, ROWS = 8, 30
SHADOWS, OWN = G.normal(size=(MODELS, ROWS)), G.normal(size=ROWS)
MEMBERS = balanced_halves(ROWS, MODELS, Seed(0))


def net(gives: str) -> assay.Model:
    return assay.model.torch(torch.nn.Linear(2, 3), gives=gives)


def test_every_row_is_in_exactly_half_of_the_models_and_sizes_differ_by_one() -> None:
    for rows in (10, 31):
        members = balanced_halves(rows, 6, Seed(1))
        assert (members.sum(axis=0) == 3).all()
        assert set(members.sum(axis=1)) <= {rows // 2, rows - rows // 2}
    with pytest.raises(InputError, match="even number"):
        balanced_halves(10, 5, Seed())


def test_the_confidence_stays_finite_where_the_probability_rounds_to_one() -> None:
    phi = scaled_confidence(np.array([[800.0, 0.0, 0.0], [0.0, 900.0, 1.0]]), np.array([0, 0]), net("logits"))
    assert_allclose(phi, [800 - np.log(2), -900 - np.log1p(np.exp(-899))])


def test_the_confidence_of_probabilities_is_their_log_odds_and_infinite_only_at_zero_and_one() -> None:
    outputs = np.array([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    phi = scaled_confidence(outputs, np.array([0, 0, 0]), net("probabilities"))
    assert_allclose(phi, [np.log(0.2 / 0.8), np.inf, -np.inf])
    (finite,) = finite_confidence(phi)
    assert_allclose(finite, [np.log(0.25), np.log(4) + np.log(2), -np.log(4) - np.log(2)])
    assert_allclose(true_probability(phi), [0.2, 1.0, 0.0])


def test_models_without_exclusive_classes_are_refused() -> None:
    with pytest.raises(CapabilityError, match="classes that exclude"):
        scaled_confidence(np.zeros((1, 1)), np.array([0]), assay.model.torch(torch.nn.Linear(2, 1), gives="values"))


def test_lira_equals_a_literal_transcription() -> None:
    online, tail = [], []
    for row in range(ROWS):
        inside = [SHADOWS[k, row] for k in range(MODELS) if MEMBERS[k, row]]
        outside = [SHADOWS[k, row] for k in range(MODELS) if not MEMBERS[k, row]]
        p_in = scipy_stats.norm.logpdf(OWN[row], np.mean(inside), np.std(inside, ddof=1))
        p_out = scipy_stats.norm.logpdf(OWN[row], np.mean(outside), np.std(outside, ddof=1))
        online.append(p_in - p_out)
        tail.append(scipy_stats.norm.cdf(OWN[row], np.mean(outside), np.std(outside, ddof=1)))
    assert_allclose(gaussian_ratio(OWN, SHADOWS, MEMBERS, pooled=False), online)
    assert_allclose(scipy_stats.norm.cdf(gaussian_tail(OWN, SHADOWS, MEMBERS, pooled=False)), tail)


def test_the_pooled_variance_is_that_within_rows_and_not_between_them() -> None:
    apart = SHADOWS + 100 * np.arange(ROWS)
    pooled = Moments.of(apart, MEMBERS).pooled_variance
    within = np.mean([apart[MEMBERS[:, row], row].var(ddof=1) for row in range(ROWS)])
    assert_allclose(pooled, within)
    assert_allclose(
        gaussian_ratio(OWN + 100 * np.arange(ROWS), apart, MEMBERS, pooled=True),
        gaussian_ratio(OWN, SHADOWS, MEMBERS, pooled=True),
        atol=1e-9,
    )


def test_the_offline_attack_is_one_sided_so_that_a_low_confidence_is_no_sign_of_membership() -> None:
    own = np.array([-5.0, 0.0, 5.0])
    shadows, members = G.normal(size=(8, 3)), balanced_halves(4, 8, Seed(0))[:, :3]
    for score in (gaussian_tail(own, shadows, members, pooled=True), student_tail(own, shadows, members)):
        assert (np.diff(score) > 0).all()


def test_the_student_predictive_is_that_of_a_normal_inverse_gamma_prior() -> None:
    values, prior = np.array([0.3, -1.2, 0.9, 2.0]), VariancePrior(freedom=5.0, scale=0.7)
    chosen = np.ones((4, 1), dtype=bool)
    freedom, mean, scale = (float(one[0]) for one in prior.predictive(Moments.of(values[:, None], chosen)))
    # the textbook update with a prior weight κ of the mean that goes to 0, and shape a, rate b of the variance
    kappa, a, b, n = 1e-9, 5.0 / 2 - 0.5, 5.0 * 0.7 / 2, len(values)
    a_n, kappa_n = a + n / 2, kappa + n
    b_n = b + 0.5 * ((values - values.mean()) ** 2).sum() + kappa * n * values.mean() ** 2 / (2 * kappa_n)
    assert_allclose([freedom, mean], [2 * a_n, n * values.mean() / kappa_n], rtol=1e-6)
    assert_allclose(scale, np.sqrt(b_n * (kappa_n + 1) / (a_n * kappa_n)), rtol=1e-6)
    # and by integrating the normal density over the posterior of the variance
    posterior = scipy_stats.invgamma(a_n, scale=b_n)
    variances = posterior.ppf((np.arange(20000) + 0.5) / 20000)
    density = scipy_stats.norm.pdf(1.5, values.mean(), np.sqrt(variances * (1 + 1 / n))).mean()
    assert_allclose(scipy_stats.t.pdf(1.5, freedom, mean, scale), density, rtol=1e-3)


def test_the_student_ratio_is_the_difference_of_two_log_densities_of_scipy() -> None:
    found = student_ratio(OWN, SHADOWS, MEMBERS)
    sides = [Moments.of(SHADOWS, chosen) for chosen in (MEMBERS, ~MEMBERS)]
    logs = [scipy_stats.t(*VariancePrior.fitted(one).predictive(one)).logpdf(OWN) for one in sides]
    assert_allclose(found, logs[0] - logs[1])


def test_the_prior_of_the_variance_is_recovered_from_many_rows() -> None:
    true = 6.0 * 2.0 / G.chisquare(6.0, size=20000)
    values = G.normal(size=(5, 20000)) * np.sqrt(true)
    prior = VariancePrior.fitted(Moments.of(values, np.ones(values.shape, dtype=bool)))
    assert_allclose([prior.freedom, prior.scale], [6.0, 2.0], rtol=0.1)
    same = VariancePrior.fitted(Moments.of(G.normal(size=(5, 300)), np.ones((5, 300), dtype=bool)))
    assert same.freedom > 50


@cache
def gaussian_world(models: int) -> dict[str, float]:
    """Rows with known means and spreads of φ: areas of each attack and of the optimal likelihood ratio."""
    generator = np.random.default_rng(models)
    rows = 6000
    centre, shift = generator.normal(size=rows) * 3, np.abs(generator.normal(size=rows))
    spread = np.exp(0.5 * generator.normal(size=rows))
    members = balanced_halves(rows, models, Seed(2))
    shadows = centre + shift * members + spread * generator.normal(size=(models, rows))
    inside = generator.random(rows) < 0.5
    own = centre + shift * inside + spread * generator.normal(size=rows)
    best = scipy_stats.norm.logpdf(own, centre + shift, spread) - scipy_stats.norm.logpdf(own, centre, spread)
    scores = {
        "optimal": best,
        "LiRA": gaussian_ratio(own, shadows, members, pooled=False),
        "LiRA, pooled": gaussian_ratio(own, shadows, members, pooled=True),
        "student": student_ratio(own, shadows, members),
        "loss": own,
    }
    return {name: auc(score[~inside], score[inside]) for name, score in scores.items()}


def test_in_a_gaussian_world_many_shadow_models_reach_the_optimal_likelihood_ratio() -> None:
    areas = gaussian_world(256)
    assert areas["optimal"] > 0.68
    assert areas["optimal"] - areas["LiRA"] < 0.01
    assert areas["optimal"] - areas["student"] < 0.01
    assert areas["optimal"] - areas["loss"] > 0.1


def test_with_few_shadow_models_the_student_score_is_above_both_forms_of_lira() -> None:
    areas = gaussian_world(6)
    assert areas["student"] > max(areas["LiRA"], areas["LiRA, pooled"]) + 0.003
    assert areas["student"] < areas["optimal"]


@pytest.mark.parametrize("a", [None, 0.0, 0.3, 1.0])
def test_rmia_equals_literal_loops(a: float | None) -> None:
    own, shadows = true_probability(OWN), true_probability(SHADOWS)

    def ratio(row: int) -> float:
        inside = np.mean([shadows[k, row] for k in range(MODELS) if MEMBERS[k, row]])
        outside = np.mean([shadows[k, row] for k in range(MODELS) if not MEMBERS[k, row]])
        return own[row] / ((inside + outside) / 2 if a is None else ((1 + a) * outside + (1 - a)) / 2)

    ratios = np.array([ratio(row) for row in range(ROWS)])
    assert_allclose(probability_ratio(own, shadows, MEMBERS, a), ratios)
    for gamma in (1.0, 2.0):
        population = [row for row in range(ROWS) if row % 3 == 0]
        right = [np.mean([ratios[x] / ratios[z] >= gamma for z in population]) for x in range(ROWS)]
        assert_allclose(relative_score(ratios, ratios[population], gamma), right)


def test_a_row_is_never_compared_with_its_own_fold_of_the_population() -> None:
    ratio, outside = np.arange(1.0, 9.0), np.array([False] * 4 + [True] * 4)
    fold = np.array([False, True] * 4)
    found = cross_fitted_scores(ratio, outside, fold, 1.0)
    for row in range(8):
        population = [z for z in range(4, 8) if fold[z] != fold[row]]
        assert found[row] == np.mean([ratio[row] >= ratio[z] for z in population])


def test_rows_with_fewer_outside_models_are_averaged_over_those_they_have() -> None:
    members = np.array([[True, False], [True, False], [False, False]])
    shadows = np.array([[0.9, 0.4], [0.9, 0.4], [0.6, 0.4]])
    assert_allclose(probability_ratio(np.ones(2), shadows, members, 1.0), [1 / 0.6, 1 / 0.4])


def test_the_offline_weight_is_tuned_on_shadow_models_alone() -> None:
    assert 0.0 <= best_offline_weight(true_probability(SHADOWS), MEMBERS) <= 1.0
    # confidences that membership raises by a factor: dividing by the outside mean alone (a = 1) is best
    base = G.random(400) * 0.4 + 0.01
    members = balanced_halves(400, 8, Seed(5))
    assert best_offline_weight(base * np.where(members, 2.0, 1.0) * np.exp(0.1 * G.normal(size=(8, 400))), members) == 1
