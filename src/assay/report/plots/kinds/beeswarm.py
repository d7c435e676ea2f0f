# SPDX-License-Identifier: Apache-2.0
"""Beeswarm: every row's attribution of every feature, coloured by the feature's value; or every row's score."""

from __future__ import annotations

import math

import numpy as np

from assay.nouns.results.result import Explanation, Score
from assay.report.drawing.bars import mean_sizes
from assay.report.drawing.colours import UP
from assay.report.drawing.formatting import format_count, format_number, format_signed, method_name
from assay.report.plots.panels import GREY, Dots, Legend, Row, RowsPanel, Span, axis_over
from assay.report.plots.plot import Plot
from assay.report.plots.reading import (
    VALUE_COLOURS,
    check_most,
    colours_by_value,
    heading,
    numeric_cells,
    warnings_of,
)

MAX_DOTS = 250
"""Rows that are drawn."""


def draw_beeswarm(explanation: Explanation, *, most: int = 10) -> Plot:
    """One dot for each row and feature at its attribution; features sorted by mean |attribution|, the ``most`` largest.

    The colour is the feature's value at the row, from its 5th to its 95th percentile; grey for text, categories and
    missing values. The number of a line is mean |attribution| over all rows. Of more than 250 rows every k-th is drawn,
    and the caption says so. NaN attributions have no dot and are counted.
    """
    mean, _ = mean_sizes(explanation.values)
    order = np.argsort(-np.nan_to_num(mean, nan=-1.0), kind="stable")[: check_most(most)]
    step = math.ceil(len(explanation.ids) / MAX_DOTS)
    rows = np.arange(0, len(explanation.ids), step)
    cells = numeric_cells(explanation)
    lines = [_line(explanation, int(part), rows, cells, float(mean[part])) for part in order]
    axis = axis_over(explanation.values[rows][:, order].ravel().tolist(), 0.0)
    legend = None
    if cells is not None and np.isfinite(cells[:, order]).any():
        legend = Legend("value of the feature (grey: text, category or missing)", "low", "high", VALUE_COLOURS)
    panel = RowsPanel(tuple(lines), "attribution", axis, ((0.0, "0"),), legend)
    undefined, hidden = int(np.isnan(explanation.values[:, order]).sum()), len(explanation.features) - len(order)
    caption = [
        "Numbers are mean |attribution|.",
        f"{len(rows)} of {len(explanation.ids)} rows are drawn, one in {step}." if step > 1 else "",
        f"Not drawn: {format_count(hidden, 'more feature')}." if hidden else "",
        f"Undefined and not drawn: {format_count(undefined, 'attribution')}." if undefined else "",
        *warnings_of(explanation),
    ]
    data = {"names": [explanation.features.names[i] for i in order], "values": explanation.values[rows][:, order]}
    return Plot("beeswarm", heading(explanation), (panel,), tuple(filter(None, caption)), data)


def _line(explanation: Explanation, part: int, rows: np.ndarray, cells: np.ndarray | None, mean: float) -> Row:
    name = explanation.features.names[part]
    colours = (GREY,) * len(rows) if cells is None else colours_by_value(cells[:, part])
    texts = explanation.part_texts
    titles = tuple(
        f"row {explanation.ids[r]}: {name}{f' = {texts[r][part]}' if texts else ''}, "
        f"{format_signed(explanation.values[r, part])}"
        for r in rows
    )
    chosen = colours if cells is None else tuple(colours[r] for r in rows)
    return Row(name, format_number(mean), mean, dots=Dots(explanation.values[rows, part], chosen, titles))


def draw_score_rows(score: Score) -> Plot:
    """One dot for each row at its score, and the mean over the defined rows with its 95 % interval."""
    interval, step = score.interval(), math.ceil(len(score.ids) / MAX_DOTS)
    rows = np.arange(0, len(score.ids), step)
    titles = tuple(f"row {score.ids[r]}: {format_number(score.values[r])}" for r in rows)
    defined = int(score.defined.sum())
    count = f"{defined} of {len(score.ids)} rows"
    lines = (
        Row("rows", count, float(defined), dots=Dots(score.values[rows], (UP,) * len(rows), titles)),
        Row(
            "mean",
            format_number(score.mean),
            score.mean,
            span=Span(score.mean, score.mean, interval.low, interval.high, UP),
            full=score.mean,
        ),
    )
    better = f", {score.better} is better" if score.better != "neither" else ""
    axis = axis_over([*score.values.tolist(), interval.low, interval.high])
    caption = [
        "The whisker is the 95 % interval of the mean.",
        f"{len(rows)} of {len(score.ids)} rows are drawn, one in {step}." if step > 1 else "",
        f"Without a score: {format_count(len(score.ids) - defined, 'row')}." if defined < len(score.ids) else "",
    ]
    title = method_name(score.method) + (f" of {method_name(score.of)}" if score.of else "")
    panel = RowsPanel(lines, f"{score.method}{better}", axis)
    return Plot("beeswarm", title, (panel,), tuple(filter(None, caption)), {"values": score.values, "mean": score.mean})
