# SPDX-License-Identifier: Apache-2.0
"""Explainers by scores: means with intervals, and whether each beats random on the same rows."""

from __future__ import annotations

from dataclasses import dataclass

from assay.nouns.record import Record
from assay.nouns.result import Score, Verdict
from assay.report.verdict import TRUST
from assay.report.words import number, places
from assay.words.stats import student

CHANCE = "random"
"""The reference explainer that all others are compared with."""

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
    """One explainer."""

    name: str
    reference: bool
    verdict: Verdict | None
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Matrix:
    """The table: (score, direction, arrow) a column, explainers first, then references."""

    columns: tuple[tuple[str, str, str], ...]
    lines: tuple[Line, ...]


def matrix(record: Record) -> Matrix:
    """All scores of a record, in the order they were made."""
    names = list(dict.fromkeys(score for _, score in record.scores))
    better = {name: score.better for (_, name), score in record.scores.items()}
    explainers = list(dict.fromkeys([*record.explanations, *(name for name, _ in record.scores)]))
    explainers.sort(key=lambda name: name in record.references)
    verdicts = {f.subject: f.verdict for f in record.findings if f.code.startswith(TRUST)}
    lines = tuple(
        Line(name, name in record.references, verdicts.get(name), tuple(_cell(record, name, score) for score in names))
        for name in explainers
    )
    return Matrix(tuple((name, better[name], ARROWS[better[name]]) for name in names), lines)


def _cell(record: Record, explainer: str, name: str) -> Cell | None:
    score = record.scores.get((explainer, name))
    if score is None:
        return None
    defined, interval = int(score.defined.sum()), score.interval()
    decimals = places(score.mean, interval.low, interval.high)
    known = interval.low == interval.low
    return Cell(
        mean=number(score.mean, decimals),
        bounds=f"[{number(interval.low, decimals)}, {number(interval.high, decimals)}]" if known else "",
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
    interval = student(gain[gain == gain])
    if interval.low != interval.low:
        return ""
    return "better" if interval.low > 0 else "worse" if interval.high < 0 else "alike"
