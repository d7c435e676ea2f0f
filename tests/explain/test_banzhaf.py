"""Banzhaf values."""

from collections.abc import Callable

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
from tests.oracles import games

from assay import Constant, examples, explain
from assay.cases.case import Case

ZERO = Constant(0.0)


def test_on_unanimity_games_it_is_known() -> None:
    case = examples.unanimity({(0, 1, 2): 4.0, (1,): 3.0}, 4)
    assert_allclose(explain.banzhaf(case, remove=ZERO).values, [[1.0, 4.0, 1.0, 0.0]], atol=1e-12)


def test_on_a_forest_it_is_the_mean_gain_over_all_coalitions(tissue: Callable[..., Case]) -> None:
    from assay.nouns.inputs.features import integer_map

    case = tissue(rows=1, features=integer_map([0, 0, 1, 1, 2, 2, 3, 3, 4, 4]))
    x = np.asarray(case.rows.x)[0]
    v = lambda s: float(case.value(np.where(np.isin(np.arange(10) // 2, list(s)), x, 0.0)[None])[0])  # noqa: E731  # a formula
    assert_allclose(explain.banzhaf(case, remove=ZERO).values[0], games.banzhaf(v, 5), atol=1e-12)


def test_sampled_it_is_the_mean_with_less_the_mean_without() -> None:
    from assay.engine.coalitions.sample_reuse import sample_reuse

    case, _ = examples.random_game(9)
    masks = sample_reuse.design(9, 100, case.seed.child("design", "complements")).masks
    v = case.value(np.where(masks, 1.0, 0.0), np.zeros(100, dtype=int))
    expected = [v[masks[:, i]].mean() - v[~masks[:, i]].mean() for i in range(9)]
    assert_allclose(explain.banzhaf(case, budget=100, remove=ZERO).values[0], expected)


def test_sampled_it_has_an_error_and_enumerated_none() -> None:
    case, _ = examples.random_game(8)
    assert explain.banzhaf(case, budget=100, remove=ZERO).stderr.min() > 0
    assert_array_equal(explain.banzhaf(case, budget=256, remove=ZERO).stderr, 0.0)


def test_many_parts_are_sampled_within_the_budget() -> None:
    case, _ = examples.random_game(30)
    provenance = explain.banzhaf(case, budget=301, remove=ZERO).provenance
    assert provenance.cost["forwards"] <= 301


def test_a_single_feature_gets_the_whole_change() -> None:
    assert_allclose(explain.banzhaf(examples.linear((3.0,), intercept=1.0), budget=2, remove=ZERO).values, [[3.0]])


def test_it_has_no_base() -> None:
    assert np.isnan(explain.banzhaf(examples.product(), remove=ZERO).base).all()
