# SPDX-License-Identifier: Apache-2.0
"""The glossary: what each method on the page computes or measures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from assay.nouns.records.record import Record

_DIRECTIONS = {"higher": "higher is better", "lower": "lower is better", "neither": "neither direction is better"}


@dataclass(frozen=True)
class Term:
    """One entry; ``anchor`` is its id on the page and does not contain the name."""

    anchor: str
    name: str
    kind: str
    meaning: str
    direction: str = ""


def glossary(record: Record) -> dict[str, Term]:
    """Terms by method name, in the order they appear on the page."""
    terms: dict[str, Term] = {}
    for name, kind, meaning, direction in _entries(record):
        if name not in terms:
            terms[name] = Term(f"term-{len(terms) + 1}", name, kind, meaning, direction)
    return terms


def _entries(record: Record) -> Iterator[tuple[str, str, str, str]]:
    for name, explanation in record.explanations.items():
        kind = "control explanation" if name in record.references else "explanation"
        yield name, kind, explanation.meaning, ""
    for (_, name), score in record.scores.items():
        yield name, "score", score.meaning, _DIRECTIONS[score.better]
    for attack_result in record.attack_results.values():
        yield attack_result.method, "attack", attack_result.meaning, ""
    for name, certificate in record.certificates.items():
        yield name, "certificate", certificate.meaning, ""
    for repair_record in record.repairs:
        yield repair_record.method, "repair", repair_record.meaning, ""
