# SPDX-License-Identifier: Apache-2.0
"""Parts of a forest that can be taken out and fed with another row: sub-trees, and sums of those of one column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import Floats, Ints, Masks
from assay.engine.trees.tree_case import model_outputs
from assay.model.forests.forest import Forest
from assay.nouns.inputs.output_kind import OutputKind
from assay.nouns.inputs.target import predicted_class

LEAST_REACHED, LEAST_REACHED_OF_MANY = 0.01, 0.05
"""Sub-trees of one tree, of several trees, that a smaller share of the rows reaches are left out: their influence is
smaller still."""

MAX_PARTS = 150
"""Sub-trees and their sums that are examined, those of the largest effect on the sums first."""

MAX_LEVELS = 10
"""Outputs of a part that are distinguished when its association is measured; more are cut at quantiles."""

LEAST_ROWS, MAX_STEPS = 300, 600_000_000
"""The fewest rows of a large forest that are examined, and the steps down the trees that its columns may take."""

MAX_TURNS = 40
"""Outcomes of all splits on a column that are tried; more are represented by so many of about equal frequency."""


@dataclass(frozen=True, eq=False)
class RoutedForest:
    """A forest with rows routed through it: ``left`` (node, row), sums (row, out), decisions (row,)."""

    forest: Forest
    kind: OutputKind
    left: Masks
    sums: Floats
    decision: Ints

    @staticmethod
    def of(forest: Forest, kind: OutputKind, matrix: Floats) -> RoutedForest:
        """Routes the rows of ``matrix``; ``CapabilityError`` where decisions do not follow from the sums of trees."""
        sums = forest.outputs(matrix)
        return RoutedForest(forest, kind, forest.goes_left(matrix), sums, decisions_of(forest, kind, sums))

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.sums)

    def decide(self, sums: Floats) -> Ints:
        """The class decided (…,) where the trees add up to ``sums`` (…, out)."""
        flat = decisions_of(self.forest, self.kind, sums.reshape(-1, sums.shape[-1]))
        return np.asarray(flat.reshape(sums.shape[:-1]))

    def leaves_below(self, node: int) -> Ints:
        """The leaf (row,) that each row reaches from ``node`` on, also where it does not reach the node itself."""
        return self._leaves(np.array([node]))[0]

    def _leaves(self, starts: Ints, passed: Masks | None = None) -> Ints:
        """The leaves (start, row) that the rows reach; ``passed`` (node, row) is set for all inner nodes passed."""
        column, left, right = self.forest.column, self.forest.left, self.forest.right
        at, row = np.repeat(starts, self.rows), np.tile(np.arange(self.rows), len(starts))
        moving = np.flatnonzero(column[at] >= 0)
        while len(moving):
            here, rows = at[moving], row[moving]
            if passed is not None:
                passed[here, rows] = True
            at[moving] = np.where(self.left[here, rows], left[here], right[here])
            moving = moving[column[at[moving]] >= 0]
        return at.reshape(len(starts), self.rows)

    def passes(self, nodes: Sequence[int]) -> Masks:
        """Whether each row passes one of the nodes at least (row,)."""
        passed = np.zeros((len(self.forest.column), self.rows), dtype=bool)
        self._leaves(self.forest.roots, passed)
        return np.asarray(passed[list(nodes)].any(axis=0))

    def sums_with_turns(self, nodes: Sequence[int], turns: Masks) -> Floats:
        """The sums (row, out) where every row turns at these nodes as ``turns`` (node,) says, left where true."""
        chosen = list(nodes)
        own = self.left[chosen].copy()
        self.left[chosen] = turns[:, None]
        leaves = self._leaves(self.forest.roots)
        self.left[chosen] = own
        total = np.zeros((self.rows, self.forest.value.shape[1]))
        for of_tree in leaves:
            total += self.forest.value[of_tree]
        return total + self.forest.base

    @cached_property
    def reached(self) -> dict[int, Masks]:
        """The rows (row,) that reach each inner node which enough rows reach."""
        found: dict[int, Masks] = {}
        least = LEAST_REACHED if len(self.forest.roots) == 1 else LEAST_REACHED_OF_MANY
        waiting = [(int(root), np.ones(self.rows, dtype=bool)) for root in self.forest.roots]
        while waiting:
            node, inside = waiting.pop()
            if self.forest.column[node] < 0 or inside.mean() < least:
                continue
            found[node] = inside
            goes_left = self.left[node]
            waiting += [
                (int(self.forest.right[node]), inside & ~goes_left),
                (int(self.forest.left[node]), inside & goes_left),
            ]
        return found


def affordable_rows(forest: Forest) -> int:
    """Rows for which the turns at all splits of every column are evaluated in seconds, ``LEAST_ROWS`` at least."""
    columns = len(np.unique(forest.origin[forest.column[forest.column >= 0]]))
    steps = len(forest.roots) * max(1, forest.depth) * max(1, columns) * MAX_TURNS
    return max(LEAST_ROWS, MAX_STEPS // steps)


def decisions_of(forest: Forest, kind: OutputKind, sums: Floats) -> Ints:
    """The class decided (row,) where the trees add up to ``sums`` (row, out)."""
    outputs = model_outputs(kind, OutputKind.of(forest.gives), sums)
    if outputs is None:
        raise CapabilityError(
            f"the decisions of this model do not follow from the sums of its trees ({forest.gives} to {kind})."
        )
    return np.asarray(predicted_class(outputs, kind), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class TreePart:
    """One part p₁ of a forest, which reads the input elements ``elements``: sub-trees, or all splits on one element.

    ``level`` (row,): which of the distinct outputs a row gives to the part, whether it reaches its nodes or not;
    ``code`` (row,) are the outputs as they are distinguished when the association is measured, ``score`` (row,) as
    numbers. Sub-trees at ``nodes`` have ``reach`` (node, row), whether a row reaches each, and ``leaves`` (node,
    level), the leaves of each output. Splits at ``nodes`` have ``turns`` (node, level), whether an output goes left.
    """

    nodes: tuple[int, ...]
    elements: tuple[int, ...]
    level: Ints
    code: Ints
    score: Floats
    reach: Masks
    leaves: Ints
    turns: Masks | None = None

    @property
    def share_reached(self) -> float:
        """The share of rows that reach one of the nodes at least."""
        return float(self.reach.any(axis=0).mean())

    @property
    def name(self) -> str:
        """What the part is, in words."""
        if self.turns is not None:
            return f"the {len(self.nodes)} splits on one column" if len(self.nodes) > 1 else "the split"
        return "a sub-tree" if len(self.nodes) == 1 else f"the sum of {len(self.nodes)} sub-trees"


def tree_parts(routed: RoutedForest) -> tuple[list[TreePart], int]:
    """The parts of the forest, and how many more of smaller effect are left out.

    All splits on one input element, for each element; every sub-tree that rows reach; and for several trees the sum of
    all largest sub-trees that read one element alone. Sub-trees that read more than half of the elements that the
    forest reads, and more than one, are left out: they are the model rather than a part, and their association is the
    gap between groups.
    """
    forest, reached = routed.forest, routed.reached
    elements = elements_below(forest)
    read = frozenset[int]().union(*(elements[int(root)] for root in forest.roots))
    single = [node for node in reached if len(elements[node]) <= max(1, len(read) // 2)]
    several: dict[int, list[int]] = {}
    if len(forest.roots) > 1:
        for node in _largest_of_one_element(forest, elements, reached):
            several.setdefault(next(iter(elements[node])), []).append(node)
    nodes = [(node,) for node in single] + [tuple(found) for found in several.values() if len(found) > 1]
    effect = [_effect(routed, chosen) for chosen in nodes]
    order = [int(i) for i in np.argsort(-np.array(effect), kind="stable") if effect[int(i)] > 0]
    splits = [splits_on(routed, element, list(elements)) for element in sorted(read)]
    chosen = [make_part(routed, nodes[i], elements) for i in order[:MAX_PARTS]]
    return [*splits, *chosen], max(0, len(order) - MAX_PARTS)


def splits_on(routed: RoutedForest, element: int, living: Sequence[int]) -> TreePart:
    """All splits on one input element as one part: what the trees read of it."""
    forest = routed.forest
    nodes = [n for n in sorted(living) if forest.column[n] >= 0 and int(forest.origin[forest.column[n]]) == element]
    own = routed.left[nodes]
    patterns, level = _distinct_columns(own)
    rank = -patterns.sum(axis=0, dtype=np.int64)  # of one number: the more splits it exceeds, the larger it is
    order = np.argsort(rank, kind="stable")
    patterns, score = patterns[:, order], rank[order].astype(np.float64)
    level = np.argsort(order)[level]
    values = score[level]
    if patterns.shape[1] > MAX_TURNS:
        place = np.argsort(np.argsort(level, kind="stable"), kind="stable") * MAX_TURNS // len(level)
        chosen = np.array([int(np.sort(level[place == turn])[(place == turn).sum() // 2]) for turn in range(MAX_TURNS)])
        patterns, level = patterns[:, chosen], place
    code = level if patterns.shape[1] <= MAX_LEVELS else _cut(values)
    return TreePart(
        nodes=tuple(nodes),
        elements=(element,),
        level=level,
        code=np.unique(code, return_inverse=True)[1].ravel(),
        score=values,
        reach=routed.passes(nodes)[None],
        leaves=np.zeros((0, 0), dtype=np.int64),
        turns=patterns,
    )


def make_part(routed: RoutedForest, nodes: Sequence[int], elements: dict[int, frozenset[int]]) -> TreePart:
    """The part of these sub-trees."""
    leaves = np.stack([routed.leaves_below(node) for node in nodes])
    reach = np.stack([routed.reached[node] for node in nodes])
    found, level = _distinct_columns(leaves)
    score = routed.forest.value[found, -1].sum(axis=0)[level]
    if len(routed.forest.roots) == 1:
        code = routed.decide(routed.forest.value[leaves[0]] + routed.forest.base)
    else:
        code = level if found.shape[1] <= MAX_LEVELS else _cut(score)
    code = np.unique(code, return_inverse=True)[1].ravel()
    read = tuple(sorted(frozenset().union(*(elements[node] for node in nodes))))
    return TreePart(tuple(nodes), read, level, code, score, reach, found)


def _cut(score: Floats) -> Ints:
    edges = np.unique(np.quantile(score, np.arange(1, MAX_LEVELS) / MAX_LEVELS))
    return np.asarray(np.searchsorted(edges, score, side="right"), dtype=np.int64)


def _distinct_columns(table: Any) -> tuple[Any, Ints]:
    """The distinct columns of a table (line, column), in the order in which they occur, and which each column is."""
    packed = np.ascontiguousarray((np.packbits(table, axis=0) if table.dtype == bool else table).T)
    places: dict[bytes, int] = {}
    level = np.array([places.setdefault(line.tobytes(), len(places)) for line in packed], dtype=np.int64)
    return table[:, np.unique(level, return_index=True)[1]], level


def _effect(routed: RoutedForest, nodes: Sequence[int]) -> float:
    """Variance of what the sub-trees give to the rows that reach them, summed over outputs."""
    total = np.zeros((routed.rows, routed.forest.value.shape[1]))
    for node in nodes:
        inside = routed.reached[node]
        values = routed.forest.value[routed.leaves_below(node)]
        total += np.where(inside[:, None], values - values.mean(axis=0), 0.0)
    return float((total**2).mean(axis=0).sum())


def nodes_of(forest: Forest) -> list[int]:
    """All nodes, parents before their children."""
    order, waiting = [], [int(root) for root in forest.roots]
    while waiting:
        node = waiting.pop()
        order.append(node)
        if forest.column[node] >= 0:
            waiting += [int(forest.right[node]), int(forest.left[node])]
    return order


def elements_below(forest: Forest) -> dict[int, frozenset[int]]:
    """The input elements that the splits at and below each node read."""
    found: dict[int, frozenset[int]] = {}
    for node in reversed(nodes_of(forest)):
        if forest.column[node] < 0:
            found[node] = frozenset()
        else:
            own = int(forest.origin[forest.column[node]])
            found[node] = found[int(forest.left[node])] | found[int(forest.right[node])] | {own}
    return found


def _largest_of_one_element(
    forest: Forest, elements: dict[int, frozenset[int]], reached: dict[int, Masks]
) -> Iterator[int]:
    """The sub-trees that read one element alone, and are part of no larger one that does."""
    waiting = [int(root) for root in forest.roots]
    while waiting:
        node = waiting.pop()
        if node not in reached:
            continue
        if len(elements[node]) == 1:
            yield node
            continue
        waiting += [int(forest.right[node]), int(forest.left[node])]


def influence_of(routed: RoutedForest, part: TreePart) -> tuple[Floats, Floats]:
    """Pr[p(X) ≠ p₂(X, p₁(X′))] for each row as X, and for each row as X′, (row,) both, over all other rows.

    Both have the influence of the part as their mean, the share of ordered pairs of different rows for which the
    decision about X changes when the part gets X′ instead of X.
    """
    changed = changes_of(routed, part)
    weights = np.bincount(part.level, minlength=changed.shape[1]) / routed.rows
    other = routed.rows / max(1, routed.rows - 1)
    return other * (changed @ weights), other * changed.mean(axis=0)[part.level]


def changes_of(routed: RoutedForest, part: TreePart) -> Masks:
    """Whether the decision about each row changes where the part has each of its outputs (row, level)."""
    changed = np.stack([decided != routed.decision for decided in decisions_with(routed, part)], axis=1)
    changed[np.arange(routed.rows), part.level] = False  # the part's own output, up to rounding
    return changed


def decisions_with(routed: RoutedForest, part: TreePart) -> Iterator[Ints]:
    """The decisions (row,) where the part has one of its outputs for every row, output by output."""
    if part.turns is not None:
        for turns in part.turns.T:
            yield routed.decide(routed.sums_with_turns(part.nodes, turns))
        return
    values, reach = routed.forest.value[part.leaves], part.reach.astype(np.float64)
    rest = routed.sums - np.einsum("mr,mro->ro", reach, values[:, part.level])
    for level in range(values.shape[1]):
        yield routed.decide(rest + np.einsum("mr,mo->ro", reach, values[:, level]))
