# SPDX-License-Identifier: Apache-2.0
"""Segments of rows in which the model's predictions are worse than its scores tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import Basis, Interval
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.check_findings import judged_finding
from assay.engine.declare import diagnostic
from assay.engine.performance.expected_errors import expected_errors
from assay.engine.performance.labelled_outputs import LabelledOutputs, labelled_outputs
from assay.engine.performance.segments import Segment, search_rows, worst_segments
from assay.nouns.catalogue import Check, Method
from assay.nouns.results.finding import MAX_ROWS, Finding

MAX_GAP, MAX_EXCESS = 0.15, 0.5
"""Default thresholds: excess of the error rate, and of the mean absolute error in units of the overall one."""

MIN_ROWS = 100
"""Fewer rows are not divided."""

_REMEDY = (
    "Look at the rows of this segment: collect more of them, or add what distinguishes them as a column; until then do "
    "not use the model there."
)

ERRORS = Check(
    "PER201",
    "Is there a segment of rows where the model is wrong much more often than its scores tell?",
    _REMEDY,
    MAX_GAP,
    "at most",
    severe=0.3,
)
RESIDUALS = Check(
    "PER202",
    "Is there a segment of rows where the values of the regression are much farther off?",
    _REMEDY,
    MAX_EXCESS,
    "at most",
    severe=1.5,
)
CHECKS = (ERRORS, RESIDUALS)

MEANING = {
    ERRORS: "Excess of wrong decisions in the worst segment found: their share minus the share among rows of the same "
    "score, less the same difference for all other rows; 0 where the scores tell all there is to know. Near the border "
    "between classes every model errs more often, and its scores show it: that is no excess. The segment was chosen in "
    "other rows than those that measure it. Where most decisions are wrong is stated too, without a verdict.",
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
    """How much worse the model is in a segment of rows, defined by one or two columns, than its scores tell.

    The case holds rows the model was not trained on, with their true ``labels``. Half of the rows (at most 10,000,
    drawn by the seed) search: shallow trees are fitted to the loss of each row (a regression's absolute residual; 1 for
    a wrong decision, else 0, minus its expectation) on every column and on pairs of columns, and at most ``most``
    slices with the largest loss are carried over. The other rows measure them. A segment has at least 20 rows and 4 %
    of the rows in both parts. Levels and missing values are conditions of their own.

    PER201: largest excess of wrong decisions; at most ``gap``. The excess is the difference of the share of wrong
    decisions, inside minus outside, less the same difference of the expected shares: those of rows of the same score,
    by isotonic regression in the search rows. A weak segment is where the model is wrong and does not show it (as in
    multicalibration, Hébert-Johnson et al. 2018); a noisy border between classes that the scores show is none, nor is
    miscalibration of all rows (PER104). A model that gives decisions only has one expectation for all rows of a class.
    The evidence also has the segments of most errors (``most errors``), whatever the scores.

    PER202, for regressions: largest difference of the mean absolute error, inside minus outside, in units of the mean
    absolute error of the search rows; at most ``excess``. A regression gives no distribution, so there is no
    expectation to subtract: labels that vary more in a segment fail it too.

    The interval combines Wilson's limits (Student's for skewed residuals) inside and outside as Newcombe does,
    corrected for the number of segments (Bonferroni), so that the choice of the worst is accounted for. The segment
    named is that with the largest lower limit.

    Not applicable to several values a row, fewer than 100 rows, and where no segment is worse in the search rows. Slice
    Finder and SliceLine rank slices by the loss itself and measure them on the rows in which they find them: the border
    between classes comes first, and differences are too large.
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
    if not found.is_classifier:
        residual = np.abs(found.outputs[:, 0] - found.labels)
        usual = float(residual[searched].mean()) or 1.0
        return [
            _finding(RESIDUALS, _Split(case, found, residual / usual, None, searched, measured), most, level, excess)
        ]
    wrong, expected = 1.0 - found.correct.astype(np.float64), expected_errors(found, searched)
    return [_finding(ERRORS, _Split(case, found, wrong, expected, searched, measured), most, level, gap)]


@dataclass(frozen=True, eq=False)
class _Split:
    """The loss (row,) and its expectation (row,) of rows that search segments and of rows that measure them."""

    case: Case
    found: LabelledOutputs
    loss: Floats
    expected: Floats | None
    searched: Ints
    measured: Ints

    def worst(self, most: int, level: float, beyond: Floats | None) -> list[_Measured]:
        """At most ``most`` segments of the largest loss ``beyond`` an expectation (row,), by their lower limits."""
        loss = self.loss if beyond is None else self.loss - beyond
        segments = worst_segments(self.case, loss, self.searched, self.measured, most)
        own = None if beyond is None else beyond[self.measured]
        each = 1 - (1 - level) / max(len(segments), 1)
        found = [_measure(segment, self.loss[self.measured], own, each) for segment in segments]
        return sorted(found, key=lambda one: (-one.limits.low, -one.difference))


def _obstacle(case: Case, found: LabelledOutputs) -> str:
    """Why the rows have no segments, or the model no loss; empty where they have."""
    if len(case) < MIN_ROWS:
        return f"{len(case)} rows are too few to search in one half and measure in the other; 100 are needed"
    if found.is_classifier:
        return "" if found.kind.decides else "the model's outputs do not show its decisions"
    count = found.outputs.shape[1]
    return "" if count == 1 else f"the model gives {count} values a row; audit one: assay.model.one_output(model, name)"


@dataclass(frozen=True, eq=False)
class _Measured:
    """A segment with its mean loss, that of the other rows, both expectations, and the limits of the excess."""

    segment: Segment
    here: float
    elsewhere: float
    expected: tuple[float, float]
    limits: Interval

    @property
    def difference(self) -> float:
        """The excess of the mean loss inside."""
        return (self.here - self.elsewhere) - (self.expected[0] - self.expected[1])

    def as_evidence(self) -> dict[str, Any]:
        """A line of a table."""
        return {
            "condition": self.segment.condition,
            "rows": int(self.segment.inside.sum()),
            "error": self.here,
            "error elsewhere": self.elsewhere,
            "difference": self.difference,
            "low": self.limits.low,
            "high": self.limits.high,
        }


def _measure(segment: Segment, values: Floats, expected: Floats | None, level: float) -> _Measured:
    own = (0.0, 0.0) if expected is None else _means(expected, segment.inside)
    data = {"values": values, "inside": segment.inside[:, None], "expected": np.array([own[0] - own[1]])}
    return _Measured(segment, *_means(values, segment.inside), own, Basis("gaps", data).at(level))


def _finding(check: Check, split: _Split, most: int, level: float, threshold: float) -> Finding:
    segments = split.worst(most, level, split.expected)
    if not segments:
        why = "no segment of enough rows has more errors than the rest of the rows"
        return _not_applicable(check, split.case, why)
    worst, measured = segments[0], split.measured
    data = {
        "values": split.loss[measured],
        "inside": np.stack([one.segment.inside for one in segments], axis=1),
        "expected": np.array([one.expected[0] - one.expected[1] for one in segments]),
    }
    evidence: dict[str, Any] = {"segments": [one.as_evidence() for one in segments]}
    claim = f"Where {worst.segment.condition} ({evidence['segments'][0]['rows']} of {len(measured)} rows), "
    if split.expected is None:
        claim += _errors(worst)
    else:
        plain = split.worst(most, level, None)
        for line, one in zip(evidence["segments"], segments):
            line |= _expectations(split, one)
        evidence["most errors"] = [one.as_evidence() for one in plain]
        claim += _rates(worst) + _most_errors(worst, plain)
    return judged_finding(
        check,
        Basis("gaps", data),
        level,
        threshold,
        ADVICE,
        claim=claim,
        subject=split.case.model.name,
        estimate=worst.difference,
        null=0.0,
        n=len(measured),
        meaning=MEANING[check],
        evidence=evidence | {"rows searched": len(split.searched), "rows measured": len(measured)},
        affected=float(worst.segment.inside.mean()),
        rows=_worst_rows(split, worst),
    )


def _worst_rows(split: _Split, worst: _Measured) -> tuple[str, ...]:
    """Ids of the measured rows of a segment with a loss above 0, the largest loss first."""
    rows = split.measured[worst.segment.inside]
    rows = rows[np.argsort(-split.loss[rows], kind="stable")][:MAX_ROWS]
    return tuple(split.case.rows.ids[i] for i in rows[split.loss[rows] > 0])


def _expectations(split: _Split, one: _Measured) -> dict[str, float]:
    """The expected shares of wrong decisions: of rows of the same score, and by the model's own probabilities."""
    line = {"error of rows of the same score": one.expected[0], "elsewhere of the same score": one.expected[1]}
    if split.found.probabilities is not None:
        rows = split.measured
        own = _means(1 - split.found.probabilities[rows, split.found.predicted[rows]], one.segment.inside)
        line |= {"error by its own probabilities": own[0], "error elsewhere by its own probabilities": own[1]}
    return line


def _rates(worst: _Measured) -> str:
    return (
        f"{worst.here:.1%} of decisions are wrong, and {worst.expected[0]:.1%} are expected for rows with the same "
        f"scores; elsewhere {worst.elsewhere:.1%} are wrong, and {worst.expected[1]:.1%} are expected."
    )


def _most_errors(worst: _Measured, plain: list[_Measured]) -> str:
    """The segment of most errors, where it has other rows."""
    if not plain or _shared(worst.segment, plain[0].segment) > 0.5:
        return ""
    most = plain[0]
    return (
        f" The segment with the largest share of errors: {most.here:.1%} where {most.segment.condition}; elsewhere "
        f"{most.elsewhere:.1%}."
    )


def _shared(one: Segment, other: Segment) -> float:
    """Rows in both segments, of those in either."""
    return float((one.inside & other.inside).sum() / max((one.inside | other.inside).sum(), 1))


def _errors(worst: _Measured) -> str:
    return f"the mean absolute error is {worst.here:.2f} times the usual one; elsewhere {worst.elsewhere:.2f}."


def _means(values: Floats, inside: Any) -> tuple[float, float]:
    return float(values[inside].mean()), float(values[~inside].mean())


def _not_applicable(check: Check, case: Case, why: str) -> Finding:
    return Finding(
        code=check.code,
        verdict="not applicable",
        claim=f"{case.model.name}: {why}.",
        subject=case.model.name,
        n=len(case),
        meaning=MEANING[check],
    )
