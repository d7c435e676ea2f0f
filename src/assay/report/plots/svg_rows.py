# SPDX-License-Identifier: Apache-2.0
"""Panels of named rows as SVG: bars with whiskers, clouds of dots, single positions."""

from __future__ import annotations

import math
from collections import Counter

from markupsafe import Markup

from assay.report.drawing.formatting import format_number
from assay.report.plots.elements import (
    LEFT,
    RIGHT,
    columns,
    draw_legend,
    element,
    exact,
    fit,
    is_number,
    label,
    percent,
    place,
    rule,
)
from assay.report.plots.panels import Dots, Row, RowsPanel, Span, ticks

TEXT, BAR, GAP = 15.0, 10.0, 9.0
"""Heights of a row's text, of its bar, and of the space between rows, in pixels."""

CLOUD = 24.0
"""Height of a row of dots."""

BINS = 150
"""Positions across in which dots are stacked."""


def draw_rows(panel: RowsPanel, top: float) -> tuple[list[Markup], float]:
    """The rows from the top, the axis, and the legend."""
    out, y = [], top + 4
    for row in panel.rows:
        height = CLOUD if row.dots is not None else BAR
        out.append(_row(panel, row, y, height))
        y += TEXT + height + GAP
    out.append(rule_across(y - GAP / 2))
    for value, text in ticks(panel.axis, 4):
        x = place(panel.axis, value)
        out.append(rule(x, y - GAP / 2, y - GAP / 2 + 4, faint=False))
        out.append(label(text, x, y + 11, anchor=tick_anchor(x), size=11, faint=True))
    out.append(label(fit(panel.label, 50), (LEFT + RIGHT) / 2, y + 26, anchor="middle", size=11, faint=True))
    y += 32
    if panel.legend is not None:
        legend, y = draw_legend(panel.legend, y)
        out += legend
    return out, y


def rule_across(y: float, left: float = LEFT) -> Markup:
    """A horizontal line."""
    ends = {"x1": percent(left), "x2": percent(RIGHT), "y1": y, "y2": y}
    return element("line", **ends, stroke="currentColor", stroke_opacity=0.25)


def tick_anchor(x: float) -> str:
    """The anchor with which a tick's text stays inside the plot."""
    return "end" if x > 94 else "start" if x < 5 else "middle"


def _row(panel: RowsPanel, row: Row, top: float, height: float) -> Markup:
    whole = f"{row.name} = {row.cell}" if row.cell else row.name
    parts = [
        label(_fitting_name(row), LEFT, top + 11, whole=whole),
        label(row.shown, RIGHT, top + 11, anchor="end"),
    ]
    y = top + TEXT
    parts += [rule(place(panel.axis, value), y - 1, y + height + 1) for value, _ in panel.references]
    data: dict[str, object] = {}
    if row.span is not None:
        parts += _span(panel, row.span, y)
        data = {"data_start": exact(row.span.start), "data_end": exact(row.span.end)}
        if is_number(row.span.low, row.span.high):
            data |= {"data_low": exact(row.span.low), "data_high": exact(row.span.high)}
    if row.dots is not None:
        parts += _dots(panel, row.dots, y)
    if math.isfinite(row.full):
        parts.append(
            element("circle", cx=percent(place(panel.axis, row.full)), cy=y + BAR / 2, r=4.5, fill="currentColor")
        )
    title = element("title", f"{whole}: {row.shown}{_bounds(row.span)}") if row.dots is None else Markup("")
    return element("g", title, *parts, data_name=row.name, data_value=exact(row.value), **data)


def _fitting_name(row: Row) -> str:
    """The name and the cell in the space that the number leaves; a long name is cut before its cell."""
    room = 43 - columns(row.shown)
    if not row.cell:
        return fit(row.name, room)
    cell = fit(row.cell, max(8.0, room - columns(row.name) - 3))
    return f"{fit(row.name, room - columns(cell) - 3)} = {cell}"


def _bounds(span: Span | None) -> str:
    """The interval as text."""
    if span is None or not is_number(span.low, span.high) or span.high <= span.low:
        return ""
    return f" [{format_number(span.low)}, {format_number(span.high)}]"


def _span(panel: RowsPanel, span: Span, y: float) -> list[Markup]:
    if not is_number(span.start, span.end):
        return []
    left, right = sorted((place(panel.axis, span.start), place(panel.axis, span.end)))
    pale = 0.45 if span.pale else None
    drawn = [
        element(
            "rect", x=percent(left), width=percent(right - left), y=y, height=BAR, fill=span.colour, fill_opacity=pale
        )
    ]
    if is_number(span.low, span.high) and span.high > span.low:
        ends = {"x1": percent(place(panel.axis, span.low)), "x2": percent(place(panel.axis, span.high))}
        drawn.append(element("line", **ends, y1=y + BAR / 2, y2=y + BAR / 2, stroke="currentColor", stroke_width=1.5))
    return drawn


def _dots(panel: RowsPanel, dots: Dots, y: float) -> list[Markup]:
    """Dots at their values, those in one bin stacked from the middle outwards, in order."""
    known = [i for i, x in enumerate(dots.x.tolist()) if math.isfinite(x)]
    positions = {i: place(panel.axis, float(dots.x[i])) for i in known}
    bins = {i: round(positions[i] / 100 * BINS) for i in known}
    sizes, seen = Counter(bins.values()), Counter[int]()
    out = []
    for i in known:
        step = min(4.0, (CLOUD - 6) / max(1, sizes[bins[i]] - 1))
        place_in_bin = seen[bins[i]]
        seen[bins[i]] += 1
        side = (place_in_bin + 1) // 2 * (1 if place_in_bin % 2 else -1)
        hollow = dots.colours[i] == "none"
        out.append(
            element(
                "circle",
                element("title", dots.titles[i]),
                cx=percent(positions[i]),
                cy=y + CLOUD / 2 + side * step,
                r=2.6,
                fill=dots.colours[i],
                stroke="currentColor" if hollow else None,
                data_value=exact(dots.x[i]),
            )
        )
    return out
