"""Interaction indices."""

from __future__ import annotations

from dataclasses import replace
from math import comb, factorial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from tests.contract.subjects import ragged
from tests.oracles import interactions as oracle
from tests.shared import folder

import assay
from assay import examples, explain
from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.engine.coalitions.interaction_indices import INDICES
from assay.engine.coalitions.interactions import _fit_polynomial, _share_weights, draw_pairs, estimate_interactions
from assay.engine.cost import cost_of
from assay.model.adapters.function import function

ZERO = assay.Constant(0.0)

EVERY = pytest.mark.parametrize("index", INDICES)
COMPLETE = [name for name, index in INDICES.items() if index.is_efficient]


def table_case(table: Any, seed: int = 0) -> Case:
    """A game given by its worths (2^n,), the first part as the lowest bit, at x = (1, …, 1) removed by 0."""
    parts = int(np.log2(len(table)))
    worths = function(
        lambda x: table[(x > 0.5) @ (1 << np.arange(parts))], name="table", fingerprint=str(table.tolist())
    )
    return assay.case(worths, np.ones((1, parts)), seed=seed)


def by_set(explanation: Any, row: int = 0) -> dict[frozenset[int], float]:
    sets = [frozenset(int(i) for i in members if i >= 0) for members in explanation.extra["subsets"]]
    return dict(zip(sets, explanation.extra["interactions"][row].tolist()))


@EVERY
@pytest.mark.parametrize(("parts", "order"), [(1, 1), (3, 2), (3, 3), (5, 2), (6, 3), (7, 2)])
def test_listed_it_is_what_the_papers_define(index: str, parts: int, order: int) -> None:
    table, v = oracle.any_game(parts, seed=parts + order)
    found = by_set(explain.interactions(table_case(table), index=index, order=order, remove=ZERO))
    expected = oracle.INDICES[index](v, parts, order)
    assert found.keys() == expected.keys()
    for members, value in expected.items():
        assert found[members] == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize(("index", "order"), [("sii", 2), ("fsii", 2), ("stii", 3), ("k_sii", 3), ("fbii", 2)])
def test_it_is_what_the_papers_define_for_ten_players(index: str, order: int) -> None:
    table, v = oracle.any_game(10, seed=1)
    found = by_set(explain.interactions(table_case(table), index=index, order=order, remove=ZERO))
    expected = oracle.INDICES[index](v, 10, order)
    assert max(abs(found[members] - value) for members, value in expected.items()) < 1e-8


def test_shapley_taylor_is_a_mean_over_orders_of_joining() -> None:
    table, v = oracle.any_game(5, seed=4)
    found = by_set(explain.interactions(table_case(table), index="stii", remove=ZERO))
    for members, value in oracle.stii_by_orders(v, 5, 2).items():
        assert found[members] == pytest.approx(value, abs=1e-12)


UNANIMOUS = {
    "sii": lambda s, t: 1 / (t - s + 1),
    "banzhaf": lambda s, t: 0.5 ** (t - s),
    "chaining": lambda s, t: s / t,
    "moebius": lambda s, t: float(s == t),
    "stii": lambda s, t: 1 / comb(t, 2) if s == 2 else float(s == t),
    "k_sii": lambda s, t: 1 / (t - 1) if s == 2 else 1 / t - (t - 1) / 2 / (t - 1) if t > 1 else 1.0,
    "fsii": lambda s, t: 6 / (t * (t + 1)) if s == 2 else float(t == 1) if t < 3 else -2 * (t - 2) / (t * (t + 1)),
    "fbii": lambda s, t: 0.5 ** (t - 2) if s == 2 else float(t == 1) if t < 3 else -(t - 2) * 0.5 ** (t - 1),
}
"""What a unanimity game on t parts gives to a set of s of them, order 2, by hand."""


@EVERY
def test_sums_of_unanimity_games_have_closed_forms(index: str) -> None:
    dividends = {(0,): 2.0, (1, 3): -1.5, (0, 2, 4): 3.0, (0, 1, 2, 3): 0.7, (0, 1, 2, 3, 4, 5): -2.2}
    found = by_set(explain.interactions(examples.unanimity(dividends, 6), index=index, remove=ZERO))
    for members, value in found.items():
        parts = [(len(t), c) for t, c in dividends.items() if members <= set(t)]
        expected = sum(c * UNANIMOUS[index](len(members), size) for size, c in parts)
        assert value == pytest.approx(expected, abs=1e-12), members


def test_of_order_one_they_are_shapley_and_banzhaf_values() -> None:
    case, truth = examples.random_game(7, seed=3)
    for index in ("sii", "k_sii", "stii", "fsii", "chaining"):
        assert_allclose(explain.interactions(case, index=index, order=1, remove=ZERO).values, truth, atol=1e-12)
    for index in ("banzhaf", "fbii"):
        assert_allclose(
            explain.interactions(case, index=index, order=1, remove=ZERO).values,
            explain.banzhaf(case, remove=ZERO).values,
            atol=1e-12,
        )


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_shapley_interactions_are_differences_of_smaller_games(seed: int) -> None:
    """The recursion: I(S ∪ i) in v is I(S) where i is always present, less I(S) where i is always absent."""
    table, _ = oracle.any_game(5, seed=seed)
    whole = by_set(explain.interactions(table_case(table), index="sii", order=3, remove=ZERO))
    with_last, without = (
        by_set(explain.interactions(table_case(t), index="sii", remove=ZERO)) for t in (table[16:], table[:16])
    )
    for members, value in with_last.items():
        assert whole[members | {4}] == pytest.approx(value - without[members], abs=1e-12)


@pytest.mark.parametrize("index", [*COMPLETE, "fbii", "moebius"])
def test_with_sets_of_all_sizes_the_game_comes_back(index: str) -> None:
    table, v = oracle.any_game(5, seed=2)
    found = by_set(explain.interactions(table_case(table), index=index, order=5, remove=ZERO))
    for members in oracle.within(frozenset(range(5))):
        total = sum(value for some, value in found.items() if some <= members)
        assert total == pytest.approx(v(members) - v(frozenset()), abs=1e-9)


@pytest.mark.parametrize("index", ["stii", "k_sii", "fsii"])
@pytest.mark.parametrize("parts", [2, 3, 4, 7])
def test_with_pairs_split_equally_a_coalition_has_its_shapley_weight(index: str, parts: int) -> None:
    """In a unanimity game on t parts, own value and half of t − 1 pairs make 1/t, so all parts get Shapley values."""
    weights = _share_weights(INDICES[index].weights(2, parts), 2, parts)
    all_orders = factorial(parts)
    for t in range(1, parts + 1):
        orders = factorial(t - 1) * factorial(parts - t)
        assert weights[t, 1] == pytest.approx(orders / all_orders, abs=1e-12)
        assert weights[t - 1, 0] == pytest.approx(-orders / all_orders, abs=1e-12)


@pytest.mark.parametrize("index", COMPLETE)
@pytest.mark.parametrize("budget", [4096, 300])
def test_shares_add_up(index: str, budget: int) -> None:
    case, _ = examples.random_game(12, seed=5)
    result = explain.interactions(case, index=index, budget=budget, remove=ZERO)
    assert_allclose(result.residual, 0.0, atol=1e-9)
    assert_allclose(result.extra["interactions"].sum(axis=1), result.output - result.base, atol=1e-9)


@EVERY
@pytest.mark.parametrize("budget", [4096, 300])
def test_pairs_are_symmetric_and_their_rows_are_the_values(index: str, budget: int) -> None:
    result = explain.interactions(examples.random_game(12, seed=5)[0], index=index, budget=budget, remove=ZERO)
    pairs = result.extra["pairs"]
    assert_array_equal(pairs, np.swapaxes(pairs, 1, 2))
    assert_allclose(pairs.sum(axis=2), result.values, atol=1e-12)
    found = by_set(result)
    assert 2 * pairs[0, 3, 8] == pytest.approx(found[frozenset({3, 8})])
    assert pairs[0, 3, 3] == pytest.approx(found[frozenset({3})])


def test_a_glove_game_has_rivals_and_complements() -> None:
    """Parts 0 and 1 are left gloves, 2 a right one: a pair is worth 1."""
    gloves = function(lambda x: np.minimum(x[:, 0] + x[:, 1], x[:, 2]).clip(0, 1), fingerprint="gloves")
    result = explain.interactions(assay.case(gloves, np.ones((1, 3))), index="sii", remove=ZERO)
    assert_allclose(
        explain.shapley(assay.case(gloves, np.ones((1, 3))), remove=ZERO).values, [[1 / 6, 1 / 6, 2 / 3]], atol=1e-12
    )
    found = by_set(result)
    assert found[frozenset({0, 1})] == pytest.approx(-1 / 2)  # rivals: they stand in for one another
    assert found[frozenset({0, 2})] == pytest.approx(1 / 2)  # complements


def test_of_a_majority_the_interactions_are_known() -> None:
    """Two of three carry a vote: v = Σ pairs − 2 · all three."""
    votes = function(lambda x: (x.sum(axis=1) > 1.5).astype(float), fingerprint="majority")
    found = by_set(explain.interactions(assay.case(votes, np.ones((1, 3))), index="moebius", order=3, remove=ZERO))
    assert [found[frozenset(s)] for s in ({0}, {0, 1}, {0, 1, 2})] == pytest.approx([0.0, 1.0, -2.0])
    pairs = by_set(explain.interactions(assay.case(votes, np.ones((1, 3))), index="banzhaf", remove=ZERO))
    assert pairs[frozenset({0, 1})] == pytest.approx(0.0)


def test_in_an_airport_game_the_interaction_is_that_of_the_smaller_plane() -> None:
    """v(S) is the longest runway needed; what any set shares is 0 or ∓ the shortest step of its members."""
    lengths = np.array([1.0, 3.0, 7.0])
    airport = function(lambda x: (x * lengths).max(axis=1), fingerprint="airport")
    found = by_set(explain.interactions(assay.case(airport, np.ones((1, 3))), index="moebius", order=3, remove=ZERO))
    for members, value in found.items():
        assert value == pytest.approx((-1) ** (len(members) + 1) * lengths[sorted(members)[0]])


@EVERY
@pytest.mark.parametrize("order", [1, 2, 3])
def test_sampled_games_of_the_order_are_found_without_error(index: str, order: int) -> None:
    case, _ = examples.random_game(12, seed=order, order=order)
    exact = explain.interactions(case, index=index, order=order, budget=4096, remove=ZERO)
    result = explain.interactions(case, index=index, order=order, budget=620, remove=ZERO)
    assert_allclose(result.extra["interactions"], exact.extra["interactions"], atol=1e-8)
    assert result.extra["stderr"].max() < 1e-8


@EVERY
def test_sampled_values_are_within_their_errors(index: str) -> None:
    beyond = []
    for seed in range(6):
        case = replace(examples.random_game(12, seed=seed, order=5)[0], seed=assay.Seed(seed))
        exact = explain.interactions(case, index=index, budget=4096, remove=ZERO)
        result = explain.interactions(case, index=index, budget=400, remove=ZERO)
        assert result.stderr is not None
        for ours, truth, error in (
            (result.extra["interactions"], exact.extra["interactions"], result.extra["stderr"]),
            (result.values, exact.values, result.stderr),
        ):
            beyond.append(np.abs(ours - truth) > 1.96 * error + 1e-9)
    assert np.mean([some.mean() for some in beyond]) < 0.12
    if index != "moebius":  # whose sets of two are all asked
        assert np.mean([some.mean() for some in beyond]) > 0.0


@pytest.mark.parametrize("index", ["sii", "stii", "chaining", "banzhaf"])
def test_over_many_draws_the_mean_is_the_truth(index: str) -> None:
    """One interaction of five parts, far from a polynomial of degree 2: the correction takes the fit's bias away."""
    case = examples.unanimity({(0, 1, 2, 3, 4): 10.0, (5, 6, 7): -4.0, (8,): 1.0}, 10)
    truth = explain.interactions(case, index=index, remove=ZERO).extra["interactions"][0]
    answers = [
        explain.interactions(replace(case, seed=assay.Seed(seed)), index=index, budget=300, remove=ZERO).extra[
            "interactions"
        ][0]
        for seed in range(40)
    ]
    spread = np.std(answers, axis=0, ddof=1) / np.sqrt(len(answers))
    moved = spread > 1e-9
    assert np.abs((np.mean(answers, axis=0) - truth)[moved] / spread[moved]).max() < 6


@pytest.mark.parametrize("index", ["fsii", "fbii"])
def test_what_is_defined_by_its_fit_needs_no_correction(index: str) -> None:
    case, _ = examples.random_game(10, seed=6, order=5)
    one = draw_pairs(INDICES[index], 2, 10, 300, assay.Seed(1))
    values = case.game(assay.Constant(0.0)).table(one.masks)
    ours = estimate_interactions(INDICES[index], 2, one, values)[0]
    assert_allclose(ours, values @ _fit_polynomial(_products(one.masks), one, index == "fbii")[1:].T, atol=1e-9)


def _products(masks: Any) -> Any:
    singles, pairs = [[i] for i in range(10)], [[i, j] for i in range(10) for j in range(i + 1, 10)]
    return np.stack([masks[:, members].all(axis=1) for members in (*singles, *pairs)], axis=1).astype(float)


def test_a_constant_game_is_known_at_once() -> None:
    flat = assay.case(function(lambda x: np.full(len(x), 3.0), fingerprint="flat"), np.ones((1, 12)))
    result = explain.interactions(flat, budget=300, remove=ZERO)
    assert_allclose(result.extra["interactions"], 0.0, atol=1e-12)
    assert_allclose(result.base, 3.0)


@pytest.mark.parametrize(("parts", "order", "least"), [(12, 2, 136), (20, 2, 384), (12, 3, 466)])
def test_a_budget_that_does_not_determine_is_refused_with_one_that_does(parts: int, order: int, least: int) -> None:
    case, _ = examples.random_game(parts)
    with pytest.raises(InputError, match=f"at least {least} evaluations"):
        explain.interactions(case, order=order, budget=least - 1, remove=ZERO)
    for seed in range(5):
        other = replace(case, seed=assay.Seed(seed))
        assert np.isfinite(explain.interactions(other, order=order, budget=least, remove=ZERO).values).all()


@EVERY
@pytest.mark.parametrize("budget", [200, 301, 5000])
def test_its_evaluations_are_the_planned_cost(index: str, budget: int) -> None:
    case, _ = examples.random_game(12)
    planned = cost_of(explain.interactions.method, case, {"index": index, "budget": budget, "remove": ZERO})
    before = case.model.meter.forwards
    explain.interactions(case, index=index, budget=budget, remove=ZERO)
    spent = case.model.meter.forwards - before
    assert spent <= min(budget, 4096)
    assert spent == planned.forwards + 1  # the intact row, which the case evaluates once


@pytest.mark.parametrize("budget", [4096, 300])
def test_an_idle_part_has_no_interactions(budget: int) -> None:
    case = examples.unanimity({(0, 1, 2): 1.0, (3, 4): 2.0, (5,): 1.0}, 12)
    found = explain.interactions(case, budget=budget, remove=ZERO)
    assert np.abs(found.values[0, 11]) <= 3 * found.stderr[0, 11] + 1e-12  # all coalitions: the error is 0
    assert found.stderr[0, 11] < 0.05


def test_rows_of_fewer_parts_have_none_of_the_others() -> None:
    case = ragged()
    result = explain.interactions(case, remove=ZERO)
    lacks = case.features.sizes == 0
    assert lacks.any()
    assert_array_equal(result.values[lacks], 0.0)
    assert_allclose(result.residual, 0.0, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"), [({"index": "shap"}, "no interaction index"), ({"order": 0}, "between 1 and")]
)
def test_invalid_options_are_refused(options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        explain.interactions(examples.random_game(5)[0], remove=ZERO, **options)
    with pytest.raises(InputError, match="between 1 and the number of features, 5"):
        explain.interactions(examples.random_game(5)[0], order=6, remove=ZERO)


@pytest.mark.shared
def test_latitude_and_longitude_act_together_on_house_prices() -> None:
    from sklearn.ensemble import RandomForestRegressor

    frame = pd.read_csv(folder("california-housing") / "housing.csv").dropna().select_dtypes("number").iloc[::10]
    x, y = frame.drop(columns="median_house_value"), frame["median_house_value"]
    forest = RandomForestRegressor(20, max_depth=8, random_state=0, n_jobs=1).fit(x, y)
    case = assay.case(assay.wrap(forest), x.iloc[::170])
    removal = assay.Marginal(x.iloc[5::200])
    result = explain.interactions(case, remove=removal)
    assert_allclose(result.residual, 0.0, atol=1e-6 * float(y.mean()))
    strength = np.abs(result.extra["pairs"]).mean(axis=0)
    np.fill_diagonal(strength, 0.0)
    first = {x.columns[int(i)] for i in np.unravel_index(strength.argmax(), strength.shape)}
    assert first == {"latitude", "longitude"}
    some = explain.interactions(case, remove=removal, budget=120)
    error = np.abs(some.extra["interactions"] - result.extra["interactions"])
    assert (error <= 4 * some.extra["stderr"] + 1e-6 * float(y.mean())).mean() > 0.97
