"""The tree of least error + λ · leaves, against every tree of the class and the values that GOSDT found on COMPAS."""

import numpy as np
import pytest
from tests.engine.tree_enumeration import all_trees, objective, problem
from tests.interpretable.compas import compas_conditions

from assay.basics.errors import InputError
from assay.engine.distinct.table import DistinctRows, distinct_rows
from assay.engine.distinct.trees import best_tree, count_leaves, leaf_numbers, tree_depth, tree_text


def compas_table() -> DistinctRows:
    """5,000 defendants by 15 conditions."""
    frame, labels = compas_conditions()
    return distinct_rows(frame.to_numpy()[:5000] == 1, labels[:5000], 2)


@pytest.mark.parametrize("seed", range(40))
def test_the_best_tree_has_the_least_objective_of_all_trees(seed: int) -> None:
    masks, labels, classes, table = problem(seed, most=5, rows=40)
    for depth, penalty in ((0, 0.1), (1, 0.02), (2, 0.0), (2, 0.03), (3 if masks.shape[1] < 5 else 2, 0.01)):
        found = best_tree(table, penalty, depth)
        least = min(objective(one, masks, labels, penalty) for one in all_trees(masks, labels, classes, depth, True))
        assert found.status == "optimal"
        assert found.lower_bound == pytest.approx(found.objective)
        assert found.objective == pytest.approx(least, abs=1e-12)
        assert objective(found.tree, masks, labels, penalty) == pytest.approx(found.objective)
        assert count_leaves(found.tree) == found.leaves
        assert tree_depth(found.tree) <= depth


@pytest.mark.judge
@pytest.mark.parametrize("seed", range(100, 300))
def test_the_best_tree_of_200_more_problems_is_that_of_the_enumeration(seed: int) -> None:
    masks, labels, classes, table = problem(seed, most=5, rows=40)
    depth = 3 if masks.shape[1] < 5 else 2
    least = min(objective(one, masks, labels, 0.01) for one in all_trees(masks, labels, classes, depth, True))
    assert best_tree(table, 0.01, depth).objective == pytest.approx(least, abs=1e-12)


@pytest.mark.parametrize(("penalty", "value"), [(0.01, 0.3712), (0.005, 0.3546), (0.002, 0.3380)])
def test_the_best_tree_on_compas_has_the_objective_that_gosdt_found(penalty: float, value: float) -> None:
    found = best_tree(compas_table(), penalty, 4)
    assert found.objective == pytest.approx(value, abs=5e-5)
    assert found.status == "optimal"


def test_a_search_that_stops_early_says_so_and_its_bound_holds() -> None:
    table = compas_table()
    whole = best_tree(table, 0.002, 4)
    for nodes in (1, 3, 10, 50):
        stopped = best_tree(table, 0.002, 4, max_nodes=nodes)
        assert stopped.status == "feasible"
        assert stopped.lower_bound < whole.objective <= stopped.objective


def test_an_exclusive_or_of_two_conditions_is_found() -> None:
    masks = np.random.default_rng(0).random((400, 6)) < 0.5
    found = best_tree(distinct_rows(masks, (masks[:, 1] ^ masks[:, 4]).astype(np.int64), 2), 0.02, 2)
    assert found.errors == 0
    assert found.leaves == 4


def test_permuted_labels_give_a_leaf_in_95_percent_of_runs() -> None:
    table_rows = np.random.default_rng(0).random((1000, 8)) < 0.4
    leaves = []
    for seed in range(100):
        labels = np.random.default_rng(seed).permutation(np.arange(1000) < 420).astype(np.int64)
        leaves.append(best_tree(distinct_rows(table_rows, labels, 2), 0.02, 3).leaves)
    assert np.mean(np.array(leaves) == 1) >= 0.95


def test_a_tree_is_written_as_nested_conditions_with_numbered_leaves() -> None:
    masks = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=bool)
    text = tree_text((0, 1, (1, 0, 1)), ("a", "b"), ("not a", "not b"), lambda leaf: f"leaf {leaf}")
    assert text.splitlines() == [
        "if a:",
        "    if b:",
        "        leaf 2",
        "    else (not b):",
        "        leaf 1",
        "else (not a):",
        "    leaf 0",
    ]
    assert leaf_numbers((0, 1, (1, 0, 1)), masks).tolist() == [0, 0, 1, 2]


def test_impossible_options_are_refused() -> None:
    table = distinct_rows(np.zeros((3, 1), dtype=bool), np.array([0, 1, 1]), 2)
    for depth, penalty in ((-1, 0.1), (99, 0.1), (2, -0.1), (2, float("nan"))):
        with pytest.raises(InputError, match=r"depth=|penalty="):
            best_tree(table, penalty, depth)
    assert best_tree(table, 0.1, 3).tree == 1
