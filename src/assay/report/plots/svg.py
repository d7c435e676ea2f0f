# SPDX-License-Identifier: Apache-2.0
"""Plots as SVG. Positions across are percentages, so that a plot fits any width while its text keeps its size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from markupsafe import Markup

from assay.report.plots.elements import NARROW, WIDTH, element, stacked
from assay.report.plots.panels import CurvePanel, MatrixPanel, Panel, PicturesPanel, RowsPanel, WordsPanel
from assay.report.plots.svg_curves import draw_curves
from assay.report.plots.svg_rows import draw_rows
from assay.report.plots.svg_squares import draw_matrix, draw_pictures, draw_words

DRAWINGS: dict[type, Callable[[Any, float], tuple[list[Markup], float]]] = {
    RowsPanel: draw_rows,
    CurvePanel: draw_curves,
    MatrixPanel: draw_matrix,
    PicturesPanel: draw_pictures,
    WordsPanel: draw_words,
}
"""For each type of panel the function (panel, top) → elements and the bottom, in pixels."""

STYLE = ":root{color:#1b1f24;background:#fff}@media(prefers-color-scheme:dark){:root{color:#e8eaed;background:#15181c}}"
"""Colours of a file of its own; a plot inside a page has those of the page."""


def draw(kind: str, title: str, panels: Sequence[Panel], caption: Sequence[str], *, inline: bool = False) -> Markup:
    """The plot as one SVG element; ``inline`` for a page whose colours it takes."""
    out, y = stacked([title], 4, size=13, most=40, bold=True)
    for panel in panels:
        drawn, y = DRAWINGS[type(panel)](panel, y + 6)
        out += drawn
    lines, y = stacked(caption, y + 4, size=11, most=50, faint=True)
    style = Markup("<style>{}</style>").format(Markup(STYLE)) if not inline else Markup("")
    height = round(y + 10)
    narrow = any(isinstance(panel, WordsPanel) for panel in panels)
    return element(
        "svg",
        style,
        element("title", f"{kind}: {title}"),
        *out,
        *lines,
        xmlns="http://www.w3.org/2000/svg",
        width=NARROW if narrow else WIDTH,
        height=height,
        style="max-width:100%",
        font_family="system-ui, 'Segoe UI', Helvetica, Arial, sans-serif",
        font_size=12,
        fill="currentColor",
        role="img",
        data_kind=kind,
    )
