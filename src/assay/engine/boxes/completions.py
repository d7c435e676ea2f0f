# SPDX-License-Identifier: Apache-2.0
"""The cells of all elements of a row that it may be completed with, and the leaves of a forest over them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from assay.basics.types import Floats, Ints, Masks
from assay.engine.boxes.cells import Cells, find_cells
from assay.engine.feature_sets.domains import Domain
from assay.model.forests.forest import Forest
from assay.nouns.inputs.rows import Rows


@dataclass(frozen=True, eq=False)
class LeafTable:
    """The leaves of all trees as products of sets of cells, tree by tree.

    Every element has a list of cells. Cells of numbers are intervals between thresholds, and the leaf is reached from
    ``first`` to ``last`` (leaf, element). Of the other elements (``listed`` (element,)) each cell is one value, and a
    leaf may be reached at any of them: ``allowed`` (leaf, place) over the lists one after another, which begin at
    ``offset`` (element,); first and last are the outermost of them. ``tree`` (leaf,) numbers the leaf's tree, ``node``
    (leaf,) is its place in the forest. ``values`` holds the listed values of each element.
    """

    cells: Cells
    first: Ints
    last: Ints
    allowed: Masks
    offset: Ints
    listed: Masks
    tree: Ints
    node: Ints
    values: tuple[Floats, ...]

    def own_cells(self, x: Floats) -> Ints:
        """The cell (element,) of each element of one row."""
        own = self.cells.of_values(x[None])[0].astype(np.int64)
        for element in np.flatnonzero(self.listed).tolist():
            own[element] = self._place(element, x[element], int(own[element]))
        return own

    def domain_cells(self, domain: Domain, element: int) -> tuple[Ints, Floats]:
        """The cells that an element may lie in, ascending, and a value in each of them that is near the row's."""
        if self.listed[element] and not self.cells.movable[element]:
            values = domain.listed_values(element, self.values[element])
            return np.array([self._place(element, one, 0) for one in values], dtype=np.int64), values
        ends = self.cells.ends[element]
        low = np.concatenate([[-np.inf], np.nextafter(ends, np.inf)])
        values = domain.nearest_in(element, low, np.append(ends, np.inf))
        found = np.flatnonzero(~np.isnan(values))
        values = values[found]
        if self.listed[element]:  # NaN is the first cell
            gap = bool(domain.gaps[element]) or bool(np.isnan(domain.x[element]))
            return np.append([0] * gap, found + 1).astype(np.int64), np.append([np.nan] * gap, values)
        return found, values

    def _place(self, element: int, value: float, cell: int) -> int:
        """The position of a value among the listed ones of an element; of a number that of its cell."""
        if self.cells.movable[element]:
            return 0 if np.isnan(value) else cell + 1
        values = self.values[element]
        return int(np.flatnonzero(np.isnan(values) if np.isnan(value) else values == value)[0])


def leaf_table(forest: Forest, rows: Rows, coded: Masks, known: tuple[Floats, ...]) -> LeafTable:
    """The leaves over all elements; ``known`` has all values that an element has in any row.

    An element is listed if it is coded, if its cells are no intervals, or if NaN is among its values.
    """
    cells = find_cells(forest, rows, coded)
    has_gap = np.array([bool(np.isnan(known[e]).any()) for e in range(len(cells.ends))])
    listed = ~cells.movable | has_gap
    values = tuple(_representatives(cells, e, known[e]) if listed[e] else np.empty(0) for e in range(len(cells.ends)))
    sizes = np.array([len(one) for one in values], dtype=np.int64)
    offset = np.cumsum(sizes) - sizes
    split = forest.column >= 0
    element = np.where(split, forest.origin[np.where(split, forest.column, 0)], -1)
    sides = _listed_sides(forest, rows, element, listed, values, int(sizes.max(initial=1)))
    counts = np.array([len(one) for one in cells.ends], dtype=np.int32)
    at, tree = forest.roots, np.arange(len(forest.roots))
    first = np.zeros((len(at), len(listed)), dtype=np.int32)
    last = np.broadcast_to(counts, first.shape).copy()
    allowed = np.ones((len(at), int(sizes.sum())), dtype=bool)
    found: list[tuple[Ints, Ints, Ints, Ints, Masks]] = []
    while len(at):
        leaf = ~split[at]
        found.append((tree[leaf], at[leaf], first[leaf], last[leaf], allowed[leaf]))
        at, tree, first, last, allowed = at[~leaf], tree[~leaf], first[~leaf], last[~leaf], allowed[~leaf]
        steps = [
            _descend(forest, cells, sides, (offset, sizes, listed), (at, tree, first, last, allowed), element, is_left)
            for is_left in (True, False)
        ]
        at, tree, first, last, allowed = (np.concatenate(pair) for pair in zip(*steps))
    trees, nodes, firsts, lasts, alloweds = (np.concatenate(part) for part in zip(*found))
    order = np.argsort(trees, kind="stable")
    firsts, lasts, alloweds = firsts[order], lasts[order], alloweds[order]
    for one in np.flatnonzero(listed).tolist():
        own = alloweds[:, offset[one] : offset[one] + sizes[one]]
        firsts[:, one], lasts[:, one] = own.argmax(axis=1), sizes[one] - 1 - own[:, ::-1].argmax(axis=1)
    return LeafTable(cells, firsts, lasts, alloweds, offset, listed, trees[order], nodes[order], values)


def _representatives(cells: Cells, element: int, values: Floats) -> Floats:
    """All values that are listed, ascending, NaN first; of numbers with gaps NaN and the last value of each cell."""
    if cells.movable[element]:
        ends = cells.ends[element]
        return np.concatenate([[np.nan], ends, np.nextafter(ends[-1:], np.inf) if len(ends) else [0.0]])
    return np.concatenate([values[np.isnan(values)][:1], np.unique(values[~np.isnan(values)])])


def _listed_sides(
    forest: Forest, rows: Rows, element: Ints, listed: Masks, values: tuple[Floats, ...], widest: int
) -> Masks:
    """Whether each listed value of its element goes left at a node: (node, value)."""
    sides = np.zeros((len(element), widest), dtype=bool)
    template = rows.take(np.array([0]))
    for one in np.flatnonzero(listed).tolist():
        nodes = np.flatnonzero(element == one)
        if not len(nodes):
            continue
        copies = template.take(np.zeros(len(values[one]), dtype=np.int64))
        x = np.array(copies.x, dtype=np.float64)
        x.reshape(len(x), -1)[:, one] = values[one]
        matrix = forest.matrix(replace(copies, x=x))
        here = {name: getattr(forest, name)[nodes] for name in ("column", "threshold", "missing_left", "levels")}
        sides[nodes, : len(values[one])] = replace(forest, **here).goes_left(matrix)
    return sides


def _descend(
    forest: Forest,
    cells: Cells,
    sides: Masks,
    lists: tuple[Ints, Ints, Masks],
    state: tuple[Ints, Ints, Ints, Ints, Masks],
    element: Ints,
    is_left: bool,
) -> tuple[Ints, Ints, Ints, Ints, Masks]:
    """What reaches one child of each node."""
    offset, sizes, listed = lists
    at, tree, first, last, allowed = state[0], state[1], state[2].copy(), state[3].copy(), state[4].copy()
    rows, here = np.arange(len(at)), element[at]
    by_list = listed[here]
    plain = np.flatnonzero(~by_list)
    cut = cells.last_left[at[plain]]
    if is_left:
        last[plain, here[plain]] = np.minimum(last[plain, here[plain]], cut)
    else:
        first[plain, here[plain]] = np.maximum(first[plain, here[plain]], cut + 1)
    reached = np.ones(len(at), dtype=bool)
    reached[plain] = first[plain, here[plain]] <= last[plain, here[plain]]
    for one in np.unique(here[by_list]).tolist():
        mine = np.flatnonzero(here == one)
        part = slice(offset[one], offset[one] + sizes[one])
        kept = allowed[mine, part] & (sides[at[mine], : sizes[one]] == is_left)
        allowed[mine, part] = kept
        reached[mine] = kept.any(axis=1)
    child = (forest.left if is_left else forest.right)[at]
    return child[reached], tree[rows[reached]], first[reached], last[reached], allowed[reached]
