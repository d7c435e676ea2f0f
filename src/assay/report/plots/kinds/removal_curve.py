# SPDX-License-Identifier: Apache-2.0
"""Removal curve: the mean target as features are removed, or inserted, in an explanation's order."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats
from assay.nouns.results.result import Score
from assay.report.drawing.bars import Z
from assay.report.drawing.formatting import format_count, format_number, method_name
from assay.report.plots.panels import SERIES, CurvePanel, Line, axis_over
from assay.report.plots.plot import Plot

CURVES = {"removed": "curve", "inserted": "insertion curve"}
"""Names in ``extra`` of a score's curves: the share of features (row, point), and the target there (row, point)."""

POINTS = 21
"""Points at which curves of rows with different numbers of features are read, by linear interpolation."""


def has_removal_curve(score: Score) -> bool:
    """Whether the score has the curve that it summarises."""
    return any(share in score.extra and curve in score.extra for share, curve in CURVES.items())


def draw_removal_curves(score: Score | Mapping[str, Score]) -> Plot:
    """The mean over rows of the target against the share of features removed or inserted, with its 95 % interval.

    The interval is ± 1.96 standard errors over rows; rows whose curve is undefined are left out and counted. Several
    scores by name have one curve each.
    """
    scores = (
        {method_name(score.of or score.method): score}
        if isinstance(score, Score)
        else {method_name(n): s for n, s in score.items()}
    )
    first = next(iter(scores.values()))
    sides = [
        side for side, curve in CURVES.items() if all(side in s.extra and curve in s.extra for s in scores.values())
    ]
    if not sides:
        raise InputError(f"{first.method} keeps no curve in extra; deletion, insertion, morf, lerf, aopc and abpc do.")
    panels, notes = [], []
    for side in sides:
        lines = []
        for n, (name, one) in enumerate(scores.items()):
            x, table = _on_one_grid(one.extra[side], one.extra[CURVES[side]])
            defined = ~np.isnan(table).any(axis=1)
            notes += (
                [f"{name}: without a curve {format_count(int((~defined).sum()), 'row')}."] if not defined.all() else []
            )
            lines.append(_mean_line(name, x, table[defined], n))
        ends = [v for line in lines for v in (line.y, *(line.band or ()))]
        y = axis_over(np.concatenate(ends).tolist())
        title = f"{side} by attribution, highest first" if len(sides) > 1 else ""
        panels.append(
            CurvePanel(title, tuple(lines), f"share of the features {side}", "mean target", axis_over((0.0, 1.0)), y)
        )
    notes = list(dict.fromkeys(notes)) if len(notes) < 4 else [f"{len(set(notes))} curves leave out undefined rows."]
    rows = len(first.ids)
    what = method_name(first.method) + (f" of {method_name(first.of)}" if len(scores) == 1 and first.of else "")
    caption = (f"Mean over {rows} rows; bands are 95 % intervals.", *notes)
    data = {panel.x_label: {line.name: (line.x, line.y, line.band) for line in panel.lines} for panel in panels}
    return Plot("removal curve", f"{what}: mean {first.provenance.target}", tuple(panels), caption, data)


def _on_one_grid(share: Floats, value: Floats) -> tuple[Floats, Floats]:
    """The shares (point,) and the curves (row, point) at them."""
    if (share == share[0]).all():
        return share[0], value
    grid = np.linspace(0.0, 1.0, POINTS)
    return grid, np.stack([np.interp(grid, x, y) for x, y in zip(share, value)])


def _mean_line(name: str, x: Floats, table: Floats, place: int) -> Line:
    count, nothing = len(table), np.full(len(x), np.nan)
    mean = table.mean(axis=0) if count else nothing
    half = Z * table.std(axis=0, ddof=1) / np.sqrt(count) if count > 1 else None
    band = None if half is None else (mean - half, mean + half)
    titles = tuple(f"{name}: {format_number(v)} at {100 * at:.0f} %" for at, v in zip(x, mean))
    return Line(name, x, mean, SERIES[place % len(SERIES)], band, dashed=place >= len(SERIES), titles=titles)
