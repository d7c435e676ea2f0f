# SPDX-License-Identifier: Apache-2.0
"""Critical-difference plots (Demšar 2006): average rank of each method by a score, with the Nemenyi test."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from assay.nouns.comparisons.method_comparison import Ranking, Scored
from assay.nouns.records.record import Record
from assay.report.drawing.formatting import format_number, format_p_value, join_names
from assay.report.drawing.svg import RAIL, Axis, draw_dot, draw_shapes, draw_span


@dataclass(frozen=True)
class RankLine:
    """One method: its average rank, a bar as long as the critical difference, and how often its mean is the best."""

    name: str
    figure: Markup
    rank: str
    best: str


@dataclass(frozen=True)
class RankPlot:
    """The ranking by one score: the methods, best first, and the tests of the whole ranking as text."""

    score: str
    lines: tuple[RankLine, ...]
    summary: str


def rank_plots(record: Record) -> tuple[RankPlot, ...]:
    """A plot for each score that ranks the explanations."""
    if record.comparison is None:
        return ()
    return tuple(
        _plot(scored, scored.ranking) for scored in record.comparison.scores.values() if scored.ranking is not None
    )


def _plot(scored: Scored, ranking: Ranking) -> RankPlot:
    axis = Axis(0.5, len(ranking.methods) + 0.5)
    order = np.argsort(ranking.average, kind="stable").tolist()
    lines = [
        RankLine(
            ranking.methods[i],
            draw_rank(float(ranking.average[i]), ranking.critical_difference, axis),
            format_number(float(ranking.average[i]), 2),
            f"{100 * float(ranking.best[i]):.0f} %",
        )
        for i in order
    ]
    decided = sum(pair.verdict != "undecided" for pair in scored.pairs)
    summary = [
        f"critical difference {format_number(ranking.critical_difference, 2)} over {ranking.rows} rows",
        f"Friedman test {format_p_value(ranking.p)}",
        f"Krippendorff's α = {format_number(ranking.alpha, 2)}",
        f"{decided} of {len(scored.pairs)} pairs of these {len(ranking.methods)} explanations decided by paired tests "
        "with Holm correction",
    ]
    return RankPlot(scored.score, tuple(lines), join_names(summary))


def draw_rank(rank: float, difference: float, axis: Axis) -> Markup:
    """A dot at the average rank and a bar of ± half the critical difference."""
    if not math.isfinite(rank):
        return Markup("")
    ends = (rank - difference / 2, rank + difference / 2)
    shapes = [RAIL, draw_span("interval", axis.at(ends[0]), axis.at(ends[1])), draw_dot("dot", axis.at(rank))]
    return draw_shapes("thin", f"rank {format_number(rank, 2)}", shapes)
