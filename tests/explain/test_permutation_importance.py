"""Permutation importance."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import assay
from assay import examples, explain
from assay.basics.errors import NumericalError
from assay.model.adapters.function import function

GENERATOR = np.random.default_rng(4)
X, OTHERS = GENERATOR.normal(size=(40, 3)), GENERATOR.normal(size=(25, 3)) + 0.5
WEIGHTS = np.array([2.0, -1.0, 0.0])


def test_on_a_linear_model_it_is_the_formula_of_the_squared_error() -> None:
    """(y − f + w(x − b))² − (y − f)², averaged over b: w²·mean (x − b)² + 2w(y − f)·(x − mean b)."""
    truth = X @ WEIGHTS + GENERATOR.normal(size=40)
    case = assay.case(function(lambda x: x @ WEIGHTS, fingerprint="linear"), X).with_target("loss", truth)
    result = explain.permutation_importance(case, background=OTHERS)
    gap = X[:, None, :] - OTHERS[None]
    left = (truth - X @ WEIGHTS)[:, None]
    expected = WEIGHTS**2 * (gap**2).mean(axis=1) + 2 * WEIGHTS * left * gap.mean(axis=1)
    assert_allclose(result.values, expected, atol=1e-12)
    assert np.isnan(result.base).all()


def test_the_mean_is_model_reliance_with_students_interval_over_rows() -> None:
    """With the rows as their own background: all n² pairs, of which n change nothing."""
    truth = X @ WEIGHTS
    case = assay.case(function(lambda x: x @ WEIGHTS, fingerprint="linear"), X).with_target("loss", truth)
    values = explain.permutation_importance(case, background=X)
    overall = values.mean()
    assert_allclose(overall.values, 2 * WEIGHTS**2 * X.var(axis=0), atol=1e-12)
    assert_allclose(overall.stderr, values.values.std(axis=0, ddof=1) / np.sqrt(40))
    assert (overall.low[:2] > 0).all()
    assert overall.values[2] == overall.low[2] == overall.high[2] == 0.0


def test_of_another_target_it_is_the_mean_change() -> None:
    case = examples.linear((2.0, -1.0), x=[[1.0, 1.0]])
    result = explain.permutation_importance(case, background=np.array([[0.0, 3.0], [4.0, 3.0]]))
    assert_allclose(result.values, [[2.0, -2.0]])


def test_the_brier_score_of_sure_decisions_is_twice_the_share_of_changed_ones() -> None:
    model = function(
        lambda x: np.stack([x[:, 0] <= 0, x[:, 0] > 0], axis=1) * 1.0, gives="probabilities", fingerprint="hard"
    )
    truth = (X[:, 0] > 0).astype(int)
    found = explain.permutation_importance(assay.case(model, X).with_target("brier", truth), background=OTHERS)
    other = (OTHERS[:, 0] > 0).mean()
    assert_allclose(found.values[:, 0], 2 * np.where(truth == 1, 1 - other, other))
    assert_allclose(found.values[:, 1:], 0.0)


def test_an_infinite_loss_is_refused_with_its_rows() -> None:
    model = function(
        lambda x: np.stack([x[:, 0] > 0, x[:, 0] <= 0], axis=1) * 1.0, gives="probabilities", fingerprint="hard"
    )
    case = assay.case(model, X[:3], target="loss", label=0)
    with pytest.raises(NumericalError, match="probability of exactly 0"):
        explain.permutation_importance(case, background=OTHERS)
