# SPDX-License-Identifier: Apache-2.0
"""Completions of a row by which a forest decides for another class, for any set of free features."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from assay.basics.types import Floats, Ints, Masks
from assay.engine.boxes.completions import LeafTable
from assay.engine.boxes.decisions import Rival
from assay.engine.boxes.flip_search import FreeTrees, find_flip
from assay.engine.boxes.nearest_change import ROUNDING
from assay.engine.feature_sets.completion_search import Decision
from assay.engine.feature_sets.domains import Domain
from assay.model.forests.forest import Forest


@dataclass(eq=False)
class TreeCompletions:
    """The completions of one row; what a search found is where the next ones begin."""

    forest: Forest
    table: LeafTable
    rivals: list[Rival]
    domain: Domain
    part: Ints
    limits: list[tuple[Floats, float]] = field(init=False)

    def __post_init__(self) -> None:
        table, x = self.table, self.domain.x
        own = table.own_cells(x)
        found = [table.domain_cells(self.domain, element) for element in range(len(x))]
        self.values = [values for _, values in found]
        self.own = np.array([int(np.flatnonzero(cells == one)[0]) for (cells, _), one in zip(found, own)])
        self.first, self.last = table.first.copy(), table.last.copy()
        self.inside: dict[int, Masks] = {}
        for element, (cells, _) in enumerate(found):
            if table.listed[element]:
                self.inside[element] = table.allowed[:, table.offset[element] + cells]
                mine = self.inside[element]
                self.first[:, element] = mine.argmax(axis=1)
                self.last[:, element] = len(cells) - 1 - mine[:, ::-1].argmax(axis=1)
            else:
                self.first[:, element] = np.searchsorted(cells, table.first[:, element], side="left")
                self.last[:, element] = np.searchsorted(cells, table.last[:, element], side="right") - 1
        self.meets = self.first <= self.last
        self.has_own = (self.first <= self.own) & (self.last >= self.own)
        for element, mine in self.inside.items():
            self.meets[:, element] = mine.any(axis=1)
            self.has_own[:, element] = mine[:, self.own[element]]
        for one in range(len(x)):  # the row's own value stands for its cell
            self.values[one] = self.values[one].copy()
            self.values[one][self.own[one]] = x[one]
        self.found: list[Ints] = []
        self.limits = [_limit(self.forest, table, rival) for rival in self.rivals]

    @property
    def adds_up(self) -> bool:
        """Trees interact."""
        return False

    @property
    def is_tied(self) -> bool:
        """Whether the row's own sums are at the limit of another class, up to rounding."""
        leaves = self.has_own.all(axis=1)
        return any(float(worth[leaves].sum()) >= limit for worth, limit in self.limits)

    def decide(self, free: Masks, max_nodes: int) -> Decision:
        """Whether a completion of the features ``free`` (part,) has another class; ``max_nodes`` over all classes."""
        elements = np.flatnonzero(free[self.part] & (self.part >= 0))
        elements = elements[np.array([len(self.values[one]) > 1 for one in elements.tolist()], dtype=bool)]
        if not len(elements):
            return Decision("stays", None, 0)
        reached = np.where(np.isin(np.arange(len(self.own)), elements), self.meets, self.has_own).all(axis=1)
        leaves = np.flatnonzero(reached)
        spent, is_open = 0, False
        for worth, limit in self.limits:
            trees = self._trees(elements, leaves, worth)
            starts = [one[elements] for one in self.found[-4:]]
            if spent >= max_nodes:
                is_open = True
                break
            answer = find_flip(trees, limit, starts, max_nodes - spent)
            spent += answer.boxes
            if answer.cells is not None:
                cells = self.own.copy()
                cells[elements] = answer.cells
                self.found.append(cells)
                return Decision("changes", self._values(cells), spent)
            is_open = is_open or answer.verdict == "open"
        return Decision("open" if is_open else "stays", None, spent)

    def _values(self, cells: Ints) -> Floats:
        return np.array([values[cell] for values, cell in zip(self.values, cells.tolist())])

    def importance(self) -> Floats:
        """How far each feature alone can move the bound of the best other class (part,), in units of the sums."""
        parts = int(self.part.max()) + 1
        found = np.full(parts, -np.inf)
        for part in range(parts):
            elements = np.flatnonzero(self.part == part)
            reached = np.where(np.isin(np.arange(len(self.own)), elements), self.meets, self.has_own).all(axis=1)
            starts = np.searchsorted(self.table.tree[reached], np.arange(len(self.forest.roots)))
            for worth, limit in self.limits:
                found[part] = max(found[part], float(np.maximum.reduceat(worth[reached], starts).sum()) - limit)
        return found

    def _trees(self, elements: Ints, leaves: Ints, worth: Floats) -> FreeTrees:
        listed = self.table.listed[elements]
        tables = [
            self.inside[e][leaves] if is_listed else np.zeros((len(leaves), 0), dtype=bool)
            for e, is_listed in zip(elements.tolist(), listed)
        ]
        widths = np.array([one.shape[1] for one in tables], dtype=np.int64)
        inside = np.concatenate(tables, axis=1) if tables else np.zeros((len(leaves), 0), dtype=bool)
        sizes = np.array([len(self.values[e]) for e in elements.tolist()], dtype=np.int64)
        where = np.ix_(leaves, elements)
        first, last = self.first[where].astype(np.int64), self.last[where].astype(np.int64)
        offset = np.cumsum(widths) - widths
        tree = self.table.tree[leaves]
        return FreeTrees(first, last, inside, listed, offset, sizes, tree, worth[leaves], self.own[elements])


def _limit(forest: Forest, table: LeafTable, rival: Rival) -> tuple[Floats, float]:
    """What each leaf adds to a class, and the sum from which on it is decided for; a tie counts as the model does."""
    worth = forest.value[table.node] @ rival.weights
    starts = np.searchsorted(table.tree, np.arange(len(forest.roots)))
    rounding = ROUNDING * (1 + abs(rival.limit) + float(np.maximum.reduceat(np.abs(worth), starts).sum()))
    return worth, rival.limit - float(forest.base @ rival.weights) + (-rounding if rival.ties else rounding)
