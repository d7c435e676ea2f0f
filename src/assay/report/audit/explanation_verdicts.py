# SPDX-License-Identifier: Apache-2.0
"""What may be done with each explanation, and the facts that decided it: the head of the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from assay.nouns.records.record import Record
from assay.nouns.results.result import Finding, Verdict
from assay.report.audit.summary import TRUST
from assay.report.drawing.formatting import counted, listed, number
from assay.report.drawing.svg import Axis

ORDER: tuple[Verdict, ...] = ("pass", "informative", "undecided", "fail")
"""Verdicts on explanations, the best first."""

CLIMBS = {"EXP201": "deletion", "EXP202": "insertion"}
"""Checks whose estimate is a place between random order (0) and the yardstick (1), and the score they read."""


@dataclass(frozen=True)
class Standing:
    """One explanation: its verdict, the facts behind it, its place on the ladder, and what would settle it."""

    name: str
    verdict: Verdict
    facts: tuple[str, ...]
    normalised: Markup
    more: str


@dataclass(frozen=True)
class Standings:
    """All explanations judged, the best first; ``rungs`` says who stands where on the ladder, ``of`` which score."""

    lines: tuple[Standing, ...]
    rungs: str
    of: str


def standings(record: Record) -> Standings:
    """The verdicts on the explanations of a record."""
    trust = [f for f in record.findings if f.code.startswith(TRUST)]
    known = {(f.subject, f.code): f for f in record.findings}
    code = next((c for c in CLIMBS if any((f.subject, c) in known for f in trust)), "")
    climbed = [known[f.subject, code] for f in trust if (f.subject, code) in known]
    axis = Axis.of([v for f in climbed for v in (f.estimate, *_ends(f))] + [0.0, 1.0], 0.06)
    axis = Axis(max(axis.low, -0.5), min(axis.high, 1.5))
    known_rungs: Mapping[str, Any] = next((f.evidence.get("ladder", {}) for f in climbed), {})
    marks = {
        n: v for n, v in known_rungs.items() if n in record.references and isinstance(v, float) and math.isfinite(v)
    }
    ranked = sorted(trust, key=lambda f: (_rank(f), -_height(known.get((f.subject, code)))))
    lines = [_standing(finding, known, code, axis, marks) for finding in ranked]
    told = listed([f"{name.replace('_', ' ')} {number(value, 2)}" for name, value in marks.items()])
    return Standings(tuple(lines), told, CLIMBS.get(code, ""))


def _standing(
    trust: Finding, known: Mapping[tuple[str, str], Finding], code: str, axis: Axis, marks: Mapping[str, float]
) -> Standing:
    name = trust.subject
    facts = [known[name, c] for c in trust.evidence.get("facts", ()) if (name, c) in known]
    told = tuple(f"{fact.claim.removeprefix(f'{name} ')} ({fact.code})" for fact in facts)
    left = [f"{score.replace('_', ' ')} left out: unreliable here" for score in trust.evidence.get("left out", ())]
    more = f"about {counted(trust.more, 'further row')}" if trust.more else ""
    drawn = normalised(known[name, code], axis, marks) if (name, code) in known else Markup("")
    return Standing(name, trust.verdict, (*(told or (trust.claim,)), *left), drawn, more)


def normalised(finding: Finding, axis: Axis, marks: Mapping[str, float]) -> Markup:
    """A dot with its interval between random order (0) and the yardstick (1); grey ticks are the references."""
    body = [Markup('<line class="rail" x1="{}" x2="{}" y1="11" y2="11"/>').format(axis.at(0.0), axis.at(1.0))]
    for name, value in marks.items():
        body.append(
            Markup('<line class="null" x1="{0}" x2="{0}" y1="5" y2="17"><title>{1}</title></line>').format(
                axis.at(value), name.replace("_", " ")
            )
        )
    body.append(Markup('<line class="threshold" x1="{0}" x2="{0}" y1="2" y2="20"/>').format(axis.at(1.0)))
    ends = _ends(finding)
    if all(map(math.isfinite, ends)):
        body.append(
            Markup('<line class="interval" x1="{}" x2="{}" y1="11" y2="11"/>').format(*(axis.at(end) for end in ends))
        )
    if math.isfinite(finding.estimate):
        body.append(Markup('<circle class="dot" cx="{}" cy="11" r="4.5"/>').format(axis.at(finding.estimate)))
    return Markup('<svg class="strip" width="100%" height="22" role="img"><title>{} of the way</title>{}</svg>').format(
        f"{finding.estimate:.0%}" if math.isfinite(finding.estimate) else "unknown part", Markup("").join(body)
    )


def _ends(finding: Finding) -> tuple[float, ...]:
    return (finding.interval.low, finding.interval.high) if finding.interval is not None else ()


def _rank(finding: Finding) -> int:
    return ORDER.index(finding.verdict) if finding.verdict in ORDER else len(ORDER)


def _height(finding: Finding | None) -> float:
    return finding.estimate if finding is not None and math.isfinite(finding.estimate) else -math.inf
