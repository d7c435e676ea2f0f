# SPDX-License-Identifier: Apache-2.0
"""Explainers by scores: means with intervals, and whether each beats random on the same rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from assay.basics.stats import Interval, student
from assay.nouns.records.record import Record
from assay.nouns.results.result import Score, Verdict
from assay.report.audit.summary import TRUST
from assay.report.drawing.formatting import number, places

CHANCE = "random"
"""The reference explainer that all others are compared with."""

ROUNDING = 1e-12
"""Gaps up to here are the rounding of sums, and tell no explanation from another."""

ARROWS = {"higher": "↑", "lower": "↓", "neither": ""}


@dataclass(frozen=True)
class Cell:
    """A mean, its interval, the rows it speaks of, and how it stands to random: better, worse, alike or nothing."""

    mean: str
    bounds: str
    rows: str
    against: str


@dataclass(frozen=True)
class Line:
    """One explainer. ``broken`` names the axioms it violates among the ``held`` that could be measured."""

    name: str
    reference: bool
    verdict: Verdict | None
    cells: tuple[Cell | None, ...]
    broken: tuple[str, ...] = ()
    held: int = 0


@dataclass(frozen=True)
class Matrix:
    """The table: (score, direction, arrow) a column, explainers first, then references.

    ``best`` names for each column the explainer whose interval lies apart from all others', or those that are tied;
    nothing where the score has no direction or there are fewer than two explainers.
    """

    columns: tuple[tuple[str, str, str], ...]
    lines: tuple[Line, ...]
    best: tuple[tuple[str, ...], ...] = ()

    @property
    def axioms(self) -> bool:
        """Whether any line knows its axioms."""
        return any(line.held for line in self.lines)


def matrix(record: Record) -> Matrix:
    """All scores of a record, in the order they were made."""
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
            tuple(_cell(record, (name, kind), bounds.get((name, kind))) for kind in names),
            tuple(axiom for axiom, verdict in record.axioms.get(name, {}).items() if verdict == "violated"),
            sum(verdict != "not applicable" for verdict in record.axioms.get(name, {}).values()),
        )
        for name in explainers
    )
    own = [name for name in explainers if name not in record.references]
    best = tuple(
        leaders({e: (record.scores[e, kind], bounds[e, kind]) for e in own if (e, kind) in record.scores})
        for kind in names
    )
    return Matrix(tuple((name, better[name], ARROWS[better[name]]) for name in names), lines, best)


def leaders(scores: Mapping[str, tuple[Score, Interval]]) -> tuple[str, ...]:
    """Best explainers of one score, best first: one if its interval lies apart from the runner-up's, else the tied."""
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
    decimals = places(score.mean, bounds.low, bounds.high)
    known = bounds.low == bounds.low
    return Cell(
        mean=number(score.mean, decimals),
        bounds=f"[{number(bounds.low, decimals)}, {number(bounds.high, decimals)}]" if known else "",
        rows=f"{defined} of {len(score.values)} rows" if defined < len(score.values) else "",
        against="" if explainer in record.references else against(score, record.scores.get((CHANCE, name))),
    )


def against(score: Score, chance: Score | None) -> str:
    """``better`` or ``worse`` where Student's 95 % interval of the paired difference leaves out 0, else ``alike``.

    Empty where the score has no direction, there is no reference, or fewer than two rows have both.
    """
    if chance is None or score.better == "neither" or score.values.shape != chance.values.shape:
        return ""
    gain = score.values - chance.values if score.better == "higher" else chance.values - score.values
    bounds = student(gain[gain == gain])
    if bounds.low != bounds.low:
        return ""
    return "better" if bounds.low > 0 else "worse" if bounds.high < 0 else "alike"
