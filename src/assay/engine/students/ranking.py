# SPDX-License-Identifier: Apache-2.0
"""Several explanations shown to the same student."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.engine.students.simulation import simulate
from assay.nouns.comparisons.simulatability import WARNING
from assay.nouns.comparisons.simulatability_ranking import SimulatabilityRanking
from assay.nouns.results.result import Explanation, Note


def rank_explanations(
    explanations: Mapping[str, Explanation] | Sequence[Explanation],
    case: Case,
    student: Any,
    taught: int,
    seeds: int,
    level: float = 0.95,
) -> SimulatabilityRanking:
    """Each explanation shown to the same student with the same draws of rows, the largest gain first."""
    named = explanations if isinstance(explanations, Mapping) else _named(explanations)
    if not named:
        raise InputError("there is no explanation to show to a student. Give one or more.")
    found = {name: simulate(one, case, student, taught, seeds, level) for name, one in named.items()}
    order = sorted(found, key=lambda name: -found[name].gain())
    return SimulatabilityRanking({name: found[name] for name in order}, level, (Note("proxy", WARNING),))


def _named(explanations: Sequence[Explanation]) -> Mapping[str, Explanation]:
    """The explanations by method; ``InputError`` where two are by the same one."""
    counts = Counter(one.provenance.method for one in explanations)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise InputError(f"two explanations are by {', '.join(twice)}. Give names: a mapping of names to explanations.")
    return {one.provenance.method: one for one in explanations}
