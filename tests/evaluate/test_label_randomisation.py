from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from tests.oracles.rank_correlation import spearman

from assay import Constant, Recipe, evaluate, explain, wrap
from assay.basics.errors import CapabilityError, InputError
from assay.cases.new_case import case as ask

ZERO = Constant(0.0)

X = np.random.default_rng(0).normal(size=(80, 5))
Y = (X @ np.array([2.0, -1.0, 0.5, 0.0, 0.0]) > 0).astype(int)


def _recipe(x: Any = X, y: Any = Y, seen: list[Any] | None = None) -> Recipe:
    def fit(x: Any, y: Any, seed: Any, strength: float) -> Any:
        if seen is not None:
            seen.append((np.array(x), y))
        return LogisticRegression().fit(x, y)

    return Recipe(fit, x, y)


def _case(rows: int = 4) -> Any:
    return ask(wrap(LogisticRegression().fit(X, Y)), X[:rows], label=1)


def test_it_equals_the_literal_rank_correlation_with_the_refit() -> None:
    case, seen = _case(), []
    e = explain.shapley(case, remove=Constant(0.0))
    score = evaluate.label_randomisation(e, case, recipe=_recipe(seen=seen))
    ((x, labels),) = seen
    refit = LogisticRegression().fit(x, labels)
    after = explain.shapley(ask(wrap(refit), X[:4], label=1), remove=Constant(0.0)).values
    assert_allclose(score.values, [spearman(abs(a), abs(b)) for a, b in zip(e.values, after)])
    assert_allclose(score.extra["signed"], [spearman(a, b) for a, b in zip(e.values, after)])
    assert_allclose(score.extra["refit_accuracy"], refit.score(x, labels))


@pytest.mark.parametrize("kind", [np.array, list, tuple, lambda y: pd.Series(y, index=range(100, 180), name="y")])
def test_the_labels_are_permuted_in_their_own_form_and_the_callers_stay(kind: Any) -> None:
    case, seen, labels = _case(1), [], kind(Y)
    evaluate.label_randomisation(explain.shapley(case, remove=ZERO), case, recipe=_recipe(y=labels, seen=seen))
    ((x, permuted),) = seen
    assert_array_equal(x, X)
    assert type(permuted) is type(labels)
    assert sorted(permuted) == sorted(Y)
    assert list(permuted) != list(Y)
    assert list(labels) == list(Y)
    if isinstance(labels, pd.Series):
        assert list(permuted.index) == list(labels.index)


def test_one_refit_serves_all_explanations_of_a_case() -> None:
    case, seen = _case(), []
    recipe = _recipe(seen=seen)
    for e in (explain.shapley(case, remove=ZERO), explain.occlusion(case, remove=ZERO)):
        evaluate.label_randomisation(e, case, recipe=recipe, refits=2)
    assert len(seen) == 2
    assert not np.array_equal(seen[0][1], seen[1][1])


def test_several_refits_have_an_error() -> None:
    case = _case()
    score = evaluate.label_randomisation(explain.shapley(case, remove=ZERO), case, recipe=_recipe(), refits=4)
    assert score.stderr is not None
    assert (score.stderr > 0).any()
    assert evaluate.label_randomisation(explain.shapley(case, remove=ZERO), case, recipe=_recipe()).stderr is None


def test_trees_are_tested_by_refitting_them() -> None:
    y = X[:, 0] * 2 + X[:, 1]

    def fit(x: Any, y: Any, seed: Any, strength: float) -> Any:
        return RandomForestRegressor(20, random_state=0).fit(x, y)

    case = ask(wrap(fit(X, y, None, 0.0)), X[:8])
    score = evaluate.label_randomisation(explain.tree_shapley(case), case, recipe=Recipe(fit, X, y), refits=3)
    assert score.mean < 0.6
    assert (score.extra["refit_accuracy"] > 0.5).all()  # a forest learns noise by heart
    shown = evaluate.label_randomisation(explain.input_itself(case), case, recipe=Recipe(fit, X, y))
    assert_allclose(shown.values, 1.0)


def test_a_refit_that_cannot_learn_noise_has_low_accuracy() -> None:
    score = evaluate.label_randomisation(explain.shapley(_case(), remove=ZERO), _case(), recipe=_recipe())
    assert score.extra["refit_accuracy"][0] < 0.8
    assert any("permuted labels" in note.text for note in score.notes)


def test_another_kind_of_model_and_constant_labels_are_refused() -> None:
    case = _case()
    e = explain.shapley(case, remove=ZERO)
    with pytest.raises(CapabilityError, match="same kind of model"):
        evaluate.label_randomisation(
            e, case, recipe=Recipe(lambda x, y, seed, strength: LinearRegression().fit(x, y), X, Y)
        )
    with pytest.raises(InputError, match="all training labels are the same"):
        evaluate.label_randomisation(e, case, recipe=_recipe(y=np.ones(80)))
    with pytest.raises(InputError, match="refits=0"):
        evaluate.label_randomisation(e, case, recipe=_recipe(), refits=0)
