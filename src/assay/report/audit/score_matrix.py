# SPDX-License-Identifier: Apache-2.0
"""Table of explainers and scores: means with intervals, and a comparison with a random explanation on the same rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from assay.basics.stats import Interval, student_interval
from assay.nouns.records.record import Record
from assay.nouns.results.finding import Verdict
from assay.nouns.results.result import Score
from assay.report.audit.summary import TRUST
from assay.report.drawing.formatting import ROUNDING, decimals_for, format_interval, format_number, rounding_title

RANDOM = "random"
"""The explainer that all others are compared with."""

ARROWS = {"higher": "↑", "lower": "↓", "neither": ""}


@dataclass(frozen=True)
class Cell:
    """A mean, its interval, and the number of rows where some are undefined.

    ``against_random`` is "better", "worse", "no difference", or empty where nothing can be compared; ``title`` is a
    ``title`` attribute or empty.
    """

    mean: str
    bounds: str
    rows: str
    against_random: str
    title: Markup


@dataclass(frozen=True)
class Line:
    """One explainer; ``axioms_violated`` names the axioms it violates, of ``axioms_tested``."""

    name: str
    is_control: bool
    verdict: Verdict | None
    cells: tuple[Cell | None, ...]
    axioms_violated: tuple[str, ...] = ()
    axioms_tested: int = 0


@dataclass(frozen=True)
class ScoreMatrix:
    """The table: a column is (score, direction, arrow); explainers come first, then control explanations.

    ``best`` has for each column the explainer whose interval excludes those of all others, or the tied ones; empty
    where the score has no direction or there are fewer than two explainers.
    """

    columns: tuple[tuple[str, str, str], ...]
    lines: tuple[Line, ...]
    best: tuple[tuple[str, ...], ...] = ()

    @property
    def has_axioms(self) -> bool:
        """Whether axioms were tested for any line."""
        return any(line.axioms_tested for line in self.lines)


def score_matrix(record: Record) -> ScoreMatrix:
    """All scores of a record, in the order they were computed."""
    names = list(dict.fromkeys(score for _, score in record.scores))
    better = {name: score.better for (_, name), score in record.scores.items()}
    explainers = list(dict.fromkeys([*record.explanations, *(name for name, _ in record.scores)]))
    explainers.sort(key=lambda name: name in record.references)
    verdicts = {f.subject: f.verdict for f in record.findings if f.code.startswith(TRUST)}
    bounds = {key: score.interval() for key, score in record.scores.items()}
    lines = tuple(
        Line(
            name,
            name in record.references,
            verdicts.get(name),
            tuple(_cell(record, (name, score), bounds.get((name, score))) for score in names),
            tuple(axiom for axiom, verdict in record.axioms.get(name, {}).items() if verdict == "violated"),
            sum(verdict != "not applicable" for verdict in record.axioms.get(name, {}).values()),
        )
        for name in explainers
    )
    own = [name for name in explainers if name not in record.references]
    best = tuple(
        best_explainers({e: (record.scores[e, name], bounds[e, name]) for e in own if (e, name) in record.scores})
        for name in names
    )
    return ScoreMatrix(tuple((name, better[name], ARROWS[better[name]]) for name in names), lines, best)


def best_explainers(scores: Mapping[str, tuple[Score, Interval]]) -> tuple[str, ...]:
    """The best explainer by one score and those whose interval overlaps its own, best first.

    Gaps up to 10⁻¹² are rounding errors and count as overlap.
    """
    known = {n: s for n, s in scores.items() if s[0].better != "neither" and math.isfinite(s[0].mean)}
    if len(known) < 2:
        return ()
    means, lows, highs = {}, {}, {}
    for name, (score, bounds) in known.items():
        sign = 1 if score.better == "higher" else -1
        means[name] = sign * score.mean
        lows[name], highs[name] = sorted((sign * bounds.low, sign * bounds.high))
    first, *others = sorted(known, key=lambda name: -means[name])
    return first, *(name for name in others if not lows[first] - highs[name] > ROUNDING)


def _cell(record: Record, key: tuple[str, str], bounds: Interval | None) -> Cell | None:
    score = record.scores.get(key)
    if score is None or bounds is None:
        return None
    explainer, name = key
    defined = int(score.defined.sum())
    decimals = decimals_for(score.mean, bounds.low, bounds.high)
    is_control = explainer in record.references
    return Cell(
        mean=format_number(score.mean, decimals),
        bounds=format_interval(bounds.low, bounds.high, decimals),
        rows=f"{defined} of {len(score.values)} rows" if defined < len(score.values) else "",
        against_random="" if is_control else compare_with_random(score, record.scores.get((RANDOM, name))),
        title=rounding_title(score.mean),
    )


def compare_with_random(score: Score, random: Score | None) -> str:
    """``better`` or ``worse`` where Student's 95 % interval of the paired difference excludes 0, else "no difference".

    Empty where the score has no direction, there is no random explanation, or fewer than two rows have both scores.
    """
    if random is None or score.better == "neither" or score.values.shape != random.values.shape:
        return ""
    gain = score.values - random.values if score.better == "higher" else random.values - score.values
    bounds = student_interval(gain[gain == gain])
    if bounds.low != bounds.low:
        return ""
    return "better" if bounds.low > 0 else "worse" if bounds.high < 0 else "no difference"
