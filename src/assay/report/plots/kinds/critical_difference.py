# SPDX-License-Identifier: Apache-2.0
"""Critical difference (Demšar 2006): average ranks of methods, with the difference that Nemenyi's test needs."""

from __future__ import annotations

import numpy as np

from assay.basics.errors import InputError
from assay.nouns.comparisons.method_comparison import MethodComparison
from assay.report.drawing.colours import UP
from assay.report.drawing.formatting import format_number, format_p_value, join_names, method_name
from assay.report.drawing.svg import Axis
from assay.report.plots.panels import Row, RowsPanel, Span
from assay.report.plots.plot import Plot


def ranked_scores(comparison: MethodComparison) -> list[str]:
    """Scores by which the methods are ranked."""
    return [name for name, scored in comparison.scores.items() if scored.ranking is not None]


def draw_critical_difference(comparison: MethodComparison, *, score: str | None = None) -> Plot:
    """Each method's average rank over the rows (1 is best) and a bar of ± half the critical difference.

    Methods whose bars overlap are not distinguished by Nemenyi's test. ``score`` is by default the first that ranks.
    """
    ranked = ranked_scores(comparison)
    scored = comparison.of(score if score is not None else ranked[0] if ranked else None)
    ranking = scored.ranking
    if ranking is None:
        raise InputError(f"score={scored.score!r} ranks no methods; {join_names(ranked) or 'no score'} does.")
    half = ranking.critical_difference / 2
    lines = []
    for i in np.argsort(ranking.average, kind="stable"):
        rank = float(ranking.average[i])
        span = Span(rank - half, rank + half, np.nan, np.nan, UP, pale=True)
        lines.append(Row(method_name(ranking.methods[i]), format_number(rank, 2), rank, span=span, full=rank))
    groups = [
        f"Not distinguished: {join_names(list(map(method_name, group)))}." for group in ranking.groups if len(group) > 1
    ]
    caption = (
        f"Critical difference {format_number(ranking.critical_difference, 2)} over {ranking.rows} rows; Friedman test "
        f"{format_p_value(ranking.p)}.",
        *(groups if len(groups) <= 4 else [f"{len(groups)} groups of methods are not distinguished."]),
    )
    panel = RowsPanel(tuple(lines), "average rank, 1 is best", Axis(0.5, len(ranking.methods) + 0.5))
    data = {"methods": ranking.methods, "average": ranking.average, "critical_difference": ranking.critical_difference}
    return Plot("critical difference", f"Ranks of methods by {method_name(scored.score)}", (panel,), caption, data)
