# SPDX-License-Identifier: Apache-2.0
"""What a search for the cheapest change of a row found, and what it proved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from assay.basics.types import Floats

Status = Literal["optimal", "feasible", "infeasible", "undecided", "accepted"]
"""What is known of a row: its cheapest change; a change with a bound; that there is none; nothing; no need of one."""

STATUSES: tuple[Status, ...] = ("optimal", "feasible", "infeasible", "undecided", "accepted")
"""The statuses by their number in ``extra["status"]``."""


@dataclass(frozen=True, eq=False)
class Point:
    """A changed row ``x`` (column,), its cost, and the columns that are set (with causes others follow them).

    A column that would follow others may be set to the value it has.
    """

    x: Floats
    cost: float
    intervened: tuple[int, ...]

    def changed(self, own: Floats) -> tuple[int, ...]:
        """The columns that are set to another value than they have in the row ``own`` (column,)."""
        return tuple(place for place in self.intervened if self.x[place] != own[place])


@dataclass(frozen=True, eq=False)
class Answer:
    """The points found, in the order of their costs; ``bound`` is a proved lower bound of the least cost.

    ``nodes`` counts the boxes, or the nodes of the solver, that were searched.
    """

    status: Status
    points: tuple[Point, ...] = ()
    bound: float = 0.0
    nodes: int = 0
