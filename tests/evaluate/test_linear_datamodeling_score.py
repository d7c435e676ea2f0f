"""The linear datamodeling score: exact influence scores near 1, chance near 0, and seeds set a ceiling."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression, Ridge

import assay
from assay import evaluate, explain
from assay.basics.errors import InputError
from assay.engine.influence.subsets import RetrainedTargets, random_halves

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(80, 4))
Y = X @ np.array([1.0, -2.0, 0.5, 0.0]) + GENERATOR.normal(size=80)
LABELS = (Y > 0).astype(int)


def linear(x: Any, y: Any, seed: Any = None, strength: float = 0.0) -> Any:
    return Ridge(1.0).fit(x, y)


def noisy(x: Any, y: Any, seed: Any, strength: float) -> Any:
    """A regression whose weights move by chance, as those of a net do."""
    found = linear(x, y)
    found.coef_ = found.coef_ + 0.05 * seed.generator().normal(size=4)
    return found


def explained(rows: int = 6) -> tuple[assay.Case, Any]:
    case = assay.case(assay.wrap(linear(X, Y)), X[:rows], target="value")
    return case, explain.training_influence(case, train=(X, Y))


def test_it_is_the_rank_correlation_over_halves_that_its_definition_says() -> None:
    case, found = explained()
    score = evaluate.linear_datamodeling_score(found, case, recipe=assay.Recipe(linear, X, Y), subsets=12, seeds=1)
    members = random_halves(80, 12, case.seed.child("datamodel"))
    assert members.sum(axis=1).tolist() == [40] * 12
    outputs = np.stack([linear(X[half], Y[half]).predict(X[:6]) for half in members])
    for row in range(6):
        has = [found.values[row, half].sum() for half in members]  # the paper's sum, of the opposite sign
        assert score.values[row] == pytest.approx(spearmanr(-np.array(has), outputs[:, row])[0], abs=1e-12)


def test_newton_steps_order_halves_as_retraining_does_and_chance_does_not() -> None:
    def fit(x: Any, y: Any, seed: Any, strength: float) -> Any:
        return LogisticRegression(C=0.1, tol=1e-8).fit(x, y)

    case = assay.case(assay.wrap(fit(X, LABELS, None, 0.0)), X[:6], target="loss", label=LABELS[:6])
    found = explain.training_influence(case, train=(X, LABELS))
    recipe = assay.Recipe(fit, X, LABELS)
    score = evaluate.linear_datamodeling_score(found, case, recipe=recipe, subsets=24, seeds=1)
    assert score.mean > 0.9
    assert np.isnan(score.extra["ceiling"]).all()
    drawn = replace(found, values=np.random.default_rng(1).normal(size=found.values.shape))
    chance = evaluate.linear_datamodeling_score(drawn, case, recipe=recipe, subsets=24, seeds=1)
    assert abs(chance.mean) < 4 * float(chance.extra["mean_stderr"][0]) + 0.05
    opposite = replace(found, values=-found.values)
    reverse = evaluate.linear_datamodeling_score(opposite, case, recipe=recipe, subsets=24, seeds=1)
    assert_allclose(reverse.values, -score.values, atol=1e-12)


def test_the_ceiling_is_the_correlation_of_the_means_with_those_without_noise() -> None:
    generator = np.random.default_rng(3)
    truth = generator.normal(size=(400, 5))
    targets = truth + 1.5 * generator.normal(size=(3, 400, 5))
    found = RetrainedTargets(random_halves(10, 8, assay.Seed(0)), targets)
    exact = [np.corrcoef(truth[:, row], targets.mean(axis=0)[:, row])[0, 1] for row in range(5)]
    assert_allclose(found.ceiling, exact, atol=0.05)


def test_noise_of_the_seeds_lowers_score_and_ceiling_together() -> None:
    case, found = explained()
    recipe = assay.Recipe(noisy, X, Y)
    score = evaluate.linear_datamodeling_score(found, case, recipe=recipe, subsets=24, seeds=3)
    assert 0.3 < np.nanmean(score.extra["ceiling"]) < 0.98
    assert score.mean < np.nanmean(score.extra["ceiling"]) + 0.1
    assert score.stderr is not None
    assert "noise of 3 seeds" in score.notes[-1].text


def test_what_does_not_fit_is_refused_or_undefined() -> None:
    case, found = explained()
    recipe = assay.Recipe(linear, X, Y)
    groups = explain.training_influence(case, train=(X, Y), groups=["a", "b"] * 40)
    with pytest.raises(InputError, match="2 parts, the recipe 80 training rows"):
        evaluate.linear_datamodeling_score(groups, case, recipe=recipe)
    with pytest.raises(InputError, match="at least 8 subsets"):
        evaluate.linear_datamodeling_score(found, case, recipe=recipe, subsets=4)
    flat = replace(found, values=np.zeros_like(found.values))
    score = evaluate.linear_datamodeling_score(flat, case, recipe=recipe, subsets=8, seeds=1)
    assert np.isnan(score.values).all()
    assert {note.code for note in score.notes} == {"undefined"}


def test_a_program_for_many_nets_is_used() -> None:
    calls = []

    def many(x: Any, y: Any, members: Any, seed: Any, strength: float) -> Any:
        calls.append(len(members))
        return [linear(x[line], y[line]) for line in members]

    case, found = explained()
    one = evaluate.linear_datamodeling_score(
        found, case, recipe=assay.Recipe(linear, X, Y, fit_many=many), subsets=8, seeds=2
    )
    other = evaluate.linear_datamodeling_score(found, case, recipe=assay.Recipe(linear, X, Y), subsets=8, seeds=2)
    assert calls == [8, 8]
    assert_allclose(one.values, other.values)
