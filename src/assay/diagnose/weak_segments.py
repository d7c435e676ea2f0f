# SPDX-License-Identifier: Apache-2.0
"""Segments of rows in which the model's predictions are worse than elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import Basis
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.check_findings import judged_finding
from assay.engine.declare import diagnostic
from assay.engine.performance.labelled_outputs import LabelledOutputs, labelled_outputs
from assay.engine.performance.segments import Segment, search_rows, worst_segments
from assay.nouns.catalogue import Check, Method
from assay.nouns.results.finding import Finding

MAX_GAP, MAX_EXCESS = 0.15, 0.5
"""Default thresholds: difference of error rates, and of mean absolute errors in units of the overall one."""

MIN_ROWS = 100
"""Fewer rows are not divided."""

_REMEDY = (
    "Look at the rows of this segment: collect more of them, or add what distinguishes them as a column; until then do "
    "not use the model there."
)

ERRORS = Check(
    "PER201",
    "Is there a segment of rows where the model decides wrongly much more often?",
    _REMEDY,
    MAX_GAP,
    "at most",
)
RESIDUALS = Check(
    "PER202",
    "Is there a segment of rows where the values of the regression are much farther off?",
    _REMEDY,
    MAX_EXCESS,
    "at most",
)
CHECKS = (ERRORS, RESIDUALS)

MEANING = {
    ERRORS: "Share of wrong decisions in the worst segment found minus that of all other rows, −1 … 1. The segment was "
    "chosen in other rows than those that measure it. Near the border between classes every model errs more often: "
    "where the model's own probabilities expect this error, its rows are hard to decide and the model shows it; where "
    "they do not, the model is wrong without showing it.",
    RESIDUALS: "Mean absolute error in the worst segment found minus that of all other rows, in units of the mean "
    "absolute error of the search rows: 0.5 means larger by half of the usual error. The segment was chosen in other "
    "rows than those that measure it. Labels that vary more in a segment make it worse for any model.",
}
ADVICE = {
    "pass": "No action needed on this evidence; segments of three or more columns, or of few rows, are not searched.",
    "fail": _REMEDY,
    "undecided": "Give more rows with true labels; the interval contains the threshold.",
}


def _calls(method: Method, inputs: AuditInputs) -> list[Call]:
    """One call on all rows, whose outputs are counted as its own."""
    return [Call((inputs.ask(), inputs.labels), inputs.options_of(method))]


@diagnostic(source="chung2019", needs={"labels", "table"}, checks=CHECKS, calls=_calls)
def weak_segments(
    case: Case,
    labels: Any,
    *,
    level: float = 0.95,
    gap: float = MAX_GAP,
    excess: float = MAX_EXCESS,
    most: int = 5,
) -> list[Finding]:
    """How much worse the model is in a segment of rows, defined by one or two columns, than in all other rows.

    The case holds rows the model was not trained on, with their true ``labels``. Half of the rows (at most 10,000,
    drawn by the seed) search: shallow trees are fitted to the loss of each row (1 for a wrong decision, else 0; a
    regression's absolute residual) on every column and on pairs of columns, and at most ``most`` slices with the
    largest loss are carried over. The other rows measure them. A segment has at least 20 rows and 4 % of the rows in
    both parts. Levels and missing values are conditions of their own.

    PER201: largest difference of the share of wrong decisions, inside minus outside; at most ``gap``. PER202, for
    regressions: largest difference of the mean absolute error, inside minus outside, in units of the mean absolute
    error of the search rows; at most ``excess``. The interval combines Wilson's limits (Student's for skewed residuals)
    inside and outside as Newcombe does, corrected for the number of segments (Bonferroni), so that the choice of the
    worst is accounted for. The segment named is that with the largest lower limit.

    Not applicable to several values a row, fewer than 100 rows, and where no segment is worse in the
    search rows. Slice Finder tests slices on the rows in which it finds them; differences are then too large.
    """
    if not (0 < level < 1 and 0 <= gap <= 1 and excess >= 0 and 1 <= most <= 100):
        raise InputError(
            f"level={level}, gap={gap}, excess={excess}, most={most}; needed are a level in (0, 1), a gap in [0, 1], "
            f"excess ≥ 0 and 1 to 100 segments."
        )
    found = labelled_outputs(case, labels)
    check = ERRORS if found.is_classifier else RESIDUALS
    why = _obstacle(case, found)
    if why:
        return [_not_applicable(check, case, why)]
    searched, measured = search_rows(case, case.seed.child("weak segments"))
    loss = _losses(found)
    scale = 1.0 if found.is_classifier else float(loss[searched].mean())
    segments = worst_segments(case, loss, searched, measured, most)
    if not segments:
        return [_not_applicable(check, case, "no segment of enough rows has more errors than the rest of the rows")]
    threshold = gap if found.is_classifier else excess
    return [_finding(check, case, found, loss / scale, segments, measured, level, threshold)]


def _obstacle(case: Case, found: LabelledOutputs) -> str:
    """Why the rows have no segments, or the model no loss; empty where they have."""
    if len(case) < MIN_ROWS:
        return f"{len(case)} rows are too few to search in one half and measure in the other; 100 are needed"
    if found.is_classifier:
        return "" if found.kind.decides else "the model's outputs do not show its decisions"
    count = found.outputs.shape[1]
    return "" if count == 1 else f"the model gives {count} values a row; audit one: assay.model.one_output(model, name)"


def _losses(found: LabelledOutputs) -> Floats:
    """1 for a wrong decision, else 0; the absolute residual of a regression (row,)."""
    if found.is_classifier:
        return 1.0 - found.correct.astype(np.float64)
    return np.asarray(np.abs(found.outputs[:, 0] - found.labels))


def _finding(
    check: Check,
    case: Case,
    found: LabelledOutputs,
    loss: Floats,
    segments: list[Segment],
    measured: Ints,
    level: float,
    threshold: float,
) -> Finding:
    values, inside = loss[measured], np.stack([segment.inside for segment in segments], axis=1)
    expected = _expected(found, measured)
    lines = [_line(segment, values, expected, level, len(segments)) for segment in segments]
    order = sorted(range(len(lines)), key=lambda place: (-lines[place]["low"], -lines[place]["difference"]))
    worst = order[0]
    text = _rates(lines[worst]) if found.is_classifier else _errors(lines[worst])
    return judged_finding(
        check,
        Basis("gaps", {"values": values, "inside": inside}),
        level,
        threshold,
        ADVICE,
        claim=f"Where {segments[worst].condition} ({lines[worst]['rows']} of {len(measured)} rows), {text}.",
        subject=case.model.name,
        estimate=lines[worst]["difference"],
        null=0.0,
        n=len(measured),
        meaning=MEANING[check],
        evidence={
            "segments": [lines[place] for place in order],
            "rows searched": len(case) - len(measured),
            "rows measured": len(measured),
        },
    )


def _line(segment: Segment, values: Floats, expected: Floats | None, level: float, segments: int) -> dict[str, Any]:
    """One segment of the table, its interval at the level that holds for all segments together."""
    limits = Basis("gaps", {"values": values, "inside": segment.inside[:, None]}).at(1 - (1 - level) / segments)
    here, elsewhere = _means(values, segment.inside)
    line = {
        "condition": segment.condition,
        "rows": int(segment.inside.sum()),
        "error": here,
        "error elsewhere": elsewhere,
        "difference": here - elsewhere,
        "low": limits.low,
        "high": limits.high,
    }
    if expected is not None:
        own = _means(expected, segment.inside)
        line |= {"error by its own probabilities": own[0], "error elsewhere by its own probabilities": own[1]}
    return line


def _rates(line: dict[str, Any]) -> str:
    text = f"{line['error']:.1%} of decisions are wrong; elsewhere {line['error elsewhere']:.1%}"
    own = [value for name, value in line.items() if name.endswith("by its own probabilities")]
    return f"{text} (expected by the model's own probabilities: {own[0]:.1%} and {own[1]:.1%})" if own else text


def _errors(line: dict[str, Any]) -> str:
    return (
        f"the mean absolute error is {line['error']:.2f} times the usual one; elsewhere {line['error elsewhere']:.2f}"
    )


def _means(values: Floats, inside: Any) -> tuple[float, float]:
    return float(values[inside].mean()), float(values[~inside].mean())


def _expected(found: LabelledOutputs, rows: Ints) -> Floats | None:
    """1 − probability of the class decided for (row,): the error rate of a calibrated model."""
    if not found.is_classifier or found.probabilities is None:
        return None
    return np.asarray(1 - found.probabilities[rows, found.predicted[rows]])


def _not_applicable(check: Check, case: Case, why: str) -> Finding:
    return Finding(
        code=check.code,
        verdict="not applicable",
        claim=f"{case.model.name}: {why}.",
        subject=case.model.name,
        n=len(case),
        meaning=MEANING[check],
    )
