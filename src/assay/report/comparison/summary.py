# SPDX-License-Identifier: Apache-2.0
"""The summary of a comparison: one sentence, and how many checks changed in which way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assay.nouns.comparisons.audit_comparison import Change, ChangeStatus, Comparison
from assay.report.audit.summary import Count
from assay.report.drawing.formatting import format_count, format_number, join_names, truncate


@dataclass(frozen=True)
class StatusStyle:
    """How a kind of change is displayed: its label, its icon, and the tone of its strip and chip (CSS classes)."""

    label: str
    icon: str
    tone: str


STATUSES: dict[ChangeStatus, StatusStyle] = {
    "newly failing": StatusStyle("newly failing", "fail", "fail"),
    "worse": StatusStyle("worse", "worse", "fail"),
    "gone": StatusStyle("missing", "skipped", "skipped"),
    "new": StatusStyle("new", "info", "info"),
    "no change shown": StatusStyle("no change shown", "skipped", "skipped"),
    "better": StatusStyle("better", "better", "pass"),
    "fixed": StatusStyle("fixed", "pass", "pass"),
}
"""Every kind of change, worst first."""

MAX_NAMES = 4
"""Methods that the sentence names."""


def headline(comparison: Comparison) -> str:
    """One sentence: which checks are worse, which are better, and which explanations drifted."""
    text = "; ".join(part for part in (_worse(comparison), _better(comparison), _drift(comparison)) if part)
    return f"{text[:1].upper()}{text[1:]}."


def tone(comparison: Comparison) -> str:
    """The tone of the worst change."""
    if comparison.worse:
        return "fail"
    if drifted_methods(comparison) or not comparison.drifts:
        return "undecided"
    return "pass"


def counts(comparison: Comparison) -> tuple[Count, ...]:
    """Number of checks by kind of change; of the kinds without checks only three are listed."""
    found = {status: len(comparison.of(status)) for status in STATUSES}
    always = ("newly failing", "no change shown", "fixed")
    return tuple(
        Count(STATUSES[status].icon, count, STATUSES[status].label)
        for status, count in found.items()
        if count or status in always
    )


def drifted_methods(comparison: Comparison) -> list[str]:
    """Methods that drifted by at least one measure."""
    return list(dict.fromkeys(drift.method for drift in comparison.drifts if drift.drifted))


def changed_predictions(comparison: Comparison) -> str:
    """On how many rows the predicted class changed; empty where the audits share no rows or no classes."""
    interval = comparison.class_change_rate
    if interval is None or not comparison.rows:
        return ""
    share = f"{format_number(100 * interval.low, 1)} to {format_number(100 * interval.high, 1)} % of such rows"
    rows = format_count(comparison.rows, "row")
    return f"The predicted class changed on {comparison.class_changes:,} of {rows} explained in both audits ({share})."


def _worse(comparison: Comparison) -> str:
    lost = [change for change in comparison.of("gone") if was_decided(change)]
    parts = [
        _are(comparison.of("newly failing"), "newly failing", "check"),
        _are(comparison.of("worse"), "shown to be worse"),
        _are(lost, "missing although decided before"),
    ]
    return "; ".join(filter(None, parts)) or "no check is newly failing or shown to be worse"


def was_decided(change: Change) -> bool:
    """Whether the check passed or failed before."""
    return change.before is not None and change.before.verdict in ("pass", "fail")


def _better(comparison: Comparison) -> str:
    parts = [_are(comparison.of("fixed"), "fixed"), _are(comparison.of("better"), "shown to be better")]
    return "; ".join(filter(None, parts))


def _are(changes: Sequence[Change], word: str, noun: str = "") -> str:
    """2 checks are newly failing; empty where there is none."""
    if not changes:
        return ""
    count = format_count(len(changes), noun) if noun else f"{len(changes):,}"
    return f"{count} {'is' if len(changes) == 1 else 'are'} {word}"


def _drift(comparison: Comparison) -> str:
    if not comparison.drifts:
        return "explanation drift is unknown"
    names = [truncate(name.replace("_", " ")) for name in drifted_methods(comparison)]
    if not names:
        return "no explanation drifted beyond the noise of re-running"
    more = len(names) - MAX_NAMES
    listed = [*names[:MAX_NAMES], *([f"{more} more"] if more > 0 else [])]
    return f"explanations by {join_names(listed)} drifted beyond the noise of re-running"
