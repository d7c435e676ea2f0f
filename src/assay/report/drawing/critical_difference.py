# SPDX-License-Identifier: Apache-2.0
"""Critical-difference plots: each method's average rank by a score, and which ranks cannot be told apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from assay.nouns.comparisons.method_comparison import Ranking, Scored
from assay.nouns.records.record import Record
from assay.report.drawing.formatting import listed, number
from assay.report.drawing.svg import Axis


@dataclass(frozen=True)
class Rank:
    """One method: its average rank drawn with half the critical difference on both sides, and how often it is best."""

    name: str
    figure: Markup
    rank: str
    best: str


@dataclass(frozen=True)
class Panel:
    """One score: its methods, best first, and what holds for the whole ranking."""

    score: str
    lines: tuple[Rank, ...]
    told: str


def panels(record: Record) -> tuple[Panel, ...]:
    """A plot for each score by which the explanations were ranked."""
    if record.comparison is None:
        return ()
    return tuple(
        _panel(scored, scored.ranking) for scored in record.comparison.scores.values() if scored.ranking is not None
    )


def _panel(scored: Scored, ranking: Ranking) -> Panel:
    axis = Axis(0.5, len(ranking.methods) + 0.5)
    order = np.argsort(ranking.average, kind="stable").tolist()
    lines = [
        Rank(
            ranking.methods[i],
            spread(float(ranking.average[i]), ranking.critical_difference, axis),
            number(float(ranking.average[i]), 2),
            f"{100 * float(ranking.best[i]):.0f} %",
        )
        for i in order
    ]
    decided = sum(pair.verdict != "undecided" for pair in scored.pairs)
    told = [
        f"critical difference {number(ranking.critical_difference, 2)} over {ranking.rows} rows",
        f"Friedman p = {number(ranking.p)}",
        f"α = {number(ranking.alpha, 2)}",
        f"{decided} of {len(scored.pairs)} pairs decided by paired tests (Holm)",
    ]
    return Panel(scored.score, tuple(lines), listed(told))


def spread(rank: float, difference: float, axis: Axis) -> Markup:
    """A dot at the average rank, and a bar as long as the critical difference around it."""
    if not math.isfinite(rank):
        return Markup("")
    ends = (rank - difference / 2, rank + difference / 2)
    return Markup(
        '<svg class="strip" width="100%" height="18" role="img"><title>rank {}</title>'
        '<line class="rail" x1="0" x2="100%" y1="9" y2="9"/><line class="interval" x1="{}" x2="{}" y1="9" y2="9"/>'
        '<circle class="dot" cx="{}" cy="9" r="4"/></svg>'
    ).format(number(rank, 2), axis.at(ends[0]), axis.at(ends[1]), axis.at(rank))
