# SPDX-License-Identifier: Apache-2.0
"""Comparison of two audits: changes of checks, and drift of the explanations of the same rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from assay.auditing.run import Run, write_atomically
from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.stats import Interval, clopper_pearson, spearman, student_interval
from assay.basics.types import Floats, Ints
from assay.engine.comparison.criteria import criterion_named, reading, reference_method
from assay.nouns.comparisons.audit_comparison import Change, ChangeStatus, Comparison, Drift
from assay.nouns.records.record import Record, check_key
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Explanation

DRAWS = 200
"""Pairs of explanations sampled within their standard errors, for the null distribution of the similarity."""

ROUNDING = float(np.finfo(np.float32).eps)
"""Differences up to this share of the compared numbers, or of the threshold, are rounding, and count as 0."""

TOP = 0.2
"""Share of the features that count as top features."""


def compare(before: Run | str | Path, after: Run | str | Path, *, level: float = 0.95) -> Comparison:
    """Changes of each check between two audits, and drift of the explanations of the same rows.

    ``before`` and ``after`` are runs or their folders: two runs of one model, or audits of two models on the same rows.
    Checks that are means over rows are compared on paired rows (Student's interval of the differences) where both
    audits scored the same rows, and from their two intervals otherwise (Zou and Donner 2008), which assumes
    independent audits and is too wide where they share rows. All intervals of change hold jointly at ``level``.
    Differences of up to 1.2e-7 of the compared numbers or of the check's threshold (the precision of float32) count as
    0, in checks and in drift: the same model on another machine is neither better nor worse.

    Drift compares the explanations of rows that both audits explained, for the same class: rank correlation, overlap of
    the top fifth of the features, and cosine similarity. Sampled explanations vary between runs; the band is the null
    distribution of the similarity, from their own standard errors, and only similarity below it is drift.
    """
    one, two = (run if isinstance(run, Run) else Run.load(run) for run in (before, after))
    if not 0 < level < 1:
        raise InputError(f"level={level}; a confidence level is between 0 and 1.")
    found = _align(one, two)
    shared = [pair for pair in found.values() if pair[0] is not None and pair[1] is not None]
    each = 1 - (1 - level) / max(len(shared), 1)
    changes = [_change(key, pair, one.record, two.record, each) for key, pair in found.items()]
    order = ("newly failing", "worse", "gone", "new", "no change shown", "better", "fixed")
    common = _common(one.record.predictions, _ids(one.record), two.record.predictions, _ids(two.record))
    class_changes = sum(a != b for a, b in common)
    return Comparison(
        before=f"{one.record.title}, {one.record.about.get('model fingerprint', '')}",
        after=f"{two.record.title}, {two.record.about.get('model fingerprint', '')}",
        changes=tuple(sorted(changes, key=lambda c: (order.index(c.status), c.code, c.subject))),
        drifts=tuple(_drifts(one.record, two.record, level)),
        class_change_rate=clopper_pearson(class_changes, len(common), level) if common else None,
        class_changes=class_changes,
        rows=len(common),
        level=level,
        notes=tuple(_notes(one.record, two.record)),
    )


def to_html(comparison: Comparison, path: str | Path) -> Path:
    """Write the comparison as a page in one self-contained file."""
    from assay.report.comparison.page import render_comparison

    return write_atomically(Path(path), render_comparison(comparison))


Pair = tuple[Finding | None, Finding | None]


def _align(one: Run, two: Run) -> dict[tuple[str, str], Pair]:
    """The findings of each check, by code and subject; a subject that is the model's name matches the other model's."""
    first, second = _by_check(one), _by_check(two)
    return {key: (first.get(key), second.get(key)) for key in dict.fromkeys([*first, *second])}


def _by_check(run: Run) -> dict[tuple[str, str], Finding]:
    """The worst finding of each check, by its key."""
    found: dict[tuple[str, str], Finding] = {}
    for finding in run.findings:
        found.setdefault(check_key(run.record, finding), finding)
    return found


def _change(key: tuple[str, str], pair: Pair, one: Record, two: Record, level: float) -> Change:
    before, after = pair
    code, subject = key
    if before is None or after is None:
        return Change(code, subject, "gone" if after is None else "new", before, after, math.nan, None, False, 0)
    rows = _paired_differences(before, one, two)
    if rows is None and _rounded(before.estimate, after.estimate, before.threshold or 0.0) == before.estimate:
        change, interval = 0.0, _independent_interval(before, replace(after, estimate=before.estimate), level)
    elif rows is None:
        change, interval = after.estimate - before.estimate, _independent_interval(before, after, level)
    else:
        change, interval = float(rows.mean()), student_interval(rows, level)
    paired, count = rows is not None, 0 if rows is None else len(rows)
    return Change(code, subject, _status(before, after, interval), before, after, change, interval, paired, count)


def _paired_differences(finding: Finding, one: Record, two: Record) -> Floats | None:
    """After − before (row,) of the values that the check averages, for the rows that both audits scored."""
    criterion = criterion_named(finding.code)
    if criterion is None:
        return None
    key = finding.subject, criterion.score
    if key not in one.scores or key not in two.scores:
        return None
    values = [
        reading(criterion, finding.subject, record.scores, reference_method(record.scores, (finding.subject,))).rows
        for record in (one, two)
    ]
    places = [{name: place for place, name in enumerate(record.scores[key].ids)} for record in (one, two)]
    if _data_of(one) != _data_of(two):
        return None  # rows of other data may have the same ids
    names = [name for name in places[0] if name in places[1]]
    first, second = (np.array([own[place[name]] for name in names]) for own, place in zip(values, places))
    rows = _rounded(first, second, finding.threshold or 0.0) - first
    defined = rows[np.isfinite(rows)] if len(rows) else rows
    return defined if len(defined) > 1 else None


def _rounded(before: Any, after: Any, scale: Any) -> Any:
    """The numbers ``after``, those of ``before`` where they differ by rounding, relative to both and to ``scale``."""
    size = np.maximum(np.maximum(np.abs(before), np.abs(after)), np.abs(scale))
    return np.where(np.abs(after - before) <= ROUNDING * size, before, after)


def _independent_interval(before: Finding, after: Finding, level: float) -> Interval | None:
    """Interval for after − before from the interval of each, for independent estimates."""
    one, two = (f.basis.at(level) if f.basis is not None else f.interval for f in (before, after))
    if one is None or two is None:
        return None
    a, b = before.estimate, after.estimate
    low = b - a - math.hypot(b - two.low, one.high - a)
    high = b - a + math.hypot(two.high - b, a - one.low)
    return Interval(low, high, level, "zou-donner")


def _status(before: Finding, after: Finding, interval: Interval | None) -> ChangeStatus:
    failed = ("fail", "error")
    if after.verdict in failed and before.verdict not in failed:
        return "newly failing"
    if before.verdict in failed and after.verdict == "pass":
        return "fixed"
    if interval is None or math.isnan(interval.low) or 0.0 in interval or not after.direction:
        return "no change shown"
    is_increase = interval.low > 0
    return "better" if is_increase == (after.direction == "at least") else "worse"


def _ids(record: Record) -> tuple[str, ...]:
    return next((explanation.ids for explanation in record.explanations.values()), ())


def _common(
    one: tuple[str, ...], one_ids: tuple[str, ...], two: tuple[str, ...], two_ids: tuple[str, ...]
) -> list[tuple[str, str]]:
    """The predicted classes of the rows that both audits explained."""
    other = dict(zip(two_ids, two))
    return [(label, other[name]) for name, label in zip(one_ids, one) if name in other]


def _drifts(one: Record, two: Record, level: float) -> list[Drift]:
    if _data_of(one) != _data_of(two):
        return []
    found = []
    for name in one.explanations:
        if name in two.explanations and name not in (*one.references, *two.references):
            found += _drift(one.explanations[name], two.explanations[name], level)
    return found


def _drift(one: Explanation, two: Explanation, level: float) -> list[Drift]:
    if one.features.names != two.features.names:
        return []
    places = {name: place for place, name in enumerate(two.ids)}
    both = np.array([(i, places[name]) for i, name in enumerate(one.ids) if name in places], dtype=np.int64)
    if not len(both):
        return []
    same = np.array([_label(one, i) == _label(two, j) for i, j in both])
    a, b = both[same].T
    if len(a) < 2:
        return []
    noise = _standard_errors(one, a), _standard_errors(two, b)
    seed = Seed(one.provenance.seed.root).child("compare", one.method)
    drifts = []
    first, second = one.values[a], two.values[b]
    second = _rounded(first, second, np.abs(first).max(axis=1, keepdims=True, initial=0.0))
    for measure, similarity in SIMILARITIES.items():
        values = similarity(first, second)
        values = values[np.isfinite(values)]
        band = _null_band(one.values[a], noise, measure, seed, level)
        interval = student_interval(values, level)
        drifted = bool(interval.high < band[0] - ROUNDING)
        mean = float(values.mean()) if len(values) else math.nan
        drifts.append(Drift(one.method, measure, mean, interval, band, drifted, len(values), int((~same).sum())))
    return drifts


def _label(explanation: Explanation, row: int) -> str:
    return explanation.labels[row] if explanation.labels else ""


def _standard_errors(explanation: Explanation, rows: Ints) -> Floats:
    """Standard errors (row, part); 0 for a deterministic method and where they are unknown."""
    if explanation.stderr is None:
        return np.zeros((len(rows), explanation.values.shape[1]))
    return np.nan_to_num(explanation.stderr[rows])


def _null_band(
    values: Floats, noise: tuple[Floats, Floats], measure: str, seed: Seed, level: float
) -> tuple[float, float]:
    """Interval of the mean similarity of two explanations that are sampled around the same values."""
    if not (noise[0].any() or noise[1].any()):
        return 1.0, 1.0
    generator = seed.child(measure).generator()
    means = []
    for _ in range(DRAWS):
        sides = [values + error * generator.standard_normal(values.shape) for error in noise]
        similarity = SIMILARITIES[measure](*sides)
        means.append(float(np.nanmean(similarity)) if np.isfinite(similarity).any() else math.nan)
    low, high = np.nanquantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _top_overlap(one: Floats, two: Floats) -> Floats:
    """Share (row,) of the top fifth of the features by |value| that both have in common."""
    count = max(1, math.ceil(TOP * one.shape[1] - 1e-9))
    tops = [np.argsort(-np.abs(values), axis=1, kind="stable")[:, :count] for values in (one, two)]
    return np.array([len(set(a) & set(b)) / count for a, b in zip(tops[0].tolist(), tops[1].tolist())])


def _cosine(one: Floats, two: Floats) -> Floats:
    size = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
    return np.divide((one * two).sum(axis=1), size, out=np.full(len(one), np.nan), where=size > 0)


SIMILARITIES = {"rank correlation": spearman, "top overlap": _top_overlap, "cosine": _cosine}
"""Similarities of two explanations (row, part), one number per row; 1 is equal."""


def _data_of(record: Record) -> str:
    """The number, shape and fingerprint of the rows; equal for equal rows only."""
    fingerprint = record.about.get("data fingerprint", "")
    return record.about.get("data", "") + (f", fingerprint {fingerprint}" if fingerprint else "")


def _notes(one: Record, two: Record) -> list[str]:
    notes: list[str] = []
    settings: Mapping[str, str] = {
        "data": "rows differ",
        "explained output": "explained output differs",
        "profile": "profile differs",
        "seed": "seed differs",
    }
    for name, word in settings.items():
        first, second = (_data_of(record) if name == "data" else record.about.get(name) for record in (one, two))
        if first != second:
            notes.append(f"The {word}: {first} against {second}.")
    if _data_of(one) != _data_of(two):
        notes.append("Without common rows there is no paired comparison and no drift.")
    return notes
