# SPDX-License-Identifier: Apache-2.0
"""Black-box search for few changes of a row that succeed: by importance, then with a beam, in a number of queries."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints, Masks

Change = tuple[int, int]
"""A place that changes, and the number of the option that it changes to."""

Changes = tuple[Change, ...]
"""The changes of a row, by place; none where the row stays."""

Answers = tuple[Floats, Masks]
"""Margins (line,) and successes (line,) of the changes requests."""

Evaluate = Callable[[Ints, Sequence[Changes]], Answers]
"""Margins and successes of changes; the row of each is given first."""

Requests = Generator[list[Changes], Answers, None]


@dataclass(frozen=True, eq=False)
class Choices:
    """What a row may change. ``costs`` holds for each place the cost of each of its options, all above 0.

    ``probes`` are changes that tell how important each place is (place,), such as a word that is deleted, with the
    option −1 where it is none of the options; without them the best option of a place tells. ``start`` is the margin of
    the row. Costs are summed; with ``worst`` the largest counts.
    """

    costs: tuple[Floats, ...]
    start: float
    probes: tuple[Changes, ...] = ()
    worst: bool = False

    def cost(self, changes: Changes) -> float:
        """What the changes cost together."""
        costs = [float(self.costs[place][option]) for place, option in changes]
        return max(costs, default=0.0) if self.worst else sum(costs)


@dataclass(frozen=True)
class Limits:
    """At most so many ``places`` change, at a sum of costs of at most ``cost``, found by at most ``queries`` a row.

    ``beam`` is the number of candidates that are kept at each step.
    """

    places: int
    cost: float
    queries: int
    beam: int

    def check(self) -> None:
        """``InputError`` for a number below 1, and for a cost that is not above 0."""
        if min(self.places, self.queries, self.beam) < 1 or not self.cost > 0:
            raise InputError(
                f"{self.places} changes at a cost of at most {self.cost:g} with {self.queries} queries and a beam of "
                f"{self.beam}; each number must be at least 1, the cost above 0."
            )


@dataclass
class Best:
    """The best changes of a row: the cheapest that succeed, else those of the smallest margin.

    ``queries`` is the number of evaluations, ``spent`` whether more were proposed than allowed.
    """

    changes: Changes = ()
    success: bool = False
    margin: float = np.inf
    queries: int = 0
    spent: bool = False


@dataclass
class _Search:
    choices: Choices
    limits: Limits
    best: Best
    known: dict[Changes, tuple[float, bool]] = field(default_factory=dict)

    def cost(self, changes: Changes) -> float:
        return self.choices.cost(changes)

    def fits(self, changes: Changes) -> bool:
        return len(changes) <= self.limits.places and self.cost(changes) <= self.limits.cost * (1 + 1e-9)

    def query(self, proposed: Sequence[Changes]) -> Requests:
        """Evaluate what is not known yet, as far as queries are left."""
        new = [one for one in dict.fromkeys(proposed) if one not in self.known]
        left = self.limits.queries - self.best.queries
        self.best.spent |= len(new) > left
        new = new[:left]
        if not new:
            return
        self.best.queries += len(new)
        margins, successes = yield new
        for one, margin, success in zip(new, margins.tolist(), successes.tolist()):
            self.known[one] = (margin, success)
            if is_allowed(one) and self.fits(one):
                self._offer(one, margin, success)

    def _offer(self, changes: Changes, margin: float, success: bool) -> None:
        best = self.best
        if success != best.success:
            better = success
        elif success:
            own = (self.cost(changes), len(changes), margin)
            better = own < (self.cost(best.changes), len(best.changes), best.margin)
        else:
            better = margin < best.margin
        if better:
            best.changes, best.success, best.margin = changes, success, margin

    def rank(self, changes: Changes) -> tuple[bool, float, float]:
        """Successes first, the cheapest of them; then by margin."""
        margin, success = self.known[changes]
        return (not success, self.cost(changes) if success else margin, margin)

    def run(self) -> Requests:
        order: list[int] = []
        yield from self.order_places(order)
        yield from self.greedy(order)
        yield from self.undo()
        yield from self.widen(order)
        yield from self.undo()

    def singles(self, place: int) -> list[Changes]:
        found: list[Changes] = [((place, option),) for option in range(len(self.choices.costs[place]))]
        return [one for one in found if self.fits(one)]

    def order_places(self, order: list[int]) -> Requests:
        """The places by how far the margin falls when each changes alone."""
        places = [place for place, costs in enumerate(self.choices.costs) if len(costs)]
        if self.choices.probes:
            some = places[:: max(1, -(-2 * len(places) // self.limits.queries))]  # at most half of the queries
            requests = {place: [self.choices.probes[place]] if place in some else [] for place in places}
            yield from self.query([one for place in some for one in requests[place]])
        else:
            requests = {place: self.singles(place) for place in places}
            longest = max(map(len, requests.values()), default=0)
            turns = (
                requests[place][turn] for turn in range(longest) for place in places if turn < len(requests[place])
            )
            yield from self.query(list(turns))
        least = {
            p: min((self.known[one][0] for one in requests[p] if one in self.known), default=np.inf) for p in places
        }
        order += sorted(places, key=lambda place: (least[place], place))

    def greedy(self, order: Sequence[int]) -> Requests:
        """Change one place after another to its best option, until the changes succeed."""
        current: Changes = ()
        lowest = self.choices.start
        for place in order:
            if self.best.success or len(current) == self.limits.places:
                return
            proposed = [tuple(sorted((*current, *one))) for one in self.singles(place)]
            proposed = [one for one in proposed if self.fits(one)]
            yield from self.query(proposed)
            found = [one for one in proposed if one in self.known]
            if found:
                chosen = min(found, key=self.rank)
                if self.known[chosen][0] < lowest:
                    current, lowest = chosen, self.known[chosen][0]

    def undo(self) -> Requests:
        """Take back single changes as long as the rest succeeds."""
        while self.best.success and len(self.best.changes) > 1:
            before = self.best.changes
            yield from self.query([before[:place] + before[place + 1 :] for place in range(len(before))])
            if self.best.changes == before:
                return

    def widen(self, order: Sequence[int]) -> Requests:
        """Beam search: of all changes of one more place the best few go on, while fewer or cheaper ones may succeed."""
        frontier: list[Changes] = [()]
        for _ in range(self.limits.places):
            proposed = [
                tuple(sorted((*state, *one)))
                for place in order
                for state in frontier
                if place not in {known for known, _ in state}
                for one in self.singles(place)
            ]
            proposed = [one for one in dict.fromkeys(proposed) if self.fits(one) and self._may_be_better(one)]
            yield from self.query(proposed)
            found = [one for one in proposed if one in self.known]
            frontier = sorted(found, key=lambda one: (self.rank(one), one))[: self.limits.beam]
            frontier = [one for one in frontier if not self.known[one][1]]
            if not frontier:
                return

    def _may_be_better(self, changes: Changes) -> bool:
        return not self.best.success or self.cost(changes) < self.cost(self.best.changes)


def is_allowed(changes: Changes) -> bool:
    """Whether all changes are among the options: a probe has the option −1 where it is none of them."""
    return all(option >= 0 for _, option in changes)


def search_changes(
    choices: Sequence[Choices], rows: Sequence[int], evaluate: Evaluate, limits: Limits
) -> dict[int, Best]:
    """The best changes of each row, all rows together: every round is one evaluation of what all of them ask.

    First the places by importance, each changed to its best option until the decision changes; then single changes are
    undone; then a beam search with the queries that are left, for fewer or cheaper changes.
    """
    limits.check()
    found = {row: Best() for row in rows}
    running = {row: _Search(choices[row], limits, found[row]).run() for row in rows}
    requests: dict[int, list[Changes]] = {}
    for row, search in running.items():
        _next(requests, row, search, None)
    while requests:
        lines = [(row, one) for row, proposed in requests.items() for one in proposed]
        margins, successes = evaluate(np.array([row for row, _ in lines]), [one for _, one in lines])
        start, answered = 0, requests
        requests = {}
        for row, proposed in answered.items():
            part = slice(start, start + len(proposed))
            start += len(proposed)
            _next(requests, row, running[row], (margins[part], successes[part]))
    return found


def _next(requests: dict[int, list[Changes]], row: int, search: Requests, answers: Answers | None) -> None:
    try:
        requests[row] = next(search) if answers is None else search.send(answers)
    except StopIteration:
        return


def random_changes(choices: Choices, count: int, most: float, generator: np.random.Generator) -> Changes:
    """So many random places, each with a random option, as far as the cost allows."""
    places = [place for place, costs in enumerate(choices.costs) if len(costs)]
    found: list[Change] = []
    for place in generator.permutation(places).tolist() if places else []:
        option = int(generator.integers(len(choices.costs[place])))
        if len(found) < count and choices.cost((*found, (place, option))) <= most * (1 + 1e-9):
            found.append((place, option))
    return tuple(sorted(found))
