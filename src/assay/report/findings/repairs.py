# SPDX-License-Identifier: Apache-2.0
"""The repairs that an audit tried: their effect on the findings, and their price in metrics on the same rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from assay.nouns.records.record import MetricChange, Record, RepairRecord
from assay.nouns.results.finding import Finding
from assay.report.drawing.formatting import (
    VERDICTS,
    decimals_for,
    describe_rows_needed,
    finding_numbers,
    format_interval,
    format_number,
    format_signed,
    join_names,
    method_name,
    metric_label,
)

FIRST = ("balanced accuracy", "R²")
"""The metric that is named where no metric is shown to be worse."""

REPLACED = {"mean squared error": "RMSE"}
"""Metrics that a repair measures itself, and the paired metric that says the same."""

MAX_METRICS = 12
"""Metrics of a repair that are printed; result.json has all."""

ARROWS = {"higher": "↑", "lower": "↓"}


Pair = tuple[Finding | None, Finding | None]
"""A finding before and after a repair; ``None`` where it was not made."""


@dataclass(frozen=True)
class MetricLine:
    """A metric before and after as text, their difference with its paired interval, and what that shows."""

    name: str
    before: str
    after: str
    difference: str
    shown: str


@dataclass(frozen=True)
class RepairView:
    """One repair: the metrics on the same rows, what it measured itself, and its findings before and after.

    ``pairs`` are failures that the repair answers, and findings with another verdict after it; ``same_verdict`` those
    with other numbers alone; ``unchanged`` are the codes of findings that say the same after. ``baseline``
    are the metrics after the plain repair of the same fault, ``plain`` its findings, by code and subject before.
    """

    repair: RepairRecord
    metrics: tuple[MetricLine, ...]
    measured: tuple[tuple[str, str, str], ...]
    pairs: tuple[Pair, ...]
    same_verdict: tuple[Pair, ...]
    unchanged: tuple[str, ...]
    baseline: tuple[MetricLine, ...]
    plain: Mapping[tuple[str, str], Finding]
    anchor: str

    def sides(self, before: Finding | None, after: Finding | None) -> tuple[tuple[str, Finding | None], ...]:
        """The findings before, after the repair, and after the plain one where there is one."""
        own = ("before", before), ("after", after)
        known = None if before is None else self.plain.get((before.code, before.subject))
        return (*own, ("after the plain repair", known)) if self.repair.baseline_change else own


def repair_views(record: Record) -> list[RepairView]:
    """The repairs of a record in their order."""
    return [
        RepairView(
            repair,
            tuple(map(_metric, repair.metrics[:MAX_METRICS])),
            _measured(repair),
            *_by_change(pair_findings(repair), answered_codes(record, repair)),
            tuple(map(_metric, repair.baseline_metrics[:MAX_METRICS])),
            _plain_findings(repair),
            repair_anchor(place),
        )
        for place, repair in enumerate(record.repairs)
    ]


def _metric(change: MetricChange) -> MetricLine:
    difference, interval = change.after - change.before, change.interval
    decimals = decimals_for(change.before, change.after)
    text = f"{format_signed(difference, decimals)} {format_interval(interval.low, interval.high, decimals)}".strip()
    is_better = interval.low > 0 if change.better == "higher" else interval.high < 0
    return MetricLine(
        f"{metric_label(change.name)} {ARROWS.get(change.better, '')}".strip(),
        format_number(change.before, decimals),
        format_number(change.after, decimals),
        text if math.isfinite(difference) else "undefined",
        "worse" if change.is_worse else "better" if is_better else "not shown",
    )


def _measured(repair: RepairRecord) -> tuple[tuple[str, str, str], ...]:
    """What the repair itself measured and the paired metrics do not say: name, before and after."""
    paired = {change.name for change in repair.metrics}
    names = [n for n in repair.measured_after if not {(own := n.split(",")[0]), REPLACED.get(own, own)} & paired]
    return tuple(
        (
            name.replace(", low", ", lower limit").replace(", high", ", upper limit"),
            format_number(repair.measured_before.get(name)),
            format_number(repair.measured_after[name]),
        )
        for name in names
    )


def pair_findings(repair: RepairRecord) -> list[Pair]:
    """Each finding before with the same check after; the repaired model may have another name."""
    left = list(repair.after)
    pairs: list[Pair] = []
    for before in repair.before:
        same_code = sorted((f for f in left if f.code == before.code), key=lambda f: f.subject != before.subject)
        after = same_code[0] if same_code else None
        left = [f for f in left if f is not after]
        pairs.append((before, after))
    return [*pairs, *((None, f) for f in left)]


@dataclass(frozen=True)
class RepairedFinding:
    """A finding that a repair answers, before it, after it and after the plain repair; ``anchor`` is the repair's."""

    anchor: str
    method: str
    before: Finding
    after: Finding
    plain: Finding | None


def repair_anchor(place: int) -> str:
    """The id on the page of the repair at a place of the record."""
    return f"repair-{place + 1}"


def repaired_findings(record: Record) -> list[RepairedFinding]:
    """The findings that the repairs of a record answer, in the order of the repairs."""
    found = []
    for place, repair in enumerate(record.repairs):
        codes = answered_codes(record, repair)
        plain = _plain_findings(repair)
        found += [
            RepairedFinding(repair_anchor(place), repair.method, b, a, plain.get((b.code, b.subject)))
            for b, a in pair_findings(repair)
            if b is not None and a is not None and b.code in codes
        ]
    return found


def answered_codes(record: Record, repair: RepairRecord) -> set[str]:
    """The codes of the checks that a repair answers."""
    return {check.code for check in record.checks if any(one.method == repair.method for one in check.repairs)}


def _plain_findings(repair: RepairRecord) -> Mapping[tuple[str, str], Finding]:
    """The findings after the plain repair, by the code and subject of those before."""
    return {
        (before.code, before.subject): after
        for before, after in pair_findings(replace(repair, after=repair.baseline))
        if before is not None and after is not None
    }


def _by_change(pairs: Sequence[Pair], answered: set[str]) -> tuple[tuple[Pair, ...], tuple[Pair, ...], tuple[str, ...]]:
    """The pairs that changed or are answered, those with the same verdict, and the codes of those that say the same."""
    same = [pair for pair in pairs if _says_the_same(*pair)]
    others = [pair for pair in pairs if pair not in same]
    same_verdict = [
        (before, after)
        for before, after in others
        if before
        and after
        and before.verdict == after.verdict
        and (before.code not in answered or before.verdict != "fail")
    ]
    changed = [pair for pair in others if pair not in same_verdict]
    return tuple(changed), tuple(same_verdict), tuple(before.code for before, _ in same if before is not None)


def _says_the_same(before: Finding | None, after: Finding | None) -> bool:
    return before is not None and after is not None and (before.verdict, before.claim) == (after.verdict, after.claim)


def describe_tried(record: Record, finding: Finding) -> str:
    """What the repairs that were tried did to a finding, and the price; empty where none was tried on it.

    Of several repairs the one with the best verdict after it is described, then the one with the smallest estimate
    on the passing side.
    """
    tried = [(repair, after) for repair in record.repairs if (after := _after(repair, finding)) is not None]
    if not tried:
        return ""
    ranks = list(VERDICTS)
    sign = -1.0 if finding.direction == "at least" else 1.0
    best, after = max(tried, key=lambda one: (ranks.index(one[1].verdict), -sign * _known(one[1].estimate, sign)))
    others = f" (best of {len(tried)} repairs)" if len(tried) > 1 else ""
    was, now = finding_numbers(finding)[0], finding_numbers(after)[0]
    effect = f"{finding.code} {was} → {now} ({finding.verdict} → {after.verdict})"
    change = best.change.split(" (")[0]
    needed = describe_rows_needed(after)
    end = f"It is not shown to be enough{f': {needed}' if needed else ''}"
    end = "Decide whether this price is acceptable" if after.verdict == "pass" else end
    return f"Tried in this audit, {method_name(best.method)}{others}: {change}: {effect}. {_price(best)}. {end}."


def _known(estimate: float, sign: float) -> float:
    return estimate if math.isfinite(estimate) else sign * math.inf


def _after(repair: RepairRecord, finding: Finding) -> Finding | None:
    """The finding after a repair; ``None`` where it was not made again."""
    pairs = [(b, a) for b, a in pair_findings(repair) if b is not None and b.code == finding.code]
    return next((after for before, after in pairs if before.subject == finding.subject), None)


def _price(repair: RepairRecord) -> str:
    """The metrics that are shown to be worse, and the checks that passed before and fail after."""
    broken = [
        after.code
        for before, after in pair_findings(repair)
        if before is not None and after is not None and (before.verdict, after.verdict) == ("pass", "fail")
    ]
    fails = [f"now fails {join_names(list(dict.fromkeys(broken)))}"] * bool(broken)
    worse = [_moved(change) for change in repair.metrics if change.is_worse]
    if worse:
        return f"Price on the same rows: {join_names([*worse[:4], *fails])}"
    if not repair.metrics:
        return f"Price: {fails[0]}" if fails else "Its price was not measured: give labels of the rows"
    shown = next((change for change in repair.metrics if change.name in FIRST), repair.metrics[0])
    return f"Price: {', '.join([*fails, 'no metric is shown to be worse'])} ({_moved(shown)})"


def _moved(change: MetricChange) -> str:
    decimals = decimals_for(change.before, change.after)
    return f"{change.name} {format_number(change.before, decimals)} → {format_number(change.after, decimals)}"
