# SPDX-License-Identifier: Apache-2.0
"""The decision tree of least error + λ · leaves over a binary table, with a proof: recursion over distinct rows.

A tree is a class number (a leaf) or a tuple (condition, tree where it is no, tree where it is yes).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints, Masks
from assay.engine.distinct.table import DistinctRows

Tree: TypeAlias = "int | tuple[int, Tree, Tree]"

MAX_DEPTH = 8
"""Deepest trees that are searched."""

MAX_STORED = 2**24
"""Numbers of pair counts that are held at a time; older ones are counted again."""

TOLERANCE = 1e-9
"""Costs, in rows, that differ by less are equal."""


@dataclass(frozen=True)
class Best:
    """The best tree found for a set of rows: its cost in rows (errors + λ n leaves), and what no tree goes below."""

    cost: float
    lower: float
    tree: Tree
    leaves: int


@dataclass(frozen=True, eq=False)
class PairCounts:
    """Counts of classes of a set of rows (class,), where one condition holds (condition, class), and where two do."""

    total: Floats
    single: Floats
    pair: Floats

    @property
    def sides(self) -> tuple[tuple[Floats, Floats, Floats], tuple[Floats, Floats, Floats]]:
        """For each side of a first condition (no, yes): its counts, and those where a second is no and is yes."""
        yes, both = self.single, self.pair
        no, other = self.total - yes, yes[None, :, :] - both
        return (no, no[:, None, :] - other, other), (yes, yes[:, None, :] - both, both)


def wrong(counts: Floats) -> Floats:
    """Rows that a leaf gets wrong: all but those of the commonest class; counts (…, class)."""
    return np.asarray(counts.sum(axis=-1) - counts.max(axis=-1))


class TreeSearch:
    """Best trees of the sets of rows that conditions cut out, each solved once and remembered.

    ``penalty`` is λ: the price of a leaf, as a share of all rows. Trees of depth 2 are solved by one matrix product for
    each class: counts of all pairs of conditions. Deeper ones try every condition at the root, unless the errors that
    no model of these conditions avoids already cost too much. After ``max_nodes`` sets solved no further set is cut:
    what is left gets the best tree of depth 2 and the bound from unavoidable errors.
    """

    def __init__(self, table: DistinctRows, penalty: float, max_nodes: int = 200_000) -> None:
        if not (np.isfinite(penalty) and penalty >= 0) or max_nodes < 1:
            raise InputError(f"penalty={penalty}, max_nodes={max_nodes}; a penalty ≥ 0 and at least 1 node are needed.")
        if table.total <= 0:
            raise InputError("no rows; a tree needs at least one.")
        self.table = table
        self.leaf_price = penalty * table.total
        self.max_nodes, self.nodes = max_nodes, 0
        self.yes = np.ascontiguousarray(table.masks.T)
        self._floats = table.masks.astype(np.float64)
        self._unavoidable = table.minority
        self._solved: dict[tuple[bytes, int], Best] = {}
        self._pairs: dict[bytes, PairCounts] = {}

    @property
    def all_rows(self) -> Masks:
        """The set of all distinct rows (row,)."""
        return np.ones(len(self.table.masks), dtype=bool)

    def counts(self, rows: Masks) -> Floats:
        """Counts (class,) of a set of rows."""
        return np.asarray(self.table.counts[rows].sum(axis=0))

    def pair_counts(self, rows: Masks) -> PairCounts:
        """The counts of a set of rows by conditions and pairs of conditions."""
        key = np.packbits(rows).tobytes()
        if key not in self._pairs:
            self.nodes += 1
            if len(self._pairs) * len(self.yes) ** 2 * self.table.counts.shape[1] > MAX_STORED:
                self._pairs.clear()
            held, counts = self._floats[rows], self.table.counts[rows]
            pair = np.stack([(held * counts[:, [k]]).T @ held for k in range(counts.shape[1])], axis=-1)
            self._pairs[key] = PairCounts(counts.sum(axis=0), held.T @ counts, pair)
        return self._pairs[key]

    def leaf(self, rows: Masks) -> Best:
        """The leaf of the commonest class; of equal ones the first."""
        counts = self.counts(rows)
        cost = float(wrong(counts)) + self.leaf_price
        return Best(cost, cost, int(counts.argmax()), 1)

    def best(self, rows: Masks, depth: int) -> Best:
        """The best tree of at most this depth for a set of rows; of equal ones that of fewest leaves, found first."""
        key = (np.packbits(rows).tobytes(), depth)
        if key not in self._solved:
            self._solved[key] = self._solve(rows, depth)
        return self._solved[key]

    def bound(self, rows: Masks) -> float:
        """A cost that no tree of any depth goes below, from the rows that have equals of another class."""
        counts = self.counts(rows)
        return min(float(wrong(counts)), float(self._unavoidable[rows].sum()) + self.leaf_price) + self.leaf_price

    def divides(self, rows: Masks, condition: int) -> tuple[Masks, Masks] | None:
        """Both parts of a set of rows (no, yes); ``None`` where one is empty."""
        yes = rows & self.yes[condition]
        no = rows & ~self.yes[condition]
        return (no, yes) if yes.any() and no.any() else None

    def _solve(self, rows: Masks, depth: int) -> Best:
        leaf = self.leaf(rows)
        if depth == 0 or leaf.cost <= self.bound(rows) + TOLERANCE:
            return leaf
        if depth <= 2:
            return self._shallow(rows, depth, leaf)
        found = self.best(rows, 2)
        if self.nodes >= self.max_nodes:
            return Best(found.cost, min(found.cost, self.bound(rows)), found.tree, found.leaves)
        lower = leaf.cost
        for condition in range(len(self.yes)):
            parts = self.divides(rows, condition)
            if parts is None:
                continue
            bounds = [self.bound(part) for part in parts]
            if sum(bounds) >= found.cost - TOLERANCE:
                lower = min(lower, sum(bounds))
                continue
            no = self.best(parts[0], depth - 1)
            if no.lower + bounds[1] >= found.cost - TOLERANCE:
                lower = min(lower, no.lower + bounds[1])
                continue
            yes = self.best(parts[1], depth - 1)
            lower = min(lower, no.lower + yes.lower)
            if no.cost + yes.cost < found.cost - TOLERANCE:
                found = Best(no.cost + yes.cost, 0.0, (condition, no.tree, yes.tree), no.leaves + yes.leaves)
        lower = found.cost if lower >= found.cost - TOLERANCE else lower
        return Best(found.cost, lower, found.tree, found.leaves)

    def _shallow(self, rows: Masks, depth: int, leaf: Best) -> Best:
        """The best tree of depth 1 or 2, from the counts of pairs."""
        if not len(self.yes):
            return leaf
        pairs = self.pair_counts(rows)
        sides, costs, seconds = pairs.sides, [], []
        for counts, no, yes in sides:
            cost = wrong(counts) + self.leaf_price
            second = np.full(len(cost), -1)
            if depth == 2:
                split = wrong(no) + wrong(yes) + 2 * self.leaf_price
                first = split.argmin(axis=1)
                least = split[np.arange(len(first)), first]
                better = least < cost - TOLERANCE
                cost, second = np.where(better, least, cost), np.where(better, first, second)
            costs.append(cost)
            seconds.append(second)
        root = int((costs[0] + costs[1]).argmin())
        least_cost = float(costs[0][root] + costs[1][root])
        if least_cost >= leaf.cost - TOLERANCE:
            return leaf
        branches: list[Tree] = []
        for (counts, no, yes), second in zip(sides, seconds):
            j = int(second[root])
            at = int(counts[root].argmax()) if j < 0 else (j, int(no[root, j].argmax()), int(yes[root, j].argmax()))
            branches.append(at)
        leaves = 2 + sum(int(second[root]) >= 0 for second in seconds)
        return Best(least_cost, least_cost, (root, branches[0], branches[1]), leaves)


@dataclass(frozen=True, eq=False)
class TreeProof:
    """The best tree found, its errors and leaves, and the proved lower bound of error share + λ · leaves."""

    tree: Tree
    errors: int
    leaves: int
    objective: float
    lower_bound: float
    nodes: int
    status: Literal["optimal", "feasible"]


def best_tree(table: DistinctRows, penalty: float, depth: int, max_nodes: int = 200_000) -> TreeProof:
    """The tree of at most this depth that minimises share of errors + ``penalty`` · leaves on the table's rows."""
    if not 0 <= depth <= MAX_DEPTH:
        raise InputError(f"depth={depth}; trees of depth 0 to {MAX_DEPTH} are searched.")
    search = TreeSearch(table, penalty, max_nodes)
    found = search.best(search.all_rows, depth)
    total = table.total
    errors = round(found.cost - search.leaf_price * found.leaves)
    return TreeProof(
        found.tree,
        errors,
        found.leaves,
        errors / total + penalty * found.leaves,
        min(errors / total + penalty * found.leaves, found.lower / total),
        search.nodes,
        "optimal" if found.lower >= found.cost - TOLERANCE else "feasible",
    )


def decide(tree: Tree, masks: Masks) -> Ints:
    """The class number (row,) that a tree decides for rows of the binary table (row, condition)."""
    found = np.zeros(len(masks), dtype=np.int64)

    def fill(node: Tree, rows: Masks) -> None:
        if isinstance(node, int):
            found[rows] = node
            return
        yes = masks[:, node[0]]
        fill(node[1], rows & ~yes)
        fill(node[2], rows & yes)

    fill(tree, np.ones(len(masks), dtype=bool))
    return found


def leaf_numbers(tree: Tree, masks: Masks) -> Ints:
    """The leaf (row,) that rows of the binary table reach, numbered from the left (no before yes)."""
    numbered, _ = _numbered(tree, 0)
    return decide(numbered, masks)


def count_leaves(tree: Tree) -> int:
    """The number of leaves."""
    return 1 if isinstance(tree, int) else count_leaves(tree[1]) + count_leaves(tree[2])


def tree_depth(tree: Tree) -> int:
    """The length of the longest path; 0 for a leaf."""
    return 0 if isinstance(tree, int) else 1 + max(tree_depth(tree[1]), tree_depth(tree[2]))


def tree_text(tree: Tree, names: Sequence[str], negated: Sequence[str], leaf: Callable[[int], str]) -> str:
    """The tree in indented lines, yes before no; ``leaf`` gives the text of the leaf of a number."""

    def lines(node: Tree, indent: str) -> list[str]:
        if isinstance(node, int):
            return [f"{indent}{leaf(node)}"]
        return [
            f"{indent}if {names[node[0]]}:",
            *lines(node[2], f"{indent}    "),
            f"{indent}else ({negated[node[0]]}):",
            *lines(node[1], f"{indent}    "),
        ]

    return "\n".join(lines(_numbered(tree, 0)[0], ""))


def _numbered(tree: Tree, first: int) -> tuple[Tree, int]:
    """The tree with the number of each leaf in its place, and the next number."""
    if isinstance(tree, int):
        return first, first + 1
    no, after = _numbered(tree[1], first)
    yes, end = _numbered(tree[2], after)
    return (tree[0], no, yes), end
