"""Tree games against the same games computed coalition by coalition."""

import tracemalloc
from dataclasses import replace
from math import comb

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.tree import DecisionTreeRegressor
from tests.oracles import trees

from assay.engine.trees import leaf_values, tree_games, tree_leaves
from assay.engine.trees.leaf_values import (
    gauss_nodes,
    table_is_cheapest,
    values_by_cover,
    values_by_pair,
    values_by_table,
)
from assay.engine.trees.tree_games import TreeGame
from assay.engine.trees.tree_leaves import leaves_of
from assay.model.forests import forest_reader

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
@pytest.mark.parametrize("computed", ["from a table", "row by row"])
def test_values_and_interactions_are_those_of_the_definition(kind, by, computed, monkeypatch):
    shape = KINDS[kind]
    forest = trees.random_forest(3, **shape)
    columns = {name: value for name, value in shape.items() if name in ("columns", "codes", "missing")}
    rows, other = trees.random_rows(4, 3, **columns), trees.random_rows(5, 4, **columns)
    background = other if by == "background" else None
    readout = np.random.default_rng(6).normal(size=(3, forest.value.shape[1]))
    groups = [[c] for c in range(len(forest.origin))]
    monkeypatch.setattr(tree_games, "table_is_cheapest", lambda *_: computed == "from a table")
    found = game(forest, rows, background=background, readout=readout)
    values, pairs, empty = slow(forest, rows, groups, background, readout)
    assert_allclose(found.shapley(), values, atol=1e-12)
    assert_allclose(found.interactions(), pairs, atol=1e-12)
    assert_allclose(found.empty, empty, atol=1e-12)


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
    nodes, weights = np.array(gauss_nodes(width)).T
    powers = np.arange(width)
    assert len(nodes) == np.ceil(width / 2)
    assert_allclose(weights @ nodes[:, None] ** powers, 1 / (powers + 1), rtol=1e-12)


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
        total += (group.patterns(forest.goes_left(rows))[:, 0] == full).T @ forest.value[group.at, 0]
        assert (group.players[:, :, None] == group.players[:, None, :]).sum() == len(group) * group.width
        assert group.steps.shape[1] == (group.steps >= 0).sum(axis=1).max(initial=0)
    assert_allclose(total + forest.base[0], forest.outputs(rows)[:, 0], atol=1e-12)


DEPTHS = [1, 7, 8, 31, 32, 33, 63, 64, 65, 128, 200]


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("by", ["cover", "background"])
def test_a_path_of_many_players_is_computed_exactly(depth, by):
    """Against rational numbers: the path-dependent leaf, and the leaf of a pair of rows, whose shares are 0 and 1."""
    forest, generator = trees.chain(depth, depth), np.random.default_rng(depth)
    row, other = (np.where(generator.random(depth) < 0.7, -1.0, 1.0)[None] for _ in range(2))
    row[0, 0], other[0, 0] = -1.0, 1.0
    other[row > 0] = -1.0  # otherwise the leaf is never reached
    share = forest.cover[1 : depth + 1] / forest.cover[:depth] if by == "cover" else other[0] < 0
    found = game(forest, row, background=None if by == "cover" else other)
    expected = trees.leaf_shapley(row[0] < 0, share, forest.value[depth, 0])
    assert np.abs(expected).max() > 0
    assert_allclose(found.shapley()[0], expected, rtol=1e-11, atol=1e-300)
    if 1 < depth <= 65:
        pairs = found.interactions()[0]
        for pair in [(0, 1), (depth // 2, depth - 1), tuple(np.argsort(-np.abs(expected))[:2])]:
            value = trees.leaf_interaction(row[0] < 0, share, forest.value[depth, 0], pair)
            assert_allclose(pairs[pair], value, rtol=1e-11, atol=1e-300)


@pytest.mark.parametrize("depth", [40, 110, pytest.param(200, marks=pytest.mark.judge)])
@pytest.mark.parametrize("by", ["cover", "background"])
def test_deep_trees_add_up(depth, by):
    forest, generator = trees.chain(depth, depth, values="all"), np.random.default_rng(1)
    rows, other = (np.where(generator.random((9, depth)) < 0.97, -1.0, 1.0) for _ in range(2))
    found = game(forest, rows, background=None if by == "cover" else other)
    assert_allclose(found.shapley().sum(axis=1) + found.empty, forest.outputs(rows)[:, 0], atol=1e-12)
    values, few = found.shapley(), game(forest, rows, background=None if by == "cover" else other[[3]])
    if by == "background":  # the mean over the background rows, one at a time
        each = [game(forest, rows, background=other[[i]]).shapley() for i in range(9)]
        assert_allclose(np.mean(each, axis=0), values, atol=1e-13)
    if depth > 100:
        return
    pairs = few.interactions()
    first = few.shapley() - pairs.sum(axis=2) / 2
    assert_allclose(first.sum(axis=1) + pairs.sum(axis=(1, 2)) / 2 + few.empty, forest.outputs(rows)[:, 0], atol=1e-11)


def grown(rows=1500, columns=30, seed=0):
    """One regression tree that was grown to the end, and its rows."""
    x = np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32).astype(float)
    y = x[:, 0] * x[:, 1] + np.random.default_rng(1).normal(size=rows)
    reader = forest_reader(DecisionTreeRegressor(random_state=0).fit(x, y), None)
    return reader(), x


def counted(monkeypatch):
    """Numbers that each way of computing leaves handles: entries of tables, pairs of rows, leaves × rows × players."""
    numbers = {"table": 0, "pair": 0, "cover": 0}

    def table(leaves, patterns, absent, value, sets):
        numbers["table"] += len(leaves) * 2**leaves.width * len(sets)
        return values_by_table(leaves, patterns, absent, value, sets)

    def pair(patterns, absent, value, sets, width):
        numbers["pair"] += len(patterns) * patterns.shape[2] * absent.shape[2]
        return values_by_pair(patterns, absent, value, sets, width)

    def cover(patterns, ratio, value, sets):
        numbers["cover"] += ratio.size * patterns.shape[2]
        return values_by_cover(patterns, ratio, value, sets)

    for name, function in (("values_by_table", table), ("values_by_pair", pair), ("values_by_cover", cover)):
        monkeypatch.setattr(tree_games, name, function)
    return numbers


@pytest.mark.parametrize("order", [1, 2])
def test_few_rows_need_no_large_tables(order, monkeypatch):
    """5 rows × 10 background rows: at most 50 numbers a leaf and as many in tables, not 2^D of each."""
    forest, x = grown()
    leaves = int((forest.column < 0).sum())
    numbers = counted(monkeypatch)
    found = game(forest, x[:5], background=x[50:60])
    values = found.shapley() if order == 1 else found.interactions()
    assert numbers["pair"] + numbers["table"] <= 2 * leaves * 5 * 10
    assert numbers["pair"] > 0
    if order == 1:
        assert_allclose(values.sum(axis=1) + found.empty, forest.outputs(x[:5])[:, 0], atol=1e-12)


def test_many_rows_read_small_tables_of_narrow_leaves(monkeypatch):
    """300 × 200 pairs a leaf would be 60,000 numbers; a table of 2^D · D, D ≤ 5, has at most 160."""
    forest = trees.random_forest(20, columns=6, depth=5, trees=5)
    rows, other = trees.random_rows(21, 300, columns=6), trees.random_rows(22, 200, columns=6)
    numbers = counted(monkeypatch)
    game(forest, rows, background=other).shapley()
    assert numbers["pair"] == 0
    assert 0 < numbers["table"] <= 160 * (forest.column < 0).sum()


@pytest.mark.parametrize("width", range(1, 25))
@pytest.mark.parametrize("order", [1, 2])
def test_a_table_is_built_only_where_rows_or_pairs_outnumber_its_entries(width, order):
    sets = comb(width, order)
    assert not table_is_cheapest(width, max(1, sets), order, 1, 1)
    assert not table_is_cheapest(width, max(1, sets), order, 1, None)
    assert table_is_cheapest(width, max(1, sets), order, 10**9, 10**6) == (width <= 16)
    assert table_is_cheapest(width, max(1, sets), order, 10**9, None) == (width <= 16)
    rows = [table_is_cheapest(width, max(1, sets), order, 4**k, 10) for k in range(14)]
    assert rows == sorted(rows)  # never again dearer for more rows


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    ("shape", "by"),
    [("deep", "cover"), ("deep", "background"), ("bushy", "cover"), ("bushy", "background"), ("bushy", "table")],
)
def test_memory_is_bounded_by_the_size_of_blocks(shape, order, by, monkeypatch):
    """Without blocks of rows or of leaves one array alone takes several megabytes."""
    monkeypatch.setattr(tree_games, "MAX_BLOCK", 2**15)
    monkeypatch.setattr(leaf_values, "MAX_PAIRS", 2**15)
    monkeypatch.setattr(tree_games, "table_is_cheapest", lambda *_: by == "table" and shape == "bushy")
    depth, rows = (64, 2000) if shape == "deep" else (6, 400)
    if order == 2:
        depth, rows = (24, 500) if shape == "deep" else (6, 200)
    forest = (
        trees.chain(3, depth, values="all") if shape == "deep" else trees.random_forest(3, columns=6, depth=6, trees=9)
    )
    generator = np.random.default_rng(2)
    x, other = (generator.normal(size=(n, len(forest.origin))) - (2 if shape == "deep" else 0) for n in (rows, 20))
    found = game(forest, x, background=None if by == "cover" else other)
    tracemalloc.start()
    values = found.shapley() if order == 1 else found.interactions()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    decisions = len(forest.column) * (rows + 20)
    assert peak < 2 * values.nbytes + 2 * decisions + 3.2e6


def test_a_tree_is_arranged_in_pieces_where_its_paths_are_long(monkeypatch):
    forest = trees.random_forest(23, columns=5, depth=9, trees=6)
    rows, other = trees.random_rows(24, 5, columns=5), trees.random_rows(25, 4, columns=5)
    whole = [game(forest, rows, background=one).shapley() for one in (None, other)]
    monkeypatch.setattr(tree_leaves, "MAX_STEPS", 20)
    sizes = [group.steps.size for group in leaves_of(forest, np.arange(5))]
    assert max(sizes) <= 20
    for one, values in zip((None, other), whole):
        assert_allclose(game(forest, rows, background=one).shapley(), values, atol=1e-13)
