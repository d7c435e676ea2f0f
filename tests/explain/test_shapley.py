"""Shapley values."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from tests.oracles import games

import assay
from assay import examples, explain
from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.cases.removals import Constant, Marginal
from assay.model.adapters.function import function

ZERO = assay.Constant(0.0)

SEEDS = st.integers(0, 10_000)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), SEEDS)
def test_random_games_have_their_known_values(parts: int, seed: int) -> None:
    case, truth = examples.random_game(parts, seed=seed)
    result = explain.shapley(case, remove=ZERO)
    assert_allclose(result.values, truth, atol=1e-9)
    assert_allclose(result.residual, 0.0, atol=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.integers(6, 12), SEEDS)
def test_estimates_are_complete_too(parts: int, seed: int) -> None:
    case, _ = examples.random_game(parts, seed=seed)
    assert_allclose(explain.shapley(case, budget=2 * parts + 6, remove=ZERO).residual, 0.0, atol=1e-8)


@settings(max_examples=15, deadline=None)
@given(SEEDS, SEEDS, st.floats(-3, 3))
def test_estimates_are_linear_in_the_model(first: int, second: int, factor: float) -> None:
    f, g = (examples.random_game(8, seed=seed)[0] for seed in (first, second))
    mixed = function(
        lambda x: f.value(x, np.zeros(len(x), dtype=int)) + factor * g.value(x, np.zeros(len(x), dtype=int)),
        fingerprint="mix",
    )
    both = explain.shapley(assay.case(mixed, np.ones((1, 8))), budget=40, fit="linear", remove=ZERO).values
    f, g = (explain.shapley(game, budget=40, fit="linear", remove=ZERO).values for game in (f, g))
    apart = f + factor * g
    assert_allclose(both, apart, atol=1e-7)


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.permutations(range(6)))
def test_columns_may_change_places(seed: int, order: list[int]) -> None:
    case, truth = examples.random_game(6, seed=seed)
    back = np.argsort(order)
    moved = function(lambda x: case.value(x[:, back], np.zeros(len(x), dtype=int)), fingerprint="moved")
    assert_allclose(explain.shapley(assay.case(moved, np.ones((1, 6))), remove=ZERO).values, truth[:, order], atol=1e-9)


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_features_without_effect_get_0_and_equal_features_the_same(seed: int) -> None:
    weights = np.random.default_rng(seed).normal(size=3)
    case = examples.analytic(
        lambda x: (
            weights[0] * x[:, 0] * x[:, 1] + weights[1] * (x[:, 0] + x[:, 1]) ** 2 * x[:, 3] + weights[2] * x[:, 3]
        ),
        lambda x: x,
        [[0.5, 0.5, 9.0, 1.5]],
        f"equals {seed}",
    )
    values = explain.shapley(case, remove=ZERO).values[0]
    assert_allclose(values[2], 0.0, atol=1e-12)
    assert_allclose(values[0], values[1], atol=1e-12)


def test_on_a_forest_it_is_the_mean_gain_over_all_orders(tissue: Callable[..., Case]) -> None:
    from assay.nouns.inputs.features import integer_map

    case = tissue(rows=2, features=integer_map([0, 0, 1, 1, 2, 2, 3, 3, 4, 4]))
    x = np.asarray(case.rows.x)[1]

    def v(members: frozenset[int]) -> float:
        return float(case.value(np.where(np.isin(np.arange(10) // 2, list(members)), x, 0.0)[None], np.array([1]))[0])

    assert_allclose(explain.shapley(case, remove=ZERO).values[1], games.shapley(v, 5), atol=1e-12)


def test_against_a_background_a_linear_model_gives_distance_from_its_mean() -> None:
    background = np.array([[0.0, 1.0, 2.0], [4.0, 3.0, 0.0]])
    result = explain.shapley(examples.linear((2.0, -1.0, 3.0)), remove=Marginal(background))
    assert_allclose(result.values, [[-2.0, 1.0, 0.0]], atol=1e-12)
    assert_allclose(result.base, [5.0])


@pytest.mark.parametrize("budget", [60, 100, 333])
def test_an_estimate_uses_exactly_its_budget(budget: int) -> None:
    case, _ = examples.random_game(14)
    explain.shapley(case, budget=budget, remove=ZERO)
    assert case.model.meter.forwards == budget - budget % 2


def test_an_under_determined_budget_is_refused() -> None:
    with pytest.raises(InputError, match="at least 28 evaluations"):
        explain.shapley(examples.random_game(14)[0], budget=27, remove=ZERO)


def test_enumerated_there_is_no_error() -> None:
    assert_array_equal(explain.shapley(examples.random_game(6)[0], budget=64, remove=ZERO).stderr, 0.0)


def test_an_estimate_is_within_its_error_on_a_digit(digits: Callable[..., Case]) -> None:
    case = digits(rows=1, features=assay.grid((1, 8, 8), 3))
    result = explain.shapley(case, budget=150, remove=ZERO)
    truth = explain.shapley(case, budget=2**9, remove=ZERO).values
    assert np.abs((result.values - truth) / result.stderr).max() < 5
    assert np.corrcoef(result.values[0], truth[0])[0, 1] > 0.95


def test_the_same_seed_gives_the_same_bytes_and_another_others() -> None:
    one, two, three = (
        explain.shapley(examples.random_game(12, seed=0)[0].take([0]), budget=90, remove=ZERO) for _ in range(3)
    )
    other = explain.shapley(replace(examples.random_game(12, seed=0)[0], seed=assay.Seed(5)), budget=90, remove=ZERO)
    assert one.values.tobytes() == two.values.tobytes() == three.values.tobytes()
    assert one.values.tobytes() != other.values.tobytes()


def test_batches_and_order_of_rows_change_nothing(digits: Callable[..., Case]) -> None:
    case = digits()
    whole = explain.shapley(case, budget=100, remove=ZERO).values
    small = replace(case, model=replace(case.model, batch=7))
    assert_allclose(explain.shapley(small, budget=100, remove=ZERO).values, whole, atol=1e-5)
    assert_allclose(explain.shapley(case.take([2, 1, 0]), budget=100, remove=ZERO).values, whole[::-1], atol=1e-5)


def test_the_removal_is_an_argument_that_matters() -> None:
    case = examples.linear((2.0, 1.0))
    assert_allclose(explain.shapley(case, remove=Constant(0.5)).values, [[1.0, 0.5]])
