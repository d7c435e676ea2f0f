# SPDX-License-Identifier: Apache-2.0
"""Panels of curves as SVG: lines, bands, points and a histogram over two numeric axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from assay.basics.types import Floats
from assay.report.drawing.svg import Axis
from assay.report.plots.elements import (
    LEFT,
    RIGHT,
    element,
    exact,
    fit,
    is_number,
    label,
    percent,
    place,
    rule,
    stacked,
)
from assay.report.plots.panels import CurvePanel, Line, ticks
from assay.report.plots.svg_rows import tick_anchor

GUTTER = 14.0
"""Left end of the curves in percent, behind the numbers of the vertical axis."""

FEW = 3
"""Most bands that are drawn at full strength; more would hide each other."""

HEIGHT = 170.0
"""Height of the curves in pixels."""

COLUMNS = 34.0
"""Height of the histogram in pixels."""


def draw_curves(panel: CurvePanel, top: float) -> tuple[list[Markup], float]:
    """The title, the vertical axis' label, the curves, the horizontal axis, and the names of the curves."""
    out, y = stacked([panel.title], top, size=12, most=42, bold=True) if panel.title else ([], top)
    out.append(label(fit(panel.y_label, 50), LEFT, y + 15, size=11, faint=True))
    y += 24
    for value, text in ticks(panel.y, 5):
        height = y + _down(panel.y, value)
        out.append(label(fit(text, 8), GUTTER - 1, height + 4, anchor="end", size=11, faint=True))
        ends = {"x1": percent(GUTTER), "x2": percent(RIGHT), "y1": height, "y2": height}
        out.append(element("line", **ends, stroke="currentColor", stroke_opacity=0.15))
    out.append(_paths(panel, y))
    for line in panel.lines:
        out += _points(panel, line, y)
    y += HEIGHT
    if panel.columns:
        out += _histogram(panel, y + 4)
        y += COLUMNS + 4
    out += _horizontal(panel, y)
    y += 32
    names, y = _names(panel.lines, y)
    return out + names, y + 6


def _down(axis: Axis, value: float) -> float:
    """Pixels below the top of the curves."""
    return HEIGHT * (1 - axis.share(value))


def _paths(panel: CurvePanel, top: float) -> Markup:
    """Bands, whiskers and lines in a box that is stretched across; lines keep their width."""
    shapes = [
        shape for line in panel.lines for shape in (_band(panel, line) if line.joined else _whiskers(panel, line))
    ]
    shapes += [shape for line in panel.lines if line.joined for shape in _line(panel, line)]
    return element(
        "svg",
        *shapes,
        x=percent(GUTTER),
        y=top,
        width=percent(RIGHT - GUTTER),
        height=HEIGHT,
        viewBox=f"0 0 1000 {HEIGHT:g}",
        preserveAspectRatio="none",
        overflow="visible",
        aria_hidden="true",
    )


def _band(panel: CurvePanel, line: Line) -> list[Markup]:
    """The area between the limits, in pieces where they are defined."""
    if line.band is None:
        return []
    low, high = line.band
    out = []
    for start, end in _runs(low + high):
        edge = [*zip(line.x[start:end], low[start:end]), *zip(line.x[start:end][::-1], high[start:end][::-1])]
        path = _path(panel, edge) + "Z"
        opacity = 0.28 if sum(other.band is not None for other in panel.lines) <= FEW else 0.1
        out.append(element("path", d=path, fill=line.colour, fill_opacity=opacity, data_band=line.name))
    return out


def _whiskers(panel: CurvePanel, line: Line) -> list[Markup]:
    if line.band is None:
        return []
    ends = [((x, a), (x, b)) for x, a, b in zip(line.x, *line.band) if is_number(float(x), float(a), float(b))]
    path = "".join(_path(panel, pair) for pair in ends)
    pen = {"stroke": line.colour, "stroke_opacity": 0.5, "vector_effect": "non-scaling-stroke"}
    return [element("path", d=path, fill="none", **pen)] if path else []


def _line(panel: CurvePanel, line: Line) -> list[Markup]:
    return [
        element(
            "path",
            d=_path(panel, [*zip(line.x[start:end], line.y[start:end])]),
            fill="none",
            stroke=line.colour,
            stroke_width=1.0 if line.thin else 2.0,
            stroke_opacity=0.45 if line.thin else None,
            stroke_dasharray="5 4" if line.dashed else None,
            vector_effect="non-scaling-stroke",
        )
        for start, end in _runs(line.x + line.y)
        if end - start > 1
    ]


def _path(panel: CurvePanel, points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{1000 * panel.x.share(float(x)):.1f} {_down(panel.y, float(v)):.1f}" for x, v in points)


def _runs(values: Floats) -> list[tuple[int, int]]:
    """Where values are defined: (start, end) of each run."""
    known = np.concatenate([[False], np.isfinite(values), [False]])
    edges = np.flatnonzero(np.diff(known.astype(int)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _points(panel: CurvePanel, line: Line, top: float) -> list[Markup]:
    """Each point of a line as data; visible where the line marks its points or has a single one."""
    if line.thin:
        return []
    group = []
    for i, (x, y) in enumerate(zip(line.x.tolist(), line.y.tolist())):
        if not is_number(x, y):
            continue
        data: dict[str, object] = {"data_x": exact(x), "data_y": exact(y)}
        if line.band is not None and np.isfinite([line.band[0][i], line.band[1][i]]).all():
            data |= {"data_low": exact(line.band[0][i]), "data_high": exact(line.band[1][i])}
        title = (element("title", line.titles[i]),) if line.titles else ()
        group.append(
            element(
                "circle",
                *title,
                cx=percent(place(panel.x, x, GUTTER, RIGHT)),
                cy=top + _down(panel.y, y),
                r=3.0,
                fill=line.colour,
                fill_opacity=None if line.marks else 0.0,
                **data,
            )
        )
    return [element("g", *group, data_line=line.name)] if group else []


def _histogram(panel: CurvePanel, top: float) -> list[Markup]:
    out = []
    for x, share in panel.columns:
        height = COLUMNS * share
        out.append(
            element(
                "rect",
                x=percent(place(panel.x, x, GUTTER, RIGHT) - 1.2),
                width="2.4%",
                y=top + COLUMNS - height,
                height=height,
                fill="currentColor",
                fill_opacity=0.35,
                data_x=exact(x),
                data_share=exact(share),
            )
        )
    return out


def _horizontal(panel: CurvePanel, y: float) -> list[Markup]:
    ends = {"x1": percent(GUTTER), "x2": percent(RIGHT), "y1": y, "y2": y}
    out = [element("line", **ends, stroke="currentColor", stroke_opacity=0.5)]
    if panel.names:
        room = max(2.0, 36 / len(panel.names))
        marks = [(float(i), name) for i, name in enumerate(panel.names)]
        marks = marks if room >= 4 else marks[:: math.ceil(4 / room)]
        for value, name in marks:
            x = place(panel.x, value, GUTTER, RIGHT)
            out.append(label(fit(name, max(4.0, room)), x, y + 14, anchor="middle", size=11, faint=True, whole=name))
    else:
        for value, text in ticks(panel.x, 7):
            x = place(panel.x, value, GUTTER, RIGHT)
            out.append(rule(x, y, y + 4, faint=False))
            out.append(label(text, x, y + 14, anchor=tick_anchor(x), size=11, faint=True))
    middle = (GUTTER + RIGHT) / 2
    out.append(label(fit(panel.x_label, 42), middle, y + 28, anchor="middle", size=11, faint=True, whole=panel.x_label))
    return out


def _names(lines: Sequence[Line], top: float) -> tuple[list[Markup], float]:
    """The legend: one line of text for each named curve."""
    out, y = [], top
    for line in lines:
        if not line.name or line.thin:
            continue
        y += 16
        ends = {"x1": percent(LEFT), "x2": percent(LEFT + 6), "y1": y - 4, "y2": y - 4}
        dash = "5 4" if line.dashed else None
        if line.joined:
            out.append(element("line", **ends, stroke=line.colour, stroke_width=2.0, stroke_dasharray=dash))
        else:
            out.append(element("circle", cx=percent(LEFT + 3), cy=y - 4, r=3.0, fill=line.colour))
        out.append(label(fit(line.name, 42), LEFT + 8, y, size=11, whole=line.name))
    return out, y
