"""SAGE."""

from itertools import permutations, product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.oracles.sage import sampled

import assay
from assay import explain
from assay.basics.errors import CapabilityError, NumericalError
from assay.cases.case import Case
from assay.model.adapters.function import function

GENERATOR = np.random.default_rng(3)
X, OTHERS = GENERATOR.normal(size=(6, 4)), GENERATOR.normal(size=(9, 4))
LABELS = [0, 1, 1, 0, 1, 0]


def chances(x):
    score = x[:, 0] * x[:, 1] - x[:, 2]
    return np.stack([1 / (1 + np.exp(score)), 1 / (1 + np.exp(-score))], axis=1)


def classes() -> Case:
    return assay.case(function(chances, gives="probabilities", fingerprint="chances"), X, target="loss", label=LABELS)


def test_it_is_the_papers_sampler_run_over_every_row_and_order() -> None:
    pairs = list(product(zip(X, LABELS), permutations(range(4))))
    expected = sampled(
        chances,
        lambda mean, y: -np.log(mean[y]),
        (pair for pair, _ in pairs),
        (order for _, order in pairs),
        lambda: OTHERS,
        4,
    )
    assert_allclose(explain.sage(classes(), background=OTHERS).mean().values, expected, atol=1e-12)


def test_the_papers_random_sampler_agrees() -> None:
    generator = np.random.default_rng(0)
    rows = [int(i) for i in generator.integers(6, size=3000)]
    found = sampled(
        chances,
        lambda mean, y: -np.log(mean[y]),
        ((X[i], LABELS[i]) for i in rows),
        (generator.permutation(4) for _ in rows),
        lambda: OTHERS[generator.integers(9, size=64)],
        4,
    )
    assert_allclose(explain.sage(classes(), background=OTHERS).mean().values, found, atol=0.05)


def test_values_add_up_to_output_minus_base() -> None:
    result = explain.sage(classes(), background=OTHERS)
    guessed = chances(OTHERS).mean(axis=0)[LABELS]
    assert_allclose(result.base, np.log(guessed))
    assert_allclose(result.output, np.log(chances(X)[np.arange(6), LABELS]))
    assert_allclose(result.residual, 0.0, atol=1e-12)
    assert_allclose(result.values[:, 3], 0.0, atol=1e-12)


def test_on_a_linear_model_with_independent_columns_it_is_explained_variance() -> None:
    """Squared error of w·x for y = w·x on a full grid, its own background: w² var of each column."""
    grid = np.array(list(product([-1.0, 0.0, 4.0], [2.0, 5.0], [0.0, 1.0])))
    weights = np.array([2.0, -1.0, 0.5])
    case = assay.case(function(lambda x: x @ weights, fingerprint="linear"), grid, target="loss", label=grid @ weights)
    result = explain.sage(case, background=grid)
    assert_allclose(result.mean().values, weights**2 * grid.var(axis=0), atol=1e-12)


def test_convergence_is_the_papers_ratio() -> None:
    result = explain.sage(classes(), background=OTHERS)
    mean = result.mean()
    assert_allclose(result.extra["convergence"], [mean.stderr.max() / np.ptp(mean.values)])
    assert np.isnan(explain.sage(classes().take([0]), background=OTHERS).extra["convergence"]).all()


def test_sampled_it_comes_within_its_error_of_the_exact() -> None:
    wide, others = GENERATOR.normal(size=(4, 12)), GENERATOR.normal(size=(6, 12))
    model = function(lambda x: np.tanh(x @ np.arange(12.0) / 9) + x[:, 0] * x[:, 5], fingerprint="wide")
    case = assay.case(model, wide, target="loss", label=np.zeros(4))
    exact, some = (explain.sage(case, background=others, budget=budget) for budget in (4096, 400))
    assert_array_equal(exact.stderr, 0.0)
    assert np.abs((some.values - exact.values) / some.stderr).max() < 5
    assert_allclose(some.residual, 0.0, atol=1e-9)


def test_another_target_is_refused_with_advice() -> None:
    case = assay.case(function(lambda x: x[:, 0], fingerprint="first"), X)
    with pytest.raises(CapabilityError, match="target 'loss' or 'brier'; the case has 'value'"):
        explain.sage(case, background=OTHERS)


def test_the_brier_score_is_explained_where_the_loss_is_infinite() -> None:
    model = function(
        lambda x: np.stack([x[:, 0] > 0, x[:, 0] <= 0], axis=1) * 1.0, gives="probabilities", fingerprint="hard"
    )
    truth = (X[:, 0] > 0).astype(int)  # the model is sure and wrong at every row
    found = explain.sage(assay.case(model, X, target="brier", label=truth), background=OTHERS)
    share = (OTHERS[:, 0] > 0).mean()
    assert_allclose(found.output, -2.0)
    assert_allclose(found.base, -2 * np.where(truth == 1, share, 1 - share) ** 2)
    assert_allclose(found.values[:, 0], found.output - found.base)
    assert_allclose(found.values[:, 1:], 0.0, atol=1e-12)


def test_an_infinite_loss_is_refused() -> None:
    model = function(
        lambda x: np.stack([x[:, 0] > 0, x[:, 0] <= 0], axis=1) * 1.0, gives="probabilities", fingerprint="hard"
    )
    with pytest.raises(NumericalError, match="probability of exactly 0"):
        explain.sage(assay.case(model, X, target="loss", label=0), background=OTHERS)
