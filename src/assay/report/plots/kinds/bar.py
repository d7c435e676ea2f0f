# SPDX-License-Identifier: Apache-2.0
"""Bars: one number a feature, or a method, with its interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assay.basics.types import Floats
from assay.nouns.comparisons.method_comparison import MethodComparison
from assay.nouns.results.global_explanation import GlobalExplanation, mixed_classes
from assay.nouns.results.result import Explanation
from assay.report.drawing.bars import mean_sizes, other_features
from assay.report.drawing.formatting import decimals_for, format_number, format_signed, method_name
from assay.report.plots.panels import Row as Line
from assay.report.plots.panels import RowsPanel, Span, axis_over, sign_colour
from assay.report.plots.plot import Plot
from assay.report.plots.reading import (
    Row,
    check_most,
    half_widths,
    heading,
    name_and_cell,
    present_parts,
    row_position,
)

WHISKERS = "Whiskers are 95 % intervals."


def draw_bars(explanation: Explanation, *, row: Row = None, most: int = 10) -> Plot:
    """The ``most`` largest attributions of one row, or mean |attribution| over all rows, with 95 % intervals.

    The interval of a row's value is ± 1.96 standard errors where the method samples; that of a mean is over the rows.
    Where each row has its own features (texts, superpixels) there is no mean, and ``row`` is needed.
    """
    check_most(most)
    if row is None and len(explanation.ids) > 1 and not explanation.features.per_row:
        mean, half = mean_sizes(explanation.values)
        order = _largest(mean)
        panel = rows_panel(
            [explanation.features.names[i] for i in order],
            mean[order],
            (mean - half)[order].clip(0),
            (mean + half)[order],
            most,
            "mean |attribution|",
            is_signed=False,
        )
        data = {"names": explanation.features.names, "values": mean, "low": (mean - half).clip(0), "high": mean + half}
        return Plot("bar", heading(explanation), (panel,), (WHISKERS,), data)
    at = row_position(explanation, row)
    values = explanation.values[at]
    half = half_widths(explanation, at)
    parts = present_parts(explanation, at)
    order = parts[_largest(values[parts])]
    cells = [name_and_cell(explanation, at, i) for i in order]
    names = [name for name, _ in cells]
    shown = tuple(cell for _, cell in cells)
    panel = rows_panel(
        names, values[order], (values - half)[order], (values + half)[order], most, "attribution", cells=shown
    )
    caption = (WHISKERS,) if half.any() else ()
    return Plot("bar", heading(explanation, at), (panel,), caption, {"names": tuple(names), "values": values[order]})


def draw_global_bars(explanation: GlobalExplanation, *, most: int = 10) -> Plot:
    """The ``most`` largest means, or gaps between two groups, with their intervals at the result's level."""
    order = _largest(explanation.values)
    names = [explanation.names[i] for i in order]
    values, low, high = (getattr(explanation, name)[order] for name in ("values", "low", "high"))
    gap = f"gap between {explanation.rows} rows and {explanation.others} others"
    what = gap if explanation.others else f"mean of {explanation.rows} rows"
    panel = rows_panel(names, values, low, high, check_most(most), what)
    mixed = mixed_classes(explanation.classes)
    caption = (f"Whiskers are {100 * explanation.level:g} % intervals.", *([f"Note: {mixed}."] if mixed else []))
    return Plot("bar", f"Attributions: {what}", (panel,), caption, {"names": tuple(names), "values": values})


def draw_method_bars(comparison: MethodComparison, *, score: str | None = None) -> Plot:
    """The mean score of each method over the rows, the best first, with its interval; by default of the first score."""
    scored = comparison.of(score if score is not None else next(iter(comparison.scores), None))
    sign = 1 if scored.better == "lower" else -1
    order = np.argsort(sign * scored.mean, kind="stable")
    better = f", {scored.better} is better" if scored.better != "neither" else ""
    label = f"{method_name(scored.score)}{better}"
    low, high = (np.array([getattr(scored.intervals[i], end) for i in order]) for end in ("low", "high"))
    names = [method_name(comparison.methods[i]) for i in order]
    panel = rows_panel(names, scored.mean[order], low, high, len(names), label, is_signed=False)
    data = {"names": tuple(names), "values": scored.mean[order], "low": low, "high": high}
    caption = (f"Mean over {len(comparison.ids)} rows; whiskers are {100 * scored.intervals[0].level:g} % intervals.",)
    return Plot("bar", f"Mean {method_name(scored.score)} of each method", (panel,), caption, data)


def _largest(values: Floats) -> Floats:
    """Positions from the largest |value| to the smallest; NaN comes last."""
    return np.argsort(-np.nan_to_num(np.abs(values), nan=-1.0), kind="stable")


def rows_panel(
    names: Sequence[str],
    values: Floats,
    low: Floats,
    high: Floats,
    most: int,
    label: str,
    *,
    is_signed: bool = True,
    cells: tuple[str, ...] = (),
) -> RowsPanel:
    """Bars from 0; features beyond ``most`` share one bar with the sum of their values. NaN has no bar."""
    drawn = len(values) if len(values) <= most + 1 else most
    rest = float(np.nansum(values[drawn:]))
    decimals = decimals_for(*values[:drawn].tolist(), *([rest] if drawn < len(values) else []))
    as_text = format_signed if is_signed else format_number
    lines = [
        Line(
            name,
            as_text(value, decimals),
            value,
            cell,
            Span(0.0, value, a, b, sign_colour(value), a <= 0 <= b and b > a),
        )
        for name, cell, value, a, b in zip(
            names[:drawn], cells or ("",) * drawn, *(v[:drawn].tolist() for v in (values, low, high))
        )
    ]
    if drawn < len(values):
        nan = float("nan")
        name = f"{other_features(len(values) - drawn)} (sum)"
        lines.append(Line(name, as_text(rest, decimals), rest, span=Span(0.0, rest, nan, nan, sign_colour(rest), True)))
    ends = [v for line in lines if line.span for v in (line.span.end, line.span.low, line.span.high)]
    return RowsPanel(tuple(lines), label, axis_over(ends, 0.0), ((0.0, "0"),))
