# SPDX-License-Identifier: Apache-2.0
"""Few features of a row whose removal changes the decision: words of a text, segments of a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.removals import Removal
from assay.engine.coalitions.masks import present_parts
from assay.nouns.inputs.target import predicted_class, probabilities

ANY = -1
"""The goal where any class but the predicted one will do."""

SMALLEST = 1e-300
"""A probability of 0 counts as this number in the search."""

State = tuple[int, ...]
"""Features of a row that are removed."""


@dataclass(frozen=True, eq=False)
class RemovedFeatures:
    """``removed`` (row, part) and whether it leads to the goal, ``found`` (row,).

    ``alone`` (row,) says where one feature suffices, so that no smaller set can. ``evaluations`` (row,) counts the
    removals that were tried; ``spent`` (row,) says where they ended before the search did.
    """

    removed: Masks
    found: Masks
    alone: Masks
    evaluations: Ints
    spent: Masks


def removed_features(case: Case, remove: Removal, goal: Ints, budget: int, beam: int) -> RemovedFeatures:
    """For each row a set of features after whose removal the class is ``goal`` (row,), none of them needless.

    Features are removed one after another, each time that which brings the decision nearest; ``beam`` sets go on. Then
    single features are put back as long as the decision stays changed. At most ``budget`` sets of a row are evaluated.
    For a sum of terms the set has the fewest features possible.
    """
    present = present_parts(case)
    most = int(present.sum(axis=1).max())
    if budget < most + 1:
        raise InputError(
            f"budget={budget}; rows have up to {most} features, so that at least {most + 1} are needed, or coarser "
            f"features."
        )
    searches = [_Search(np.flatnonzero(present[row]).tolist(), budget, beam) for row in range(len(case))]
    game, kind = case.game(remove), case.model.kind
    own = np.asarray(predicted_class(case.prediction, kind))
    while True:
        requests = [(row, state) for row, one in enumerate(searches) for state in one.next_states()]
        if not requests:
            break
        which = np.array([row for row, _ in requests])
        keep = np.ones((len(requests), present.shape[1]), dtype=bool)
        for line, (_, state) in enumerate(requests):
            keep[line, list(state)] = False
        outputs, gives = game.decision_outputs(which, keep)
        decided = np.asarray(predicted_class(outputs, gives))
        good = np.where(goal[which] == ANY, decided != own[which], decided == goal[which])
        lead = _lead(np.asarray(probabilities(outputs, gives), dtype=np.float64), own[which], goal[which])
        for line, (row, state) in enumerate(requests):
            searches[row].answer(state, float(lead[line]), bool(good[line]))
    removed = np.zeros(present.shape, dtype=bool)
    for row, one in enumerate(searches):
        removed[row, list(one.best or ())] = True
    return RemovedFeatures(
        removed,
        np.array([one.best is not None for one in searches]),
        np.array([one.best is not None and len(one.best) == 1 for one in searches]),
        np.array([len(one.known) for one in searches]),
        np.array([one.spent for one in searches]),
    )


class _Search:
    """The search of one row, a round at a time: sets are asked for, answered, and lead to the next ones."""

    def __init__(self, parts: list[int], budget: int, beam: int) -> None:
        self.parts, self.budget, self.beam = parts, budget, beam
        self.known: dict[State, tuple[float, bool]] = {}
        self.frontier: list[State] = [()]
        self.best: State | None = None
        self.ended, self.spent = not parts, False

    def next_states(self) -> list[State]:
        """The sets to evaluate next; none where the search has ended."""
        while not self.ended:
            if self.best is not None:
                return self._fewer()
            proposed = dict.fromkeys(
                tuple(sorted((*state, part))) for state in self.frontier for part in self.parts if part not in state
            )
            new = [state for state in proposed if state not in self.known]
            if new:
                return self._within(new)
            self._next([state for state in proposed if state in self.known])
        return []

    def answer(self, state: State, lead: float, good: bool) -> None:
        """Note what the removal of a set does."""
        self.known[state] = lead, good

    def _within(self, new: list[State]) -> list[State]:
        left = self.budget - len(self.known)
        if left <= 0:
            self.ended = self.spent = True
            return []
        return new[:left] if len(new) > left else new

    def _next(self, states: list[State]) -> None:
        """Go on from the sets that bring the decision nearest, or stop at one that changes it."""
        found = [state for state in states if self.known[state][1]]
        if found:
            self.best = max(found, key=lambda state: (self.known[state][0], state))
        elif not states:
            self.ended = True
        else:
            self.frontier = sorted(states, key=lambda state: (-self.known[state][0], state))[: self.beam]

    def _fewer(self) -> list[State]:
        """The sets without one of the features of the best, until none of these changes the decision."""
        assert self.best is not None
        while True:
            smaller = [tuple(one for one in self.best if one != part) for part in self.best]
            smaller = [state for state in smaller if state]
            new = [state for state in smaller if state not in self.known]
            if new:
                return self._within(new)
            good = [state for state in smaller if self.known[state][1]]
            if not good:
                self.ended = True
                return []
            self.best = max(good, key=lambda state: (self.known[state][0], state))


def _lead(shares: Floats, own: Ints, goal: Ints) -> Floats:
    """By how much the goal, or the best other one, leads in log-odds (line,)."""
    if shares.ndim == 1 or shares.shape[1] == 1:
        last = shares.reshape(len(shares))
        shares = np.stack([1 - last, last], axis=1)
    logs = np.log(np.maximum(shares, SMALLEST))
    line, rival = np.arange(len(logs)), np.where(goal == ANY, own, goal)
    others = logs.copy()
    others[line, rival] = -np.inf
    lead = logs[line, rival] - others.max(axis=1)
    return np.where(goal == ANY, -lead, lead)
