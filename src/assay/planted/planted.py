# SPDX-License-Identifier: Apache-2.0
"""A case whose explanation is known, because what the model reads was planted; and whether the model reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from assay.basics.stats import Interval
from assay.basics.types import Floats, Masks, PerPart
from assay.cases.case import Case
from assay.cases.removals import Constant, Marginal, Removal

Agreement = Literal["auc", "rank", "rank of size", "energy", "precision"]
"""How an explanation is held to the truth: see ``agreement.agreement``."""


@dataclass(frozen=True)
class Competence:
    """How well the model uses the cue, as a share with its interval, and the least that lets a method be judged.

    ``what`` says in words what was measured. ``beside`` are other facts about the model, by name.
    """

    what: str
    share: float
    interval: Interval
    needed: float
    beside: Mapping[str, float] = field(default_factory=dict)

    @property
    def enough(self) -> bool:
        """Whether all of the interval is at or above what is needed."""
        return self.interval.low >= self.needed


@dataclass(frozen=True, eq=False)
class Planted:
    """A benchmark: rows of a trained model, and what an explanation of them should say.

    ``truth`` (row, part) is what a part does to the target, in the units that ``meaning`` names; ``mask`` (row, part)
    where the cue is. ``start`` (*shape) stands for absence, ``background`` (row, *shape) for other rows; ``marginal``
    says that absence is the background, not the start; ``many`` rows are for methods that learn. ``chance`` is the
    agreement that chance reaches on average; ``budget`` bounds the coalitions that methods ask.
    """

    name: str
    case: Case
    truth: PerPart
    mask: Masks | None
    agreement: Agreement
    chance: float
    competence: Competence
    start: Floats
    background: Floats
    meaning: str
    should: str
    sources: tuple[str, ...]
    marginal: bool = False
    many: Floats | None = None
    budget: int = 512

    @property
    def plenty(self) -> Floats:
        """Rows to learn from."""
        return self.background if self.many is None else self.many

    @property
    def remove(self) -> Removal:
        """How parts are taken away: put to the start, or replaced by the background's."""
        return Marginal(self.background) if self.marginal else Constant(self.start)
