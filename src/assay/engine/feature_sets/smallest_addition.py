# SPDX-License-Identifier: Apache-2.0
"""A search for the fewest features whose addition to a set changes the class that is decided for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks
from assay.engine.feature_sets.masked_decisions import MaskedDecisions
from assay.engine.feature_sets.supersets import count_supersets, draw_supersets, enumerate_supersets


@dataclass(frozen=True, eq=False)
class SmallestAddition:
    """The smallest number of added features (row,) with another class that was found, NaN where none was.

    ``exact`` (row,) says that every set was evaluated: the number is then the smallest there is, and NaN means none.
    ``added`` (row, part) is the set found.
    """

    number: Floats
    exact: Masks
    added: Masks


def smallest_addition(
    decisions: MaskedDecisions,
    rows: Ints,
    chosen: Masks,
    free: Masks,
    labels: Ints,
    *,
    budget: int,
    seed: Seed,
    ids: Sequence[str],
) -> SmallestAddition:
    """Search for the fewest ``free`` features (row, part) whose addition to ``chosen`` changes the class ``labels``.

    ``rows`` (row,) are the rows of the decisions' game that are searched. Each evaluates at most ``budget`` sets. Where
    these are all sets, all are evaluated. Else half of them add a random 1, 2, 4, … features, up to all; the other half
    searches greedily: each step adds the feature that leaves the smallest margin, of all, or of a random choice that is
    half of what the greedy search may evaluate. An attack: a smaller set than found may exist.
    """
    if budget < 2:
        raise InputError(f"a search needs a budget of at least 2 sets a row; got {budget}.")
    counts = free.sum(axis=1)
    exact = np.array([count_supersets(int(n), int(n)) - 1 <= budget for n in counts])
    streams = [seed.child("smallest addition", name) for name in ids]
    sets = [
        _every_set(one, own) if whole else _random_sets(one, own, budget // 2, stream)
        for one, own, whole, stream in zip(chosen, free, exact, streams)
    ]
    number, added = _smallest_changing(decisions, rows, chosen, sets, labels)
    if not exact.all():
        greedy = _Greedy(decisions, rows, chosen, free, labels, budget - budget // 2, streams)
        greedy.improve(np.flatnonzero(~exact), number, added)
    return SmallestAddition(number, exact, added)


def _every_set(chosen: Masks, free: Masks) -> Masks:
    """All sets (set, part) that add at least one feature, those with the fewest first."""
    return enumerate_supersets(chosen, free, int(free.sum()))[1:]


def _random_sets(chosen: Masks, free: Masks, budget: int, seed: Seed) -> Masks:
    """Random sets (set, part) that add 1, 2, 4, … features, and the one that adds all."""
    most = int(free.sum())
    sizes = [2**power for power in range(most.bit_length()) if 2**power < most]
    draws = (budget - 1) // max(1, len(sizes))
    if draws == 0:  # too few for all sizes: spread over them
        sizes, draws = sizes[:: -(-len(sizes) // max(1, budget - 1))][: budget - 1], 1
    found = [draw_supersets(chosen, free, n, draws, seed.child("random", n), "shell") for n in sizes]
    return np.concatenate([*found, (chosen | free)[None]])


def _smallest_changing(
    decisions: MaskedDecisions, rows: Ints, chosen: Masks, sets: Sequence[Masks], labels: Ints
) -> tuple[Floats, Masks]:
    """The smallest number of added features (row,) among the ``sets`` of each row that change its class; the set."""
    which = np.repeat(np.arange(len(chosen)), list(map(len, sets)))
    masks = np.concatenate(sets)
    number, added = np.full(len(chosen), np.nan), np.zeros_like(chosen)
    if not len(which):
        return number, added
    changed = decisions.classes(rows[which], masks) != labels[which]
    extra = masks & ~chosen[which]
    size = np.where(changed, extra.sum(axis=1), np.inf)
    for row in np.unique(which[changed]):
        own = np.flatnonzero(which == row)
        best = own[size[own].argmin()]
        number[row], added[row] = size[best], extra[best]
    return number, added


@dataclass(frozen=True, eq=False)
class _Greedy:
    """A greedy search of each row, with at most ``budget`` sets."""

    decisions: MaskedDecisions
    rows: Ints
    chosen: Masks
    free: Masks
    labels: Ints
    budget: int
    streams: Sequence[Seed]

    def improve(self, open_rows: Ints, number: Floats, added: Masks) -> None:
        """Replace ``number`` and ``added`` of the rows where a smaller set is found."""
        own, spent = np.zeros_like(self.chosen), np.zeros(len(self.chosen), dtype=np.int64)
        generators = {row: self.streams[row].child("greedy").generator() for row in open_rows.tolist()}
        while len(open_rows):
            tried = [self._candidates(row, own[row], int(spent[row]), generators[row]) for row in open_rows.tolist()]
            which = np.repeat(open_rows, list(map(len, tried)))
            if not len(which):
                return
            parts = np.concatenate(tried)
            keep = (self.chosen | own)[which]
            keep[np.arange(len(which)), parts] = True
            margin, other = self.decisions.margins(self.rows[which], keep, self.labels[which])
            order = np.lexsort((margin, ~other, which))  # a changed class comes first
            open_rows, starts, counts = np.unique(which[order], return_index=True, return_counts=True)
            best = order[starts]
            own[open_rows, parts[best]] = True
            spent[open_rows] += counts
            hit = open_rows[other[best]]
            number[hit], added[hit] = own[hit].sum(axis=1), own[hit]
            known = np.where(np.isnan(number), np.inf, number)[open_rows]
            goes_on = ~other[best] & (spent[open_rows] < self.budget) & (own[open_rows].sum(axis=1) + 1 < known)
            open_rows = open_rows[goes_on]

    def _candidates(self, row: int, own: Masks, spent: int, generator: np.random.Generator) -> Ints:
        """Features that a row tries next: all that are left, or as many as half of its budget, at random."""
        left = np.flatnonzero(self.free[row] & ~own)
        count = min(max(1, self.budget // 2), self.budget - spent)
        return np.asarray(generator.permutation(left)[:count], dtype=np.int64)
