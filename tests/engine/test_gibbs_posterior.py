"""The Gibbs posterior over sets of parts: its identities, certified limits, draws, and the families beside it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats
from assay.engine.coalitions.estimator import bernoulli, exact_banzhaf
from assay.engine.gibbs.design import posterior_design
from assay.engine.gibbs.families import fit_mixture, gap, mean_field, product_log
from assay.engine.gibbs.posterior import Posterior, choose_beta, fidelity_of, total_variation

PARTS = 6
EXACT = posterior_design(PARTS, 0.1, 2**PARTS, Seed(0))


def posterior(table: Any, beta: float, prior: float = 0.1, design: Any = EXACT) -> Posterior:
    table = np.atleast_2d(np.asarray(table, dtype=float))
    return Posterior(design, table, prior, np.full(len(table), beta))


def drawn_table(seed: int, rows: int = 1, scale: float = 2.0, parts: int = PARTS) -> Floats:
    """Log probabilities of random games."""
    return -scale * np.random.default_rng(seed).gamma(1.0, size=(rows, 2**parts))


def literal(table: Floats, beta: float, prior: float) -> tuple[Floats, Floats, float]:
    """Values, marginals and KL in bits of one row, a mask at a time."""
    weight: dict[tuple[int, ...], float] = {}
    for place, bits in enumerate(product((0, 1), repeat=PARTS)):
        mask = bits[::-1]  # the first part is the lowest bit
        weight[mask] = prior ** sum(mask) * (1 - prior) ** (PARTS - sum(mask)) * float(np.exp(beta * table[place]))
    total = sum(weight.values())
    chances = np.array([sum(w for m, w in weight.items() if m[i]) / total for i in range(PARTS)])
    values = (np.log(chances / (1 - chances)) - np.log(prior / (1 - prior))) / beta
    bits = sum(
        w / total * np.log2(w / total / (prior ** sum(m) * (1 - prior) ** (PARTS - sum(m)))) for m, w in weight.items()
    )
    return values, chances, float(bits)


@pytest.mark.parametrize("prior", [0.05, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("beta", [0.2, 1.0, 4.0])
def test_it_is_the_slow_literal_sum_over_masks(beta: float, prior: float) -> None:
    table = drawn_table(3)[0]
    values, chances, bits = literal(table, beta, prior)
    found = posterior(table, beta, prior)
    assert_allclose(found.values()[0], values, atol=1e-10)
    assert_allclose(found.marginals[0], chances, atol=1e-12)
    assert_allclose(found.divergence()[0] / np.log(2), bits, atol=1e-10)
    assert_allclose(np.exp(found.log_evidence), np.exp(found.log_weight).sum(axis=1), rtol=1e-12)
    share = found.share[0]
    assert_allclose(found.entropy()[0], -(share * np.log(share)).sum(), atol=1e-10)


@pytest.mark.parametrize("beta", [0.0, 0.01, 1.0, 30.0, np.inf])
@pytest.mark.parametrize("prior", [0.02, 0.5, 0.9])
def test_the_values_of_an_additive_game_are_its_weights_for_every_beta_and_prior(beta: float, prior: float) -> None:
    weights = np.random.default_rng(1).normal(size=(2, PARTS))
    assert_allclose(posterior(weights @ EXACT.masks.T - 3.0, beta, prior).values(), weights, atol=1e-10)


@pytest.mark.parametrize("beta", [0.5, 20.0, np.inf])
def test_a_part_without_effect_gets_0_and_a_constant_game_leaves_the_prior(beta: float) -> None:
    table = drawn_table(2)
    idle = np.where(EXACT.masks[:, 0], np.roll(table, 1, axis=1), table)  # part 0 is the lowest bit
    assert (EXACT.masks[1::2, 0]).all()
    found = posterior(idle, beta)
    assert_allclose(found.values()[:, 0], 0.0, atol=1e-10)
    assert np.abs(found.values()[:, 1:]).min() > 1e-6
    constant = posterior(np.full(2**PARTS, -1.3), min(beta, 50.0))
    assert_allclose(constant.values(), 0.0, atol=1e-10)
    assert_allclose(constant.divergence(), 0.0, atol=1e-10)
    assert_allclose(constant.marginals, 0.1, atol=1e-12)


def test_at_beta_0_it_is_the_biased_banzhaf_value_and_at_a_half_banzhaf_itself() -> None:
    table = drawn_table(4)
    assert_allclose(posterior(table, 0.0, 0.5).values(), exact_banzhaf.estimate(EXACT, table).values, atol=1e-10)
    prior, masks = 0.3, EXACT.masks
    chance = prior ** masks.sum(axis=1) * (1 - prior) ** (PARTS - masks.sum(axis=1))
    biased = [
        (table[0, m] @ chance[m]) / chance[m].sum() - (table[0, ~m] @ chance[~m]) / chance[~m].sum() for m in masks.T
    ]
    assert_allclose(posterior(table, 0.0, prior).values()[0], biased, atol=1e-10)
    errors = [np.abs(posterior(table, beta, prior).values() - biased).max() for beta in (1e-3, 1e-4)]
    assert errors[1] < 0.11 * errors[0] < 1e-2  # of first order in β


def test_as_beta_grows_it_is_the_best_set_and_ties_go_by_the_prior() -> None:
    table = drawn_table(5)
    best = EXACT.masks[table[0].argmax()]
    assert_allclose(posterior(table, np.inf).marginals[0], best, atol=1e-12)
    assert_allclose(posterior(table, 2000.0).marginals[0], best, atol=1e-9)
    maxima = [table[0, m].max() - table[0, ~m].max() for m in EXACT.masks.T]
    assert_allclose(posterior(table, np.inf).values()[0], maxima, atol=1e-12)
    assert_allclose(posterior(table, 1e7).values()[0], maxima, atol=1e-5)
    tied = np.full(2**PARTS, -5.0)
    tied[[1, 6]] = -0.1  # {0} and {1, 2}
    odds = posterior(tied, np.inf, 0.2).marginals[0]
    assert_allclose(odds[0] / odds[1], 0.2 * 0.8**5 / (0.2**2 * 0.8**4), rtol=1e-10)


def test_the_product_of_the_marginals_is_the_nearest_product_in_forward_divergence() -> None:
    found = posterior(drawn_table(6), 1.5)

    def cross_entropy(rates: Floats) -> float:
        return float(-(found.share * product_log(rates, EXACT.masks)).sum())

    least = cross_entropy(found.marginals)
    generator = np.random.default_rng(0)
    for _ in range(50):
        assert cross_entropy(np.clip(found.marginals + generator.normal(0, 0.02, PARTS), 1e-6, 1 - 1e-6)) > least


def test_the_lower_bound_of_a_family_is_the_evidence_less_its_gap() -> None:
    found = posterior(drawn_table(7, rows=3), 2.0)
    rates = mean_field(found)
    log_q = product_log(rates, EXACT.masks)
    q = np.exp(log_q)
    bound = (q * (2.0 * found.table - (log_q - found.log_prior))).sum(axis=1)
    assert_allclose(found.log_evidence - gap(found, log_q), bound, atol=1e-10)
    assert (gap(found, log_q) <= gap(found, product_log(found.marginals, EXACT.masks)) + 1e-12).all()
    _, mixed = fit_mixture(found)
    assert_allclose(np.exp(mixed).sum(axis=1), 1.0, atol=1e-9)
    assert (gap(found, mixed) < gap(found, log_q)).all()


def test_the_mean_field_is_exact_where_clusters_do_not_interact_and_a_fixed_point_elsewhere() -> None:
    weights = np.random.default_rng(8).normal(size=(2, PARTS))
    additive = posterior(weights @ EXACT.masks.T, 1.7)
    assert_allclose(mean_field(additive), additive.marginals, atol=1e-6)
    assert_allclose(gap(additive, product_log(mean_field(additive), EXACT.masks)), 0.0, atol=1e-10)
    found = posterior(drawn_table(9), 1.0)
    rates = mean_field(found)[0]
    for part in range(PARTS):
        other = np.delete(np.arange(PARTS), part)
        q = np.where(EXACT.masks[:, other], rates[other], 1 - rates[other]).prod(axis=1)
        held = EXACT.masks[:, part]
        slope = found.table[0, held] @ q[held] - found.table[0, ~held] @ q[~held]
        assert_allclose(rates[part], expit(np.log(0.1 / 0.9) + slope), atol=1e-6)


def violations(games: int, parts: int) -> tuple[int, float]:
    """How often a certified interval of a partial table misses the truth, and the mean width."""
    missed, widths = 0, []
    whole = posterior_design(parts, 0.1, 2**parts, Seed(0))
    for number in range(games):
        generator = np.random.default_rng(number)
        prior, beta = float(generator.uniform(0.03, 0.6)), float(generator.uniform(0.3, 8))
        design = posterior_design(parts, prior, int(generator.integers(2 * parts, 2**parts)), Seed(number))
        table = -float(generator.uniform(0.2, 4)) * generator.gamma(0.7, size=2**parts)
        places = design.masks @ (2 ** np.arange(parts))
        truth = posterior(table, beta, prior, whole).marginals
        low, high = posterior(table[places], beta, prior, design).bounds(0.0)
        missed += int(((truth < low - 1e-12) | (truth > high + 1e-12)).any())
        widths.append(float((high - low).mean()))
    return missed, float(np.mean(widths))


def test_certified_limits_hold_in_every_random_game() -> None:
    missed, width = violations(100, 7)
    assert missed == 0
    assert 0 < width < 1


@pytest.mark.judge
def test_certified_limits_hold_in_a_thousand_random_games() -> None:
    assert violations(1000, 8)[0] == 0


def test_certified_limits_narrow_to_the_exact_value() -> None:
    table = drawn_table(10, parts=10)[0]
    widths = []
    for budget in (60, 300, 900, 1024):
        design = posterior_design(10, 0.1, budget, Seed(0))
        low, high = posterior(table[design.masks @ (2 ** np.arange(10))], 1.0, 0.1, design).bounds(0.0)
        widths.append(float((high - low).max()))
    assert widths[0] > widths[1] > widths[2] > widths[3] == 0.0


def smooth_game(masks: Any, parts: int, seed: int) -> Floats:
    """Log probability of a small random net over masks: clusters interact."""
    generator = np.random.default_rng(seed)
    hidden = np.tanh(masks @ generator.normal(size=(parts, 8)))
    return -np.logaddexp(0, -2 * hidden @ generator.normal(size=8))


def test_errors_of_drawn_masks_are_those_that_they_say() -> None:
    parts, scores = 10, []
    whole = posterior_design(parts, 0.1, 2**parts, Seed(0))
    for seed in range(40):
        game = seed % 4
        truth = posterior(smooth_game(whole.masks, parts, game), 3.0, 0.1, whole).values()
        design = posterior_design(parts, 0.1, 300, Seed(seed))
        found = posterior(smooth_game(design.masks, parts, game), 3.0, 0.1, design)
        scores.append((found.values() - truth) / found.stderr())
        assert (found.effective_sample_size() > 50).all()
    assert 0.7 < np.sqrt(np.mean(np.square(scores))) < 1.4
    assert abs(np.mean(scores)) < 0.25


@pytest.mark.parametrize(("parts", "budget"), [(9, 100), (16, 500), (40, 300)])
def test_a_design_has_distinct_masks_of_each_size_within_the_budget(parts: int, budget: int) -> None:
    design = posterior_design(parts, 0.1, budget, Seed(3))
    assert len(np.unique(design.masks, axis=0)) == len(design.masks) <= budget
    assert_allclose(design.stratum, design.masks.sum(axis=1))
    asked = np.bincount(design.stratum, minlength=parts + 1)
    assert (asked >= 1).all()
    assert_allclose(design.weight * asked[design.stratum], design.population, rtol=1e-12)
    assert design.weight[design.masks.all(axis=1)] == design.weight[~design.masks.any(axis=1)] == 1.0


def test_too_few_masks_are_refused() -> None:
    with pytest.raises(InputError, match="at least 40 masks"):
        posterior_design(20, 0.1, 39, Seed(0))


def test_beta_is_the_smallest_that_keeps_the_fidelity() -> None:
    start = posterior(drawn_table(11, rows=5), 1.0)
    beta = choose_beta(start, 0.9, of_probability=True)
    at = [fidelity_of(replace(start, beta=scale * beta), of_probability=True) for scale in (0.99, 1.0)]
    least = fidelity_of(replace(start, beta=beta * 0 + 1e-12), of_probability=True) >= 0.9
    assert_allclose(at[1][~least], 0.9, atol=1e-9)
    assert (at[0][~least] < 0.9).all()
    assert (~least).any()


def test_total_variation_is_0_for_one_posterior_and_1_for_disjoint_ones() -> None:
    found = posterior(drawn_table(12), 1.0)
    assert total_variation(found, found) == 0.0
    sides = [np.where(EXACT.masks[:, 0] == side, -0.1, -np.inf) for side in (False, True)]
    assert_allclose(total_variation(posterior(sides[0], 1.0), posterior(sides[1], 1.0)), 1.0)


def test_sets_of_probability_0_weigh_nothing() -> None:
    table = drawn_table(13)
    table[0, 5:20] = -np.inf
    found = posterior(table, 2.0)
    assert_allclose(found.share[0, 5:20], 0.0)
    assert np.isfinite(found.values()).all()
    assert np.isfinite([found.divergence(), found.entropy()]).all()


def test_the_credible_set_has_the_fewest_masks_with_its_probability() -> None:
    found = posterior(drawn_table(14, scale=3.0), 2.0)
    masks, chances, number = found.credible_set(0.8)
    order = np.sort(found.share[0])[::-1]
    count = int(number[0])
    assert order[: count - 1].sum() < 0.8 <= order[:count].sum()
    assert_allclose(chances[0, : min(count, 16)], order[: min(count, 16)])
    assert_allclose(masks[0, 0], EXACT.masks[found.share[0].argmax()])


def taken(values: Floats, chances: Floats) -> float:
    """How many parts the order of the values takes to 0.9 of the whole, mean over rows."""
    counts = []
    for order, p in zip(np.argsort(-values, axis=1, kind="stable"), chances):
        reached = p[np.cumsum(2**order)] >= 0.9 * p[-1]
        counts.append(int(reached.argmax()) + 1)
    return float(np.mean(counts))


def test_its_order_takes_fewer_parts_to_the_class_than_banzhaf_and_rise() -> None:
    games = []
    for seed in range(40):
        parts = np.random.default_rng(seed).permutation(PARTS)
        pair, triples = parts[:2], [(parts[2], parts[3], parts[4]), (parts[2], parts[3], parts[5]), parts[[2, 4, 5]]]
        enough = np.stack([EXACT.masks[:, list(one)].all(axis=1) for one in (pair, *triples)])
        games.append(0.05 + 0.9 * enough.any(axis=0))
    chances = np.stack(games)
    start = posterior(np.log(chances), 1.0)
    own = replace(start, beta=choose_beta(start, 0.9, of_probability=True)).values()
    rise = bernoulli(0.5)
    others = exact_banzhaf.estimate(EXACT, chances), rise.estimate(rise.design(PARTS, 2**PARTS, Seed(0)), chances)
    assert taken(own, chances) == 2.0
    assert all(taken(one.values, chances) > 2.5 for one in others)
