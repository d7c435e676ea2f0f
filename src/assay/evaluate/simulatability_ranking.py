# SPDX-License-Identifier: Apache-2.0
"""Several explanations in the order of what a student model learns from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assay.cases.case import Case
from assay.engine.students.ranking import rank_explanations
from assay.nouns.comparisons.simulatability_ranking import SimulatabilityRanking
from assay.nouns.results.result import Explanation


def simulatability_ranking(
    explanations: Mapping[str, Explanation] | Sequence[Explanation],
    case: Case,
    *,
    student: Any = "auto",
    taught: int = 100,
    seeds: int = 8,
    level: float = 0.95,
) -> SimulatabilityRanking:
    """Explanations of the same rows, by name or by method, in the order of the gain that ``simulatability`` measures.

    All are shown to the same student with the same draws of rows; ``difference_interval`` compares two of them, paired
    by draw and row, for all pairs together at the level. With many rows taught the gains of good explanations are
    small and their order is that of chance: teach few. What ``simulatability`` refuses is refused; so are two
    explanations of the same method without names (``InputError``).
    """
    return rank_explanations(explanations, case, student, taught, seeds, level)
