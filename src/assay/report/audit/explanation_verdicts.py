# SPDX-License-Identifier: Apache-2.0
"""The verdict on each explanation and the checks that decided it: the table at the top of the page."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from assay.nouns.records.record import Record
from assay.nouns.results.finding import Finding, Verdict
from assay.report.audit.summary import TRUST
from assay.report.drawing.formatting import format_number, join_names
from assay.report.drawing.svg import Axis, draw_dot, draw_shapes, draw_span, draw_tick

ORDER: tuple[Verdict, ...] = ("pass", "informative", "undecided", "rejected", "fail")
"""Verdicts on explanations, best first."""

NORMALISED_SCORES = {"EXP201": "deletion", "EXP202": "insertion"}
"""Checks whose estimate is a normalised score (0 = random ranking, 1 = reference method), and the score they read."""

SCORES_KEY = "normalised scores"
"""The key of a finding's evidence with the normalised scores of all explainers."""


@dataclass(frozen=True)
class ExplanationVerdict:
    """One explanation: its verdict, the checks that decided it, its normalised score, and the rows it still needs."""

    name: str
    verdict: Verdict
    reasons: tuple[str, ...]
    figure: Markup
    more: str


@dataclass(frozen=True)
class ExplanationVerdicts:
    """All explanations judged, best first.

    ``controls`` has the normalised scores of the control explanations as text, ``score`` the name of the score.
    """

    lines: tuple[ExplanationVerdict, ...]
    controls: str
    score: str


def explanation_verdicts(record: Record) -> ExplanationVerdicts:
    """The verdicts on the explanations of a record."""
    trust = [f for f in record.findings if f.code.startswith(TRUST)]
    known = {(f.subject, f.code): f for f in record.findings}
    code = next((c for c in NORMALISED_SCORES if any((f.subject, c) in known for f in trust)), "")
    normalised = [known[f.subject, code] for f in trust if (f.subject, code) in known]
    axis = Axis.of([v for f in normalised for v in (f.estimate, *_ends(f))] + [0.0, 1.0], 0.06)
    axis = Axis(max(axis.low, -0.5), min(axis.high, 1.5))
    scores: Mapping[str, Any] = next((f.evidence.get(SCORES_KEY, {}) for f in normalised), {})
    controls = {n: v for n, v in scores.items() if n in record.references and isinstance(v, float) and math.isfinite(v)}
    ranked = sorted(trust, key=lambda f: (_rank(f), -_estimate(known.get((f.subject, code)))))
    lines = tuple(_line(finding, known, code, axis, controls) for finding in ranked)
    text = join_names([f"{name.replace('_', ' ')} {format_number(value, 2)}" for name, value in controls.items()])
    return ExplanationVerdicts(lines, text, NORMALISED_SCORES.get(code, ""))


def _line(
    trust: Finding, known: Mapping[tuple[str, str], Finding], code: str, axis: Axis, controls: Mapping[str, float]
) -> ExplanationVerdict:
    name = trust.subject
    facts = [known[name, c] for c in trust.evidence.get("facts", ()) if (name, c) in known]
    reasons = tuple(map(_claim, facts))
    others = [f for f in known.values() if f.subject == name and f.code != TRUST and f not in facts]
    failed = [f for f in others if f.verdict in ("fail", "rejected")]
    open_ones = [f"failed: {_claim(f)}" for f in failed] + _codes([f for f in others if f.verdict == "undecided"])
    excluded = [f"{s.replace('_', ' ')} not used: unreliable on this model" for s in trust.evidence.get("left out", ())]
    far = " (practically undecidable)" if trust.is_practically_undecidable else ""
    more = f"about {trust.more:,}{far}" if trust.more else ""
    figure = draw_normalised_score(known[name, code], axis, controls) if (name, code) in known else Markup("")
    control = _against_controls(known.get((name, code)), controls)
    shown = (*(reasons or (trust.claim,)), *control, *open_ones, *excluded)
    return ExplanationVerdict(name, trust.verdict, shown, figure, more)


def _claim(finding: Finding) -> str:
    claim = re.sub(r" \(0 = random ranking, 1 = [^)]*\)", "", finding.claim)  # the head of the column says it
    return f"{claim.removeprefix(finding.subject).lstrip(': ')} ({finding.code})"


def _against_controls(finding: Finding | None, controls: Mapping[str, float]) -> list[str]:
    """Which control explanation, computed without the model, has as high a normalised score."""
    if finding is None or not controls or not math.isfinite(finding.estimate):
        return []
    best = max(controls, key=lambda name: controls[name])
    shown, highest = (format_number(value, 2) for value in (finding.estimate, controls[best]))
    if finding.estimate > controls[best] and shown != highest:
        return []
    return [f"no higher than the control explanation {best.replace('_', ' ')} ({shown} against {highest})"]


def _codes(findings: Sequence[Finding]) -> list[str]:
    """The codes of undecided checks; of deletion and insertion their names too."""
    names = [f"{NORMALISED_SCORES[f.code]} ({f.code})" if f.code in NORMALISED_SCORES else f.code for f in findings]
    return [f"undecided: {join_names(names)}"] * bool(names)


def draw_normalised_score(finding: Finding, axis: Axis, controls: Mapping[str, float]) -> Markup:
    """A normalised score as dot with its interval; the reference method dashed at 1, control explanations in grey."""
    body = [draw_span("rail", axis.at(0.0), axis.at(1.0))]
    body += [draw_tick("null", axis.at(value), 6) for value in controls.values()]
    body.append(draw_tick("threshold", axis.at(1.0), 9))
    ends = _ends(finding)
    if all(map(math.isfinite, ends)):
        body.append(draw_span("interval", *(axis.at(end) for end in ends)))
    if math.isfinite(finding.estimate):
        body.append(draw_dot("dot", axis.at(finding.estimate)))
    return draw_shapes("low", f"normalised score {format_number(finding.estimate, 2)}", body)


def _ends(finding: Finding) -> tuple[float, ...]:
    return (finding.interval.low, finding.interval.high) if finding.interval is not None else ()


def _rank(finding: Finding) -> int:
    return ORDER.index(finding.verdict) if finding.verdict in ORDER else len(ORDER)


def _estimate(finding: Finding | None) -> float:
    return finding.estimate if finding is not None and math.isfinite(finding.estimate) else -math.inf
