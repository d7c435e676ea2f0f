# SPDX-License-Identifier: Apache-2.0
"""A case with a known ground-truth explanation, and a test that the model uses the planted cue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from assay.basics.stats import Interval, clopper_pearson
from assay.basics.types import Floats, Masks, PerPart
from assay.cases.case import Case
from assay.cases.removals import Constant, Marginal, Removal

AgreementMeasure = Literal["auc", "rank", "rank of size", "energy", "precision"]
"""How an explanation is compared with the ground truth: see ``agreement.agreement``."""


@dataclass(frozen=True)
class Competence:
    """How well the model uses the planted cue, and the least that is required to evaluate explanation methods.

    ``share`` with its ``interval`` is the quantity that ``description`` names, in 0 … 1. ``other_measures`` are further
    facts about the model, by name.
    """

    description: str
    share: float
    interval: Interval
    required: float
    other_measures: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of_successes(
        cls, description: str, successes: Masks, required: float, other_measures: Mapping[str, float] | None = None
    ) -> Competence:
        """The share of successes (row,), with its Clopper–Pearson interval."""
        interval = clopper_pearson(int(successes.sum()), len(successes))
        return cls(description, float(successes.mean()), interval, required, other_measures or {})

    @property
    def is_sufficient(self) -> bool:
        """Whether the whole interval is at or above the required share."""
        return self.interval.low >= self.required


@dataclass(frozen=True, eq=False)
class BenchmarkCase:
    """A benchmark: rows of a trained model with their ground-truth explanation.

    ``truth`` (row, feature) is the effect of a feature on the target, in the units that ``meaning`` names; ``mask``
    (row, feature) marks the features of the cue. ``start`` (*shape) is the baseline and ``background`` (row, *shape)
    the background rows. Removed features take the background's values if ``is_marginal``, else the baseline's.
    ``training_rows`` are for methods that fit a model of their own. ``chance`` is the mean agreement of a random
    explanation; ``budget`` is the largest number of coalitions for methods that sample them. ``should`` completes the
    sentence "A method should …".
    """

    name: str
    case: Case
    truth: PerPart
    mask: Masks | None
    agreement: AgreementMeasure
    chance: float
    competence: Competence
    start: Floats
    background: Floats
    meaning: str
    should: str
    sources: tuple[str, ...]
    is_marginal: bool = False
    training_rows: Floats | None = None
    budget: int = 512

    @property
    def many_rows(self) -> Floats:
        """Rows for methods that fit a model of their own: the training rows, or the background if there are none."""
        return self.background if self.training_rows is None else self.training_rows

    @property
    def remove(self) -> Removal:
        """How features are removed: set to the baseline, or replaced by background values."""
        return Marginal(self.background) if self.is_marginal else Constant(self.start)
