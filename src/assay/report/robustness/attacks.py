# SPDX-License-Identifier: Apache-2.0
"""The attacks of an audit: what changed, what the check of an attack asks, and the validity report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from assay.basics.types import Floats
from assay.nouns.records.record import Record
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import AttackResult
from assay.report.drawing.formatting import VERDICTS, decimals_for, finding_numbers, format_count, format_number
from assay.report.drawing.svg import draw_attack
from assay.report.drawing.validity import describe_validity, explain_validity
from assay.report.robustness.attacked_rows import AttackedRow, attacked_rows


@dataclass(frozen=True)
class AttackView:
    """One attack: the attacked quantity in means over rows, the verdict of its check in words, rows, and validity."""

    subject: str
    attack_result: AttackResult
    figure: Markup
    before: str
    after: str
    random: str
    largest: str
    robust: str
    check: str
    rows: tuple[AttackedRow, ...]
    validity: tuple[tuple[str, str, str], ...]


def view_attacks(record: Record) -> tuple[AttackView, ...]:
    """The attacks of a record."""
    rows = attacked_rows(record)
    return tuple(_view(record, name, one, rows.get(name, ())) for name, one in record.attack_results.items())


def _view(record: Record, subject: str, result: AttackResult, rows: tuple[AttackedRow, ...]) -> AttackView:
    means = (_mean(result.before), _mean(result.after), _mean(result.random))
    before, after, random = (format_number(mean, decimals_for(*means)) for mean in means)
    sizes = result.distance
    return AttackView(
        subject=subject,
        attack_result=result,
        figure=draw_attack(*means),
        before=before,
        after=after,
        random=random,
        largest=format_number(float(np.nanmax(sizes)) if np.isfinite(sizes).any() else float("nan")),
        robust=describe_validity(result)[0],
        check=describe_check(record, subject, result),
        rows=rows,
        validity=explain_validity(result),
    )


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def describe_check(record: Record, subject: str, result: AttackResult) -> str:
    """What success means for a row, and what the check of the attack asks of all rows, with its verdict."""
    succeeded, rows = int(result.success.sum()), format_count(len(result.ids), "row")
    found = next((f for f in record.findings if f.subject == subject and f.code.startswith("ATK")), None)
    if "robust_accuracy" in result.validity:
        meaning = "Success on a row: a change within the ball changes its predicted class."
    else:
        meaning = (
            "Success on a row: the attack changes the explanation more than a random perturbation of the same size, "
            "at an unchanged predicted class."
        )
    if found is None:
        return f"{meaning} No check judges this attack."
    return f"{meaning} {_verdict(found, succeeded, rows)}"


def _verdict(found: Finding, succeeded: int, rows: str) -> str:
    """The verdict of the check, against the number of successes where these look like a contradiction."""
    estimate, bounds, need = finding_numbers(found)
    if found.verdict == "informative" or found.threshold is None:
        null = "" if found.null is None else f"; random perturbations: {format_number(found.null)}"
        return f"{found.code} has no threshold and informs only: {estimate} {bounds}{null}."
    text = f"{found.code} {need}, the mean over all rows; it is {estimate} {bounds}: {VERDICTS[found.verdict].one}."
    if found.verdict == "pass" and succeeded:
        return (
            f"{text} So the attack succeeds on {succeeded} of {rows}, while the mean over all rows meets the threshold."
        )
    return text
