# SPDX-License-Identifier: Apache-2.0
"""All trees that are nearly as good as the best: counted exactly, without listing them, then listed or drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Ints, Masks
from assay.engine.distinct.table import DistinctRows
from assay.engine.distinct.trees import MAX_DEPTH, TOLERANCE, Tree, TreeSearch, wrong

MAX_NODES = 100_000
"""Default limit of the sets of rows that are cut out by pairs of conditions."""

EXACT_COUNTS = 2.0**62
"""Numbers of trees from here on are summed as Python integers."""

Tally = tuple[Ints, "np.ndarray"]
"""Codes of (errors, leaves) in rising order, and the number of trees (code,) of each."""


Way = tuple[int, Masks, Masks, int, int, int]
"""A first split that gives trees of a code: condition, both parts, the code of the trees of each, their number."""


@dataclass(frozen=True, eq=False)
class RashomonTrees:
    """The trees of at most ``depth`` whose share of errors + λ · leaves is at most ``limit``.

    A tree of the class splits only where both sides get a training row, and a leaf decides for the commonest class of
    its training rows (of equal ones the first). With ``splits_agree`` a split whose two sides are leaves of one
    decision counts as a tree of its own; without (the rule of TreeFARMS) it is left out of the set and of the class,
    since the leaf in its place decides the same.
    """

    table: DistinctRows
    penalty: float
    depth: int
    limit: float
    splits_agree: bool = False
    max_nodes: int = MAX_NODES
    _search: TreeSearch = field(init=False, repr=False)
    _tallies: dict[tuple[bytes, int], tuple[float, Tally]] = field(init=False, repr=False, default_factory=dict)
    _sizes: dict[tuple[bytes, int], int] = field(init=False, repr=False, default_factory=dict)
    _known_ways: dict[tuple[bytes, int, int], list[Way]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.depth <= MAX_DEPTH or not np.isfinite(self.limit):
            raise InputError(f"depth={self.depth}, limit={self.limit}; a depth of 0 to {MAX_DEPTH} and a finite limit.")
        object.__setattr__(self, "_search", TreeSearch(self.table, self.penalty, self.max_nodes))

    @classmethod
    def near_best(
        cls,
        table: DistinctRows,
        penalty: float,
        depth: int,
        epsilon: float,
        splits_agree: bool = False,
        max_nodes: int = MAX_NODES,
    ) -> RashomonTrees:
        """The trees within (1 + ``epsilon``) times the best objective."""
        if not (np.isfinite(epsilon) and epsilon >= 0):
            raise InputError(f"epsilon={epsilon}; a number of at least 0 is needed.")
        best = cls(table, penalty, depth, 0.0, splits_agree, max_nodes).best
        return cls(table, penalty, depth, (1 + epsilon) * best, splits_agree, max_nodes)

    @cached_property
    def best(self) -> float:
        """The least objective of the class."""
        return self._least(self._search.all_rows, self.depth) / self.table.total

    @cached_property
    def best_tree(self) -> Tree:
        """One tree of the least objective."""
        return self._search.best(self._search.all_rows, self.depth).tree

    @cached_property
    def count(self) -> int:
        """The exact number of trees in the set."""
        return int(sum(int(one) for one in self._root[1]))

    @cached_property
    def class_size(self) -> int:
        """The exact number of trees of the class."""
        return self._size(self._search.all_rows, self.depth)

    @property
    def ratio(self) -> float:
        """``count`` / ``class_size``: the Rashomon ratio, 0 … 1."""
        return self.count / self.class_size

    @property
    def by_leaves(self) -> dict[int, int]:
        """The number of trees in the set by their number of leaves."""
        found: dict[int, int] = {}
        for code, count in zip(*self._root):
            leaves = int(code) % self._base
            found[leaves] = found.get(leaves, 0) + int(count)
        return dict(sorted(found.items()))

    def objectives(self) -> list[tuple[float, int]]:
        """Each objective that trees of the set have, rising, with their number."""
        found: dict[float, int] = {}
        for code, count in zip(*self._root):
            value = self._cost(int(code)) / self.table.total
            found[value] = found.get(value, 0) + int(count)
        return sorted(found.items())

    def trees(self, most: int = 10_000) -> list[Tree]:
        """Every tree of the set, the best first; ``InputError`` where there are more than ``most``."""
        if self.count > most:
            raise InputError(f"the set has {self.count} trees; at most {most} are listed. Draw some of them instead.")
        codes = sorted((int(code) for code in self._root[0]), key=lambda code: (self._cost(code), code))
        return [tree for code in codes for tree in self._listed(self._search.all_rows, self.depth, code)]

    def draw(self, count: int, generator: np.random.Generator) -> list[Tree]:
        """Trees drawn uniformly from the set, with replacement."""
        if not self.count:
            raise InputError("the set is empty: the limit is below the best objective.")
        return [self._drawn(self._search.all_rows, self.depth, None, generator) for _ in range(count)]

    @property
    def _base(self) -> int:
        return 2**self.depth + 1

    @property
    def _root(self) -> Tally:
        return self._tally(self._search.all_rows, self.depth, self.limit * self.table.total)

    def _least(self, rows: Masks, depth: int) -> float:
        """The least cost of a set of rows; ``InputError`` where the search had to stop before it was proved."""
        found = self._search.best(rows, depth)
        if self._search.nodes >= self.max_nodes:
            raise InputError(
                f"counting trees of depth {self.depth} on {self.table.masks.shape[1]} conditions needs more than "
                f"max_nodes={self.max_nodes} sets of rows. Use fewer conditions, a smaller depth, or more nodes."
            )
        return found.cost

    def _cost(self, code: int) -> float:
        return code // self._base + self._search.leaf_price * (code % self._base)

    def _within(self, codes: Ints, budget: float) -> Masks:
        costs = codes // self._base + self._search.leaf_price * (codes % self._base)
        return np.asarray(costs <= budget + TOLERANCE * max(1.0, abs(budget)))

    def _leaf_code(self, rows: Masks) -> int:
        return round(float(wrong(self._search.counts(rows)))) * self._base + 1

    def _agreeing(self, no: Masks, yes: Masks) -> bool:
        """Whether leaves in the place of both sides decide the same."""
        return bool(self._search.counts(no).argmax() == self._search.counts(yes).argmax())

    def _tally(self, rows: Masks, depth: int, budget: float) -> Tally:
        """The trees of a set of rows within a budget of cost, counted by errors and leaves."""
        key = (np.packbits(rows).tobytes(), depth)
        known = self._tallies.get(key)
        if known is None or known[0] < budget:
            known = (budget, self._counted(rows, depth, budget))
            self._tallies[key] = known
        codes, counts = known[1]
        kept = self._within(codes, budget)
        return codes[kept], counts[kept]

    def _counted(self, rows: Masks, depth: int, budget: float) -> Tally:
        if depth == 2 and self.table.masks.shape[1]:
            return self._counted_by_pairs(rows, budget)
        leaf = np.array([self._leaf_code(rows)])
        found = [(leaf, np.ones(1, dtype=np.int64))]
        for condition in range(self.table.masks.shape[1] if depth else 0):
            parts = self._search.divides(rows, condition)
            if parts is not None:
                found.append(self._convolved(parts, depth, budget))
        return _merged(
            [(codes[kept], counts[kept]) for codes, counts in found for kept in [self._within(codes, budget)]]
        )

    def _sides(self, parts: tuple[Masks, Masks], depth: int, budget: float) -> tuple[Tally, Tally] | None:
        """The trees of both sides of a split, each within what the best of the other leaves of the budget."""
        least = [self._least(part, depth - 1) for part in parts]
        if sum(least) > budget + TOLERANCE * max(1.0, abs(budget)):
            return None
        no, yes = parts
        return self._tally(no, depth - 1, budget - least[1]), self._tally(yes, depth - 1, budget - least[0])

    def _convolved(self, parts: tuple[Masks, Masks], depth: int, budget: float) -> Tally:
        """The trees that split a set of rows into these parts."""
        sides = self._sides(parts, depth, budget)
        if sides is None:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        (codes, counts), (others, more) = sides
        exact = float(counts.astype(float).sum()) * float(more.astype(float).sum()) < EXACT_COUNTS
        if not exact:
            counts, more = counts.astype(object), more.astype(object)
        total, number = np.add.outer(codes, others).ravel(), np.multiply.outer(counts, more).ravel()
        kept = self._within(total, budget)
        codes, counts = _merged([(total[kept], number[kept])])
        if not self.splits_agree and self._agreeing(*parts):
            counts = np.where(codes == self._leaf_code(parts[0]) + self._leaf_code(parts[1]), counts - 1, counts)
        return codes[counts > 0], counts[counts > 0]

    def _counted_by_pairs(self, rows: Masks, budget: float) -> Tally:
        """Trees of depth 2, all at once from the counts of pairs of conditions."""
        pairs, base = self._search.pair_counts(rows), self._base
        sides = []
        for counts, no, yes in pairs.sides:
            leaf, split = wrong(counts) * base + 1, (wrong(no) + wrong(yes)) * base + 2
            valid = (no.sum(axis=-1) > 0) & (yes.sum(axis=-1) > 0)
            if not self.splits_agree:
                valid &= no.argmax(axis=-1) != yes.argmax(axis=-1)
            codes = np.concatenate([leaf[:, None], split], axis=1)
            sides.append((codes, np.concatenate([np.ones((len(leaf), 1), dtype=bool), valid], axis=1)))
        (codes, valid), (others, allowed) = sides
        possible = valid[:, :, None] & allowed[:, None, :]
        both = [counts.sum(axis=-1) > 0 for counts, _, _ in pairs.sides]
        possible &= (both[0] & both[1])[:, None, None]
        if not self.splits_agree:
            first, second = (counts.argmax(axis=-1) for counts, _, _ in pairs.sides)
            possible[:, 0, 0] &= first != second
        total = (codes[:, :, None] + others[:, None, :])[possible].astype(np.int64)
        total = np.append(total, self._leaf_code(rows))
        return _merged([(one, np.ones(len(one), dtype=np.int64)) for one in [total[self._within(total, budget)]]])

    def _size(self, rows: Masks, depth: int) -> int:
        """The number of trees of the class for a set of rows."""
        if not depth:
            return 1
        key = (np.packbits(rows).tobytes(), depth)
        if key not in self._sizes:
            self._sizes[key] = self._size_by_pairs(rows) if depth == 2 else self._size_by_parts(rows, depth)
        return self._sizes[key]

    def _size_by_parts(self, rows: Masks, depth: int) -> int:
        found = 1
        for condition in range(self.table.masks.shape[1]):
            parts = self._search.divides(rows, condition)
            if parts is not None:
                agree = not self.splits_agree and self._agreeing(*parts)
                found += self._size(parts[0], depth - 1) * self._size(parts[1], depth - 1) - agree
        return found

    def _size_by_pairs(self, rows: Masks) -> int:
        if not self.table.masks.shape[1]:
            return 1
        number, leaves, filled = [], [], []
        for counts, no, yes in self._search.pair_counts(rows).sides:
            valid = (no.sum(axis=-1) > 0) & (yes.sum(axis=-1) > 0)
            if not self.splits_agree:
                valid &= no.argmax(axis=-1) != yes.argmax(axis=-1)
            number.append(1 + valid.sum(axis=1))
            leaves.append(counts.argmax(axis=-1))
            filled.append(counts.sum(axis=-1) > 0)
        agree = np.zeros(len(leaves[0]), dtype=bool) if self.splits_agree else leaves[0] == leaves[1]
        return 1 + int(((number[0] * number[1] - agree) * (filled[0] & filled[1])).sum())

    def _ways(self, rows: Masks, depth: int, code: int) -> list[Way]:
        """Each first split and pair of codes that gives trees of a code."""
        key = (np.packbits(rows).tobytes(), depth, code)
        if key not in self._known_ways:
            self._known_ways[key] = list(self._found_ways(rows, depth, code))
        return self._known_ways[key]

    def _found_ways(self, rows: Masks, depth: int, code: int) -> Iterator[Way]:
        for condition in range(self.table.masks.shape[1] if depth and code % self._base > 1 else 0):
            parts = self._search.divides(rows, condition)
            sides = None if parts is None else self._sides(parts, depth, self._cost(code))
            if parts is None or sides is None:
                continue
            others = {int(one): int(count) for one, count in zip(*sides[1])}
            agree = not self.splits_agree and self._agreeing(*parts)
            leaves = tuple(map(self._leaf_code, parts))
            for one, count in zip(*sides[0]):
                number = int(count) * others.get(code - int(one), 0)
                number -= agree and (int(one), code - int(one)) == leaves
                if number:
                    yield condition, parts[0], parts[1], int(one), code - int(one), number

    def _listed(self, rows: Masks, depth: int, code: int) -> list[Tree]:
        """Every tree of a set of rows with this code."""
        found: list[Tree] = [int(self._search.counts(rows).argmax())] if code == self._leaf_code(rows) else []
        for condition, no, yes, first, second, _ in self._ways(rows, depth, code):
            others = self._listed(yes, depth - 1, second)
            found += [(condition, one, other) for one in self._listed(no, depth - 1, first) for other in others]
        return found

    def _drawn(self, rows: Masks, depth: int, code: int | None, generator: np.random.Generator) -> Tree:
        """A tree of a set of rows, uniform among those of a code, or among all of the set for the first call."""
        if code is None:
            codes, counts = self._root
            code = int(codes[_pick([int(one) for one in counts], generator)])
        ways = self._ways(rows, depth, code)
        numbers = [int(code == self._leaf_code(rows)), *(way[-1] for way in ways)]
        picked = _pick(numbers, generator)
        if not picked:
            return int(self._search.counts(rows).argmax())
        condition, no, yes, first, second, _ = ways[picked - 1]
        return (
            condition,
            self._drawn(no, depth - 1, first, generator),
            self._drawn(yes, depth - 1, second, generator),
        )


def _pick(numbers: list[int], generator: np.random.Generator) -> int:
    """A position drawn in proportion to exact numbers, however large."""
    total = sum(numbers)
    bits = total.bit_length()
    while True:
        drawn = int.from_bytes(generator.bytes((bits + 7) // 8), "little") >> (-bits % 8)
        if drawn < total:
            break
    for place, number in enumerate(numbers):
        drawn -= number
        if drawn < 0:
            return place
    raise AssertionError("a number below the total falls in one of its parts")


def _merged(parts: list[Tally]) -> Tally:
    """Counts of equal codes added up; as Python integers where they could exceed 2⁶²."""
    codes = np.concatenate([one for one, _ in parts])
    counts = [count for _, count in parts]
    large = any(one.dtype == object for one in counts) or sum(float(one.sum()) for one in counts) >= EXACT_COUNTS
    numbers = np.concatenate([one.astype(object) if large else one for one in counts])
    found, which = np.unique(codes, return_inverse=True)
    total = np.zeros(len(found), dtype=object if large else np.int64)
    np.add.at(total, which.reshape(-1), numbers)
    return found.astype(np.int64), total
