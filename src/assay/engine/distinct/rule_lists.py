# SPDX-License-Identifier: Apache-2.0
"""The best rule list of a binary table, by best-first search over prefixes, with a lower bound on all others."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import combinations, count
from typing import NamedTuple

import numpy as np

from assay.basics.types import Floats, Masks
from assay.engine.distinct.table import DistinctRows

ROUNDING = 1e-12
"""Objectives this close are equal."""


class Literal(NamedTuple):
    """A condition of the table, by its column, or its opposite."""

    condition: int
    holds: bool


@dataclass(frozen=True, eq=False)
class Antecedents:
    """Conjunctions of literals, and the distinct rows that satisfy each (antecedent, row)."""

    literals: tuple[tuple[Literal, ...], ...]
    masks: Masks


@dataclass(frozen=True)
class ListSearch:
    """The best rule list found: positions of its antecedents, in order, and what the search proved.

    ``objective`` = misclassified share + λ · rules. No list of these antecedents has a lower one than ``lower_bound``;
    both are equal when the search has ended (``ended``).
    """

    rules: tuple[int, ...]
    objective: float
    lower_bound: float
    nodes: int
    ended: bool


def conjunctions(table: DistinctRows, length: int, least: float) -> Antecedents:
    """Conjunctions of up to ``length`` literals that hold for the share ``least`` of the original rows or more.

    Those that hold for all rows are left out, and of several that hold for the same rows only the first and shortest is
    kept: each list has an equal one without them.
    """
    weight = table.counts.sum(axis=1)
    single = [Literal(j, holds) for j in range(table.masks.shape[1]) for holds in (True, False)]
    literals: list[tuple[Literal, ...]] = []
    masks: list[Masks] = []
    seen: set[bytes] = set()
    for size in range(1, length + 1):
        for chosen in combinations(single, size):
            if len({one.condition for one in chosen}) < size:
                continue
            mask = np.ones(len(table.masks), dtype=bool)
            for one in chosen:
                mask &= table.masks[:, one.condition] == one.holds
            share, key = float(weight @ mask) / table.total, mask.tobytes()
            if share >= least and share > 0 and not mask.all() and key not in seen:
                seen.add(key)
                literals.append(chosen)
                masks.append(mask)
    return Antecedents(tuple(literals), np.stack(masks) if masks else np.zeros((0, len(table.masks)), dtype=bool))


WORK, MOST_NODES = 1e10, 20_000
"""Multiplications that a search may take, and prefixes that it expands at most, unless asked."""

MOST_OPEN = 2_000_000
"""Prefixes that wait at most (about a gigabyte); a search that has more stops."""


def affordable_nodes(table: DistinctRows, antecedents: Antecedents) -> int:
    """How many prefixes a search expands unless asked: fewer for large tables, so that it ends in about 10 seconds."""
    size = max(1, antecedents.masks.size * (table.counts.shape[1] + 1))
    return int(np.clip(WORK / size, 100, MOST_NODES))


def best_rule_list(table: DistinctRows, antecedents: Antecedents, penalty: float, nodes: int) -> ListSearch:
    """The rule list with the lowest misclassified share + ``penalty`` · rules; stops after ``nodes`` expanded prefixes.

    Prefixes are expanded in the order of their bound: errors of the prefix, plus its rules, plus the errors that no
    model avoids among the rows left (equal rows of different classes). What follows a prefix depends on the rows left
    alone, so only the cheapest prefix to a set of rows is kept. Each rule of an optimal list classifies at least the
    share ``penalty`` of all rows correctly, or the list without it is better. Angelino et al. (2018) describe the
    bounds.
    """
    search = _Search(table, antecedents, penalty)
    search.dive()
    while search.queue and search.expanded < nodes and len(search.queue) < MOST_OPEN:
        if not search.expand():
            break
    open_bound = search.queue[0][0] if search.queue else np.inf
    ended = open_bound >= search.best - ROUNDING
    return ListSearch(
        search.rules, search.best, search.best if ended else float(open_bound), search.expanded, bool(ended)
    )


class _Search:
    """The state of one search; errors are whole numbers of original rows, so sums of them are exact."""

    def __init__(self, table: DistinctRows, antecedents: Antecedents, penalty: float) -> None:
        exact = np.float32 if table.total < 2**24 else np.float64
        self.masks = antecedents.masks
        self.weights = antecedents.masks.astype(exact)
        self.columns = np.concatenate([table.counts, table.minority[:, None]], axis=1).astype(exact)
        self.total, self.penalty = table.total, penalty
        self.order, self.expanded = count(), 0
        self.rows = len(table.masks)
        self.outside = np.packbits(~antecedents.masks, axis=1)
        start = np.packbits(np.ones(self.rows, dtype=bool)).tobytes()
        self.rules: tuple[int, ...] = ()
        self.best = self._default_error(self.columns.sum(axis=0, dtype=np.float64)) / self.total
        self.cheapest = {start: 0.0}
        first = float(table.minority.sum()) / self.total + penalty
        self.queue: list[tuple[float, int, float, tuple[int, ...], bytes]] = []
        if first < self.best - ROUNDING:
            heappush(self.queue, (first, next(self.order), 0.0, (), start))

    @staticmethod
    def _default_error(sums: Floats) -> float:
        return float(sums[:-1].sum() - sums[:-1].max())

    def dive(self) -> None:
        """A first list: add the rule that lowers the objective most, until none does; expands nothing."""
        left, errors, value = np.ones(len(self.columns), dtype=bool), 0.0, self.best
        prefix: tuple[int, ...] = ()
        while True:
            wrong, objective, _, _ = self._extensions(left, errors, len(prefix))
            if not len(objective) or objective.min() >= value - ROUNDING:
                break
            chosen = int(objective.argmin())
            value, errors, prefix = float(objective[chosen]), float(wrong[chosen]), (*prefix, chosen)
            left = left & ~self.masks[chosen]
        if value < self.best - ROUNDING:
            self.best, self.rules = value, prefix

    def _extensions(self, left: Masks, errors: float, length: int) -> tuple[Floats, Floats, Floats, Masks]:
        """For each rule added to a prefix: errors, objective, bound of longer lists, whether it may be in the best."""
        inside = self.columns * left[:, None]
        caught = (self.weights @ inside).astype(np.float64)
        rest = inside.sum(axis=0, dtype=np.float64) - caught
        right = caught[:, :-1].max(axis=1)
        wrong = errors + caught[:, :-1].sum(axis=1) - right
        rules = self.penalty * (length + 1)
        useful = right >= self.penalty * self.total - 1e-6
        objective = (wrong + rest[:, :-1].sum(axis=1) - rest[:, :-1].max(axis=1)) / self.total + rules
        bounds = (wrong + rest[:, -1]) / self.total + rules + self.penalty
        return wrong, np.where(useful, objective, np.inf), bounds, useful

    def expand(self) -> bool:
        """Add all rules to the prefix with the lowest bound; ``False`` where no prefix can lead to a better list."""
        bound, _, errors, prefix, key = heappop(self.queue)
        if bound >= self.best - ROUNDING:
            heappush(self.queue, (bound, next(self.order), errors, prefix, key))
            return False
        if self.cheapest[key] < errors / self.total + self.penalty * len(prefix) - ROUNDING:
            return True
        self.expanded += 1
        packed = np.frombuffer(key, dtype=np.uint8)
        left = np.unpackbits(packed, count=self.rows).astype(bool)
        wrong, objective, bounds, useful = self._extensions(left, errors, len(prefix))
        if len(objective) and objective.min() < self.best - ROUNDING:
            chosen = int(objective.argmin())
            self.best, self.rules = float(objective[chosen]), (*prefix, chosen)
        rules = self.penalty * (len(prefix) + 1)
        kept = np.flatnonzero(useful & (bounds < self.best - ROUNDING))
        costs = wrong[kept] / self.total + rules
        after = packed & self.outside[kept]
        for position, chosen in enumerate(kept.tolist()):
            key, cost = after[position].tobytes(), float(costs[position])
            if cost < self.cheapest.get(key, np.inf) - ROUNDING:
                self.cheapest[key] = cost
                entry = (float(bounds[chosen]), next(self.order), float(wrong[chosen]), (*prefix, chosen), key)
                heappush(self.queue, entry)
        return True
