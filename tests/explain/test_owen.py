"""Owen values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.explain.test_interactions import table_case
from tests.oracles import games
from tests.oracles import interactions as oracle
from tests.shared import folder

import assay
from assay import examples, explain
from assay.basics.errors import InputError
from assay.engine.coalitions.coalition_structure import count_coalitions, owen_coalitions
from assay.engine.cost import cost_of
from assay.nouns.inputs.hierarchy import hierarchy, parse_groups

ZERO = assay.Constant(0.0)

NESTS: list[Any] = [
    [["0", "1"], ["2", "3", "4"]],
    [["0", "1"], "2", ["3", "4"]],
    [[["0", "1"], ["2", "3"]], "4"],
    [["0", "2"], ["1", ["3", "4"]]],
]


@pytest.mark.parametrize("groups", NESTS)
def test_it_is_the_mean_gain_over_orders_that_keep_groups_together(groups: Any) -> None:
    table, v = oracle.any_game(5, seed=8)
    result = explain.owen(table_case(table), groups=groups, remove=ZERO)
    assert_allclose(result.values[0], oracle.owen(v, parse_groups(groups, list("01234"))), atol=1e-12)
    assert_array_equal(result.stderr, 0.0)
    assert_allclose(result.residual, 0.0, atol=1e-12)


@pytest.mark.parametrize("groups", [(), {"all": list("01234")}, [["0"], ["1"]]])
def test_without_groups_that_divide_it_is_the_shapley_value(groups: Any) -> None:
    case, truth = examples.random_game(5, seed=1)
    assert_allclose(explain.owen(case, groups=groups, remove=ZERO).values, truth, atol=1e-12)


def test_a_group_gets_its_shapley_value_in_the_game_of_groups() -> None:
    case, _ = examples.random_game(8, seed=2)
    groups = {"x": ["1", "4", "6"], "y": ["0", "7"], "z": ["2"]}
    result = explain.owen(case, groups=groups, remove=ZERO)
    v = games.value_of(case)
    blocks = [{1, 4, 6}, {0, 7}, {2}, {3}, {5}]
    expected = games.shapley(lambda s: v(frozenset().union(*(blocks[i] for i in s))), 5)
    assert_allclose(result.extra["groups"][0], expected, atol=1e-12)
    quotient = replace(case, features=assay.groups({"x": ["1", "4", "6"], "y": ["0", "7"]}, list("01234567")))
    again = explain.shapley(quotient, remove=ZERO).values[0]
    assert_allclose(np.sort(result.extra["groups"][0]), np.sort(again), atol=1e-12)


def test_the_owner_of_two_gloves_gains_by_forming_a_group() -> None:
    """Left gloves 0 and 1, right glove 2; the union of 1 and 2 shuts 0 out in half of the orders it would share."""
    gloves = assay.model.function(lambda x: np.minimum(x[:, 0] + x[:, 1], x[:, 2]).clip(0, 1), fingerprint="gloves")
    case = assay.case(gloves, np.ones((1, 3)))
    assert_allclose(explain.owen(case, groups=[["1", "2"]], remove=ZERO).values, [[0.0, 0.25, 0.75]], atol=1e-12)


@pytest.mark.parametrize("groups", [*NESTS, (), [[["0", "1"], ["2"]], [["3"], "4"]]])
def test_each_needed_coalition_is_evaluated_once(groups: Any) -> None:
    case, _ = examples.random_game(5, seed=0)
    nest = parse_groups(groups, case.features.names)
    masks, _ = owen_coalitions(nest, 5)
    assert len(masks) == count_coalitions(nest) == len(np.unique(masks, axis=0))
    planned = cost_of(explain.owen.method, case, {"groups": groups, "remove": ZERO})
    explain.owen(case, groups=groups, remove=ZERO)
    assert case.model.meter.forwards == count_coalitions(nest) == planned.forwards + 1


def test_sixteen_parts_nested_two_by_two_need_few_coalitions() -> None:
    case, _ = examples.random_game(16, seed=3)
    nest: Any = [str(i) for i in range(16)]
    while len(nest) > 2:
        nest = [[nest[i], nest[i + 1]] for i in range(0, len(nest), 2)]
    result = explain.owen(case, groups=nest, remove=ZERO)
    assert case.model.meter.forwards == 172
    assert_array_equal(result.stderr, 0.0)
    assert_allclose(result.residual, 0.0, atol=1e-9)


def test_a_sampled_value_is_complete_within_its_error_and_its_planned_cost() -> None:
    groups, hits = [[str(i) for i in range(6)], [str(i) for i in range(6, 12)]], []
    for seed in range(30):
        case = replace(examples.random_game(12, seed=seed, order=5)[0], seed=assay.Seed(seed))
        truth = explain.owen(case, groups=groups, remove=ZERO).values
        other = replace(case, seed=assay.Seed(seed + 100))
        planned = cost_of(explain.owen.method, other, {"groups": groups, "budget": 200, "remove": ZERO})
        assert planned.forwards <= 199
        result = explain.owen(other, groups=groups, budget=200, remove=ZERO)
        assert result.stderr is not None
        assert_allclose(result.residual, 0.0, atol=1e-9)
        hits.append(np.abs(result.values - truth) <= 1.96 * result.stderr + 1e-9)
    assert 0.80 < np.mean(hits) < 0.99  # eight or nine pairs: Student's factor would be 2.3


def test_a_sampled_order_keeps_groups_together() -> None:
    """A game in which only whole groups count gives each member its share of the group's, in every order."""
    case = examples.unanimity({tuple(range(10)): 1.0, tuple(range(10, 20)): 2.0}, 20)
    groups = [[str(i) for i in range(10)], [str(i) for i in range(10, 20)]]
    result = explain.owen(case, groups=groups, budget=1000, remove=ZERO)
    assert_allclose(result.extra["groups"], [[1.0, 2.0]], atol=1e-12)


def test_too_small_a_budget_is_refused_with_the_least_that_works() -> None:
    case, _ = examples.random_game(14)
    with pytest.raises(InputError, match=r"54 evaluations"):
        explain.owen(case, budget=53, remove=ZERO)


@pytest.mark.shared
def test_the_places_of_houses_are_one_group() -> None:
    from sklearn.ensemble import RandomForestRegressor

    frame = pd.read_csv(folder("california-housing") / "housing.csv").dropna().select_dtypes("number").iloc[::10]
    x, y = frame.drop(columns="median_house_value"), frame["median_house_value"]
    forest = RandomForestRegressor(15, max_depth=7, random_state=0, n_jobs=1).fit(x, y)
    case, removal = assay.case(assay.wrap(forest), x.iloc[:6]), assay.Marginal(x.iloc[100:108])
    nest = hierarchy(x)
    assert "['latitude', 'longitude']" in str(nest) or "['longitude', 'latitude']" in str(nest)
    result = explain.owen(case, groups=nest, remove=removal)
    assert_allclose(result.residual, 0.0, atol=1e-6 * float(y.mean()))
    requested = case.model.meter.forwards
    explain.shapley(case, remove=removal)
    assert (
        case.model.meter.forwards
        == requested + (2**8 - count_coalitions(parse_groups(nest, case.features.names))) * 6 * 8
    )
