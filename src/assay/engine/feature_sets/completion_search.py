# SPDX-License-Identifier: Apache-2.0
"""Minimal and smallest sets of features that keep a class, from answers about single sets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from assay.basics.types import Floats, Ints, Masks


@dataclass(frozen=True, eq=False)
class Decision:
    """Whether the class stays for every completion: proved, refuted by the completion ``x`` (element,), or open."""

    verdict: Literal["stays", "changes", "open"]
    x: Floats | None
    boxes: int


class Completions(Protocol):
    """The completions of one row."""

    def decide(self, free: Masks, max_nodes: int) -> Decision:
        """Whether a completion of the features ``free`` (part,) changes the class, within ``max_nodes`` boxes."""

    def importance(self) -> Floats:
        """How far each feature alone can move the decision (part,); only its order counts."""

    @property
    def adds_up(self) -> bool:
        """Whether a set stays sufficient exactly as long as the importances of the free features add up to little."""


@dataclass(eq=False)
class SufficientSet:
    """A set of features (part,) whose completions all keep the class.

    ``witness`` maps a member to a completion of the features outside and itself that has another class. Members
    without one are not shown to be necessary. ``size_low`` is a proved lower bound of the size of any sufficient set.
    """

    members: Masks
    boxes: int = 0
    witness: dict[int, Floats] = field(default_factory=dict)
    size_low: int = 0

    @property
    def is_minimal(self) -> bool:
        """Whether every member is shown to be necessary."""
        return all(int(part) in self.witness for part in np.flatnonzero(self.members))


def minimal_set(completions: Completions, begin: Masks, order: Ints, max_nodes: int) -> SufficientSet:
    """The set that is left when the parts of ``order`` are left out of ``begin`` one by one, where the class stays.

    ``begin`` must keep the class. ``max_nodes`` is for each part.
    """
    found = SufficientSet(begin.copy())
    for part in [one for one in order.tolist() if begin[one]]:
        found.members[part] = False
        decision = completions.decide(~found.members, max_nodes)
        found.boxes += decision.boxes
        if decision.verdict != "stays":
            found.members[part] = True
        if decision.x is not None:
            found.witness[part] = decision.x
    return found


ROUNDS = 200
"""Sets of the smallest possible size that are tried, at most."""


def smallest_set(
    completions: Completions, found: SufficientSet, x: Floats, part: Ints, max_nodes: int
) -> tuple[SufficientSet, int]:
    """The smallest sufficient set, from a minimal one ``found``, and a proved lower bound of its size.

    Every completion that changes the class differs from the row in some features, one of which every sufficient set
    holds. The smallest set that holds one of each is tried: it is the answer, or another such completion is found
    (Ignatiev et al. 2019). Where the search ends without an answer, ``found`` is returned.
    """
    parts = len(found.members)
    differing = [_smallest_change(completions, x, one, part, parts, max_nodes) for one in found.witness.values()]
    boxes = found.boxes
    low = 0
    for _ in range(ROUNDS):
        members = _hitting_set(differing, parts)
        low = int(members.sum())
        if low >= found.members.sum():
            break
        decision = completions.decide(~members, max_nodes)
        boxes += decision.boxes
        if decision.verdict == "stays":
            smaller = minimal_set(completions, members, np.flatnonzero(members), max_nodes)
            smaller.boxes += boxes
            return smaller, low
        if decision.x is None:
            break
        differing.append(_smallest_change(completions, x, decision.x, part, parts, max_nodes))
    found.boxes = boxes
    return found, low


def _smallest_change(
    completions: Completions, x: Floats, changed: Floats, part: Ints, parts: int, max_nodes: int
) -> Masks:
    """The features (part,) of a change of the row that are all needed to change its class."""
    free = _changed_parts(x, changed, part, parts)
    for one in np.flatnonzero(free).tolist():
        fewer = free.copy()
        fewer[one] = False
        if not free[one] or not fewer.any():
            continue
        decision = completions.decide(fewer, max_nodes)
        if decision.x is not None:
            free = _changed_parts(x, decision.x, part, parts)
    return free


def _changed_parts(x: Floats, changed: Floats, part: Ints, parts: int) -> Masks:
    moved = (x != changed) & ~(np.isnan(x) & np.isnan(changed)) & (part >= 0)
    return np.bincount(part[moved], minlength=parts) > 0


def _hitting_set(sets: list[Masks], parts: int) -> Masks:
    """The smallest set (part,) that has a member of each set."""
    if not sets:
        return np.zeros(parts, dtype=bool)
    from scipy.optimize import Bounds, LinearConstraint, milp

    found = milp(
        np.ones(parts),
        constraints=LinearConstraint(np.array(sets, dtype=np.float64), np.ones(len(sets)), np.inf),
        integrality=np.ones(parts, dtype=np.int64),
        bounds=Bounds(0, 1),
    )
    return np.asarray(np.asarray(found.x, dtype=np.float64) > 0.5)
