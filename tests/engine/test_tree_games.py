"""Tree games against the same games computed coalition by coalition."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.oracles import trees

from assay.engine.trees import tree_games
from assay.engine.trees.tree_games import TreeGame
from assay.engine.trees.tree_leaves import leaves_of

KINDS = {
    "numbers": {},
    "deep": {"depth": 8, "columns": 6},
    "wide": {"columns": 7, "depth": 7},
    "few columns, long paths": {"columns": 2, "depth": 7},
    "categories and gaps": {"codes": 2, "missing": True},
    "several outputs": {"out": 3},
    "lone leaves": {"depth": 0},
    "one tree": {"trees": 1, "depth": 1},
}


def game(forest, rows, groups=None, background=None, readout=None):
    columns = len(forest.origin)
    groups = [[c] for c in range(columns)] if groups is None else groups
    player = np.array([next(g for g, members in enumerate(groups) if c in members) for c in range(columns)])
    read = np.ones((len(rows), forest.value.shape[1])) if readout is None else readout
    return TreeGame(forest, player, len(groups), rows, read, np.zeros(len(rows)), background)


def slow(forest, rows, groups, background, readout):
    """Values, interactions and v(∅) by the definitions."""
    n = len(groups)
    values, pairs, empty = [], np.zeros((len(rows), n, n)), []
    for number, (x, read) in enumerate(zip(rows, readout)):
        v = trees.table(forest, x, groups, background)
        values.append(trees.shapley(v, n) @ read)
        empty.append(v[frozenset()] @ read)
        for i in range(n):
            for j in range(n):
                if i != j:
                    pairs[number, i, j] = trees.interaction(v, n, i, j) @ read
    return np.array(values), pairs, np.array(empty)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by", ["cover", "background"])
@pytest.mark.parametrize("computed", ["from table", "by node"])
def test_values_and_interactions_are_those_of_the_definition(kind, by, computed, monkeypatch):
    shape = KINDS[kind]
    forest = trees.random_forest(3, **shape)
    columns = {name: value for name, value in shape.items() if name in ("columns", "codes", "missing")}
    rows, other = trees.random_rows(4, 3, **columns), trees.random_rows(5, 4, **columns)
    background = other if by == "background" else None
    readout = np.random.default_rng(6).normal(size=(3, forest.value.shape[1]))
    groups = [[c] for c in range(len(forest.origin))]
    tabled = computed == "from table"
    monkeypatch.setattr(tree_games, "MAX_TABLE_PLAYERS", 16 if tabled else -1)
    if tabled:  # enough rows for tables to pay
        copies = 200
        found = game(forest, np.tile(rows, (copies, 1)), background=background, readout=np.tile(readout, (copies, 1)))
    else:
        found = game(forest, rows, background=background, readout=readout)
    values, pairs, empty = slow(forest, rows, groups, background, readout)
    assert_allclose(found.shapley()[-3:], values, atol=1e-12)
    assert_allclose(found.interactions()[-3:], pairs, atol=1e-12)
    assert_allclose(found.empty[-3:], empty, atol=1e-12)


def test_columns_of_one_player_act_together():
    forest, rows, other = trees.random_forest(7), trees.random_rows(8, 2), trees.random_rows(9, 3)
    groups = [[0, 2], [1], [3]]
    values, pairs, empty = slow(forest, rows, groups, other, np.ones((2, 1)))
    found = game(forest, rows, groups, other)
    assert_allclose(found.shapley(), values, atol=1e-13)
    assert_allclose(found.interactions(), pairs, atol=1e-13)
    assert_allclose(found.empty, empty, atol=1e-13)


def test_a_leaf_is_an_and_of_intervals():
    """a players match the row only, b the background only: +v (a−1)! b! / (a+b)!, and −v a! (b−1)! / (a+b)!."""
    forest = replace(
        trees.random_forest(0, trees=1, depth=0),
        roots=np.array([0]),
        column=np.array([0, 1, 2, -1, -1, -1, -1]),
        left=np.array([1, 2, 3, -1, -1, -1, -1]),
        right=np.array([4, 5, 6, -1, -1, -1, -1]),
        threshold=np.zeros(7),
        missing_left=np.zeros(7, dtype=bool),
        cover=np.ones(7),
        value=np.array([[0.0], [0.0], [0.0], [6.0], [0.0], [0.0], [0.0]]),
        levels=np.full(7, -1),
    )
    row, other = np.array([[-1.0, -1.0, 1.0, 0.0]]), np.array([[1.0, 1.0, -1.0, 0.0]])
    assert_allclose(game(forest, row, background=other).shapley(), [[1.0, 1.0, -2.0, 0.0]], atol=1e-14)
    assert_allclose(game(forest, other, background=row).shapley(), [[-1.0, -1.0, 2.0, 0.0]], atol=1e-14)


def test_without_training_rows_at_a_node_both_sides_have_the_same_weight():
    forest = trees.random_forest(0, trees=1, depth=1)
    forest = replace(forest, cover=np.zeros(3))
    low, high = forest.value[1:, 0]
    row = np.full((1, 4), -9.0)  # goes left
    found = game(forest, row)
    assert_allclose(found.empty, forest.base + (low + high) / 2, atol=1e-14)
    assert_allclose(found.shapley()[0, forest.column[0]], (low - high) / 2, atol=1e-14)


def test_values_add_up_on_many_rows_in_blocks(monkeypatch):
    forest = trees.random_forest(10, columns=9, trees=12, depth=9)
    rows, other = trees.random_rows(11, 300, columns=9), trees.random_rows(12, 50, columns=9)
    whole = game(forest, rows, background=other)
    values = whole.shapley()
    assert_allclose(values.sum(axis=1) + whole.empty, forest.outputs(rows)[:, 0], atol=1e-12)
    monkeypatch.setattr(tree_games, "MAX_DECISIONS", 4000)
    monkeypatch.setattr(tree_games, "MAX_BLOCK", 3000)
    assert_allclose(game(forest, rows, background=other).shapley(), values, atol=1e-12)
    assert_allclose(game(forest, rows[:1], background=other).shapley(), values[:1], atol=1e-12)


def test_blocks_respect_the_memory_bound(monkeypatch):
    """goes_left is called for at most MAX_DECISIONS nodes × rows at a time, where a tree allows it."""
    forest = trees.random_forest(13, trees=20, depth=6)
    sizes = []
    plain = type(forest).goes_left

    def counted(self, matrix):
        sizes.append(len(self.column) * len(matrix))
        return plain(self, matrix)

    monkeypatch.setattr(tree_games, "MAX_DECISIONS", 20_000)
    monkeypatch.setattr(type(forest), "goes_left", counted)
    game(forest, trees.random_rows(14, 500)).shapley()
    assert max(sizes) <= 20_000
    assert len(sizes) > 2


def test_the_leaves_reached_by_a_row_add_up_to_its_output():
    forest = trees.random_forest(15, columns=3, depth=6)
    rows = trees.random_rows(16, 40, columns=3)
    total = np.zeros(40)
    for group in leaves_of(forest, np.arange(3)):
        full = 2**group.width - 1
        total += (group.patterns(forest.goes_left(rows)) == full).T @ forest.value[group.at, 0]
        assert (group.players[:, :, None] == group.players[:, None, :]).sum() == len(group) * group.width
    assert_allclose(total + forest.base[0], forest.outputs(rows)[:, 0], atol=1e-12)


@pytest.mark.parametrize("by", ["cover", "background"])
def test_a_block_has_at_least_one_leaf_however_large_the_leaf_is(by, monkeypatch):
    forest, rows, other = trees.random_forest(17), trees.random_rows(18, 30), trees.random_rows(19, 4)
    background = other if by == "background" else None
    values = game(forest, rows, background=background).shapley()
    monkeypatch.setattr(tree_games, "MAX_BLOCK", 1)
    assert_allclose(game(forest, rows, background=background).shapley(), values, atol=1e-13)


@pytest.mark.parametrize("width", range(1, 18))
def test_half_as_many_nodes_as_players_integrate_a_leaf_exactly(width):
    """⌈D/2⌉ nodes, for polynomials of degree D − 1."""
    nodes, weights = np.array(tree_games.gauss_nodes(width)).T
    powers = np.arange(width)
    assert len(nodes) == np.ceil(width / 2)
    assert_allclose(weights @ nodes[:, None] ** powers, 1 / (powers + 1), rtol=1e-12)
