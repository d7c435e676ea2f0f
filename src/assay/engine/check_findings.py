# SPDX-License-Identifier: Apache-2.0
"""Findings of the checks that methods declare: judged by a threshold, or read off attacks and certificates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.stats import Basis, Interval
from assay.basics.types import Floats
from assay.engine.comparison.criteria import values_reading
from assay.nouns.catalogue import Check, find
from assay.nouns.results.finding import Finding, Verdict, judge
from assay.nouns.results.result import AttackResult, Certificate

NEXT_STEPS: dict[Verdict, str] = {
    "pass": "No action needed on this evidence.",
    "undecided": "Test more rows: the interval contains the threshold.",
    "informative": "No verdict: the number is for comparison.",
    "not applicable": "Test other rows, on which the number is defined.",
}
"""What to do where a check did not fail."""


def judged_finding(
    check: Check, basis: Basis, level: float, threshold: float, advice: Mapping[str, str], **fields: Any
) -> Finding:
    """The finding of a check with a threshold: the interval of ``basis`` at ``level``, and the verdict it gives.

    ``advice`` has a text for each of pass, fail and undecided; ``fields`` are the other fields of ``Finding``.
    """
    assert check.direction != ""
    interval = basis.at(level)
    verdict = judge(interval, threshold, check.direction, check.undecided_from)
    return Finding(
        code=check.code,
        verdict=verdict,
        interval=interval,
        threshold=threshold,
        direction=check.direction,
        advice=advice[verdict],
        basis=basis,
        **fields,
    )


def counted_finding(
    check: Check, estimate: float, threshold: float, advice: Mapping[str, str], **fields: Any
) -> Finding:
    """The finding of a check about a fact without sampling error: the estimate itself decides, without an interval.

    Without a basis it takes no part in a correction for multiple testing; see ``judged_finding`` for the arguments.
    """
    assert check.direction != ""
    verdict = judge(Interval(estimate, estimate, 1.0, "exact"), threshold, check.direction)
    return Finding(
        code=check.code,
        verdict=verdict,
        estimate=estimate,
        threshold=threshold,
        direction=check.direction,
        advice=advice[verdict],
        **fields,
    )


def advice_for(check: Check, verdict: Verdict) -> str:
    """What to do at this verdict; only a failure gets the remedy of the check."""
    if verdict in ("fail", "rejected"):
        return check.remedy
    return NEXT_STEPS.get(verdict, "")


def attack_findings(subject: str, result: AttackResult, level: float) -> list[Finding]:
    """One finding for each check of the attack: the mean over rows of the field the check reads.

    Without ``reads`` the estimate is the attack success rate, 0 … 1. ``null`` is the same field after random moves of
    the same size where the check reads ``after``; else the rate of success of random moves, where it is known.
    """
    random = float(result.random.mean())
    robust = result.validity.get("random_robust_accuracy")
    return [
        replace(
            _finding(check, subject, result, values, level),
            null=random if check.reads == "after" else None if check.reads or robust is None else 1.0 - float(robust),
            evidence={
                "after random moves of the same size": random,
                "prediction unchanged": int(result.prediction_unchanged.sum()),
            },
        )
        for check, values in _read(result, result.success.astype(float))
    ]


def certificate_findings(subject: str, result: Certificate, level: float) -> list[Finding]:
    """One finding for each check of the certificate: the mean over rows of the bound or extra that the check reads.

    Without ``reads`` the estimate is the share of rows that are certified, 0 … 1; an abstention is not certified.
    ``null`` is the same mean for random explanations of equal size, where the certificate has it.
    """
    return [
        replace(
            _finding(check, subject, result, values, level),
            null=_of_random(check, result),
            evidence={"rows abstained": int(result.abstained.sum()), "theorem": result.theorem},
        )
        for check, values in _read(result, 1.0 - result.abstained.astype(float))
    ]


def _of_random(check: Check, result: Certificate) -> float | None:
    """The mean over the defined rows of what the check reads, for random explanations of equal size."""
    values = result.control.get(check.reads, result.extra.get(f"random_{check.reads}"))
    known = np.empty(0) if values is None else values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def _read(result: AttackResult | Certificate, default: Floats) -> list[tuple[Check, Floats]]:
    found: list[tuple[Check, Floats]] = []
    for check in find(result.provenance.verb, result.provenance.method).checks:
        read = result.extra[check.reads] if check.reads in result.extra else getattr(result, check.reads, default)
        values = np.asarray(read, dtype=np.float64) if check.reads else default
        found.append((check if check.reads else replace(check, bounds=(0.0, 1.0)), values))
    return found


def _finding(check: Check, subject: str, result: Any, values: Floats, level: float) -> Finding:
    found = values_reading(check, values)
    interval = found.basis.at(level)
    claim = check.claim or "{estimate:.0%} of rows"
    verdict: Verdict = "informative" if check.threshold is None else _judge(check, found.n, interval)
    return Finding(
        code=check.code,
        verdict=verdict,
        claim=f"{subject}: {claim.format(estimate=found.estimate, name=subject, top='')}",
        subject=subject,
        estimate=found.estimate,
        interval=interval,
        threshold=check.threshold,
        direction=check.direction,
        n=found.n,
        meaning=result.meaning,
        advice=advice_for(check, verdict),
        basis=found.basis if found.n else None,
    )


def _judge(check: Check, rows: int, interval: Any) -> Any:
    if not rows or check.threshold is None or not check.direction:
        return "not applicable"
    return judge(interval, check.threshold, check.direction, check.undecided_from)


def results_by_subject(results: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Results by subject; a second result about one subject is named after its method too."""
    named: dict[str, Any] = {}
    for subject, result in results:
        named[subject if subject not in named else f"{subject} ({result.provenance.method})"] = result
    return named
