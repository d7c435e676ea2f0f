# SPDX-License-Identifier: Apache-2.0
"""Plots on matplotlib axes; needs the extra ``plot``."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.optional import need
from assay.report.drawing.colours import Bytes
from assay.report.drawing.formatting import truncate
from assay.report.plots.elements import clean
from assay.report.plots.panels import CurvePanel, Line, MatrixPanel, Panel, PicturesPanel, Row, RowsPanel, WordsPanel
from assay.report.plots.svg_curves import FEW

INCHES = 0.36
"""Height of a row of bars, dots or words."""


def draw_axes(title: str, panels: Sequence[Panel], caption: Sequence[str], ax: Any = None) -> Any:
    """The axes with the panels; one, or a tuple with one for each panel or picture.

    The caption is the figure's text below only where the figure is made here. ``InputError`` where ``ax`` are not as
    many as needed.
    """
    parts = [part for panel in panels for part in _parts(panel)]
    given = None if ax is None else list(np.ravel(np.array(ax, dtype=object)))
    if given is not None and len(given) != len(parts):
        raise InputError(f"this plot has {len(parts)} panels; ax has {len(given)} axes. Leave ax out to get a figure.")
    if given is None:
        heights = [_height(part) for part in parts]
        figure, made = need("matplotlib.pyplot", extra="plot").subplots(
            len(parts),
            1,
            figsize=(6.4, sum(heights) + 0.6),
            squeeze=False,
            layout="constrained",
            gridspec_kw={"height_ratios": heights},
        )
        given = list(made[:, 0])
        if caption:
            figure.supxlabel("\n".join(_wrap(line) for line in caption), fontsize=8, parse_math=False)
    for part, axes in zip(parts, given):
        DRAWINGS[type(part)](part, axes)
    given[0].set_title(_join(title, given[0].get_title()), fontsize=10, parse_math=False)
    return given[0] if len(given) == 1 else tuple(given)


def _parts(panel: Panel) -> list[Panel]:
    """A panel, or one panel for each of its pictures."""
    if not isinstance(panel, PicturesPanel):
        return [panel]
    return [PicturesPanel((picture,), panel.legend) for picture in panel.pictures]


def _height(panel: Panel) -> float:
    if isinstance(panel, RowsPanel):
        return INCHES * len(panel.rows) + 0.8
    if isinstance(panel, WordsPanel):
        return INCHES * len(_lines(panel)) + 0.4
    return 3.4 if isinstance(panel, MatrixPanel) else 2.8


def _join(title: str, own: str) -> str:
    return "\n".join(filter(None, (_wrap(title), own)))


def _wrap(text: str) -> str:
    return "\n".join(textwrap.wrap(clean(text), 90))


def _rows(panel: RowsPanel, ax: Any) -> None:
    for y, row in enumerate(panel.rows):
        span = row.span
        if span is not None and math.isfinite(span.end):
            alpha = 0.45 if span.pale else 1.0
            ax.barh(y, span.end - span.start, left=span.start, height=0.6, color=span.colour, alpha=alpha)
            if span.high > span.low:
                ax.plot([span.low, span.high], [y, y], color="0.3", linewidth=1.5)
        if row.dots is not None:
            colours = ["none" if c == "none" else c for c in row.dots.colours]
            spread = 0.3 * np.sin(2.4 * np.arange(len(row.dots.x)))  # dots of one value are drawn apart
            ax.scatter(row.dots.x, y + spread, s=9, c=colours)
        if math.isfinite(row.full):
            ax.plot([row.full], [y], "o", color="0.3", markersize=5)
    for value, _ in panel.references:
        ax.axvline(value, color="0.6", linewidth=0.8, zorder=0)
    names = [f"{_row_name(row)}  {row.shown}" for row in panel.rows]
    ax.set_yticks(range(len(names)), names, fontsize=8, parse_math=False)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_xlim(panel.axis.low, panel.axis.high)
    ax.set_xlabel(clean(panel.label), fontsize=9, parse_math=False)


def _row_name(row: Row) -> str:
    name = truncate(clean(row.name), 28)
    return f"{name} = {truncate(clean(row.cell), 12)}" if row.cell else name


def _curves(panel: CurvePanel, ax: Any) -> None:
    for line in panel.lines:
        name = clean(line.name) if line.name and not line.thin else None
        shown = f" {name}" if name and name.startswith("_") else name  # matplotlib hides names that start with _
        if not line.joined:
            _scatter(line, shown, ax)
            continue
        if line.band is not None:
            alpha = 0.2 if sum(other.band is not None for other in panel.lines) <= FEW else 0.07
            ax.fill_between(line.x, *line.band, color=line.colour, alpha=alpha, linewidth=0)
        style = {"linestyle": "--" if line.dashed else "-", "marker": "o" if line.marks else None, "markersize": 4}
        ax.plot(line.x, line.y, color=line.colour, linewidth=0.7 if line.thin else 1.8, label=shown, **style)
    if panel.columns:
        x, height = np.array(panel.columns).T
        low, high = panel.y.low, panel.y.high
        ax.bar(x, 0.18 * (high - low) * height, bottom=low, width=0.02, color="0.6", alpha=0.6, zorder=0)
    ax.set_xlim(panel.x.low, panel.x.high)
    ax.set_ylim(panel.y.low, panel.y.high)
    ax.set_xlabel(clean(panel.x_label), fontsize=9, parse_math=False)
    ax.set_ylabel(clean(panel.y_label), fontsize=9, parse_math=False)
    if panel.names:
        names = [truncate(clean(name), 14) for name in panel.names]
        ax.set_xticks(range(len(names)), names, fontsize=8, parse_math=False)
    if any(line.name and not line.thin for line in panel.lines):
        for text in ax.legend(fontsize=8, frameon=False).get_texts():
            text.set_parse_math(False)


def _scatter(line: Line, name: str | None, ax: Any) -> None:
    if line.band is not None:
        ax.vlines(line.x, *line.band, color=line.colour, alpha=0.4, linewidth=0.8)
    ax.scatter(line.x, line.y, s=9, color=line.colour, label=name)


def _matrix(panel: MatrixPanel, ax: Any) -> None:
    table, low = (panel.table, panel.low) if panel.is_signed else (panel.table[len(panel.table) // 2 :], 0.0)
    image = ax.imshow(panel.values, cmap=_colour_map(table), vmin=low, vmax=panel.high)
    names = [truncate(clean(name), 20) for name in panel.names]
    ax.set_xticks(range(len(names)), [str(n + 1) for n in range(len(names))], fontsize=8)
    ax.set_yticks(range(len(names)), [f"{n + 1} {name}" for n, name in enumerate(names)], fontsize=8, parse_math=False)
    meaning = "\n".join(textwrap.wrap(clean(panel.legend.text), 36))
    ax.figure.colorbar(image, ax=ax).set_label(meaning, fontsize=7, parse_math=False)


def _colour_map(table: Bytes) -> Any:
    return need("matplotlib.colors", extra="plot").ListedColormap(np.asarray(table) / 255)


def _pictures(panel: PicturesPanel, ax: Any) -> None:
    picture = panel.pictures[0]
    grey = np.repeat(picture.image.mean(axis=2, keepdims=True), 3, axis=2).round().astype(np.uint8)
    height, width = grey.shape[:2]
    for left, image in ((0.0, picture.image), (1.05 * width, grey)):
        ax.imshow(image, extent=(left, left + width, height, 0))
    coloured = np.asarray(picture.table)[picture.levels]
    ax.imshow(coloured, extent=(1.05 * width, 2.05 * width, height, 0), alpha=0.65)
    ax.set_xlim(0, 2.05 * width)
    ax.set_axis_off()
    scale = f"{picture.name} · {panel.legend.low} (dark or orange) to {panel.legend.high}"
    ax.set_title(clean(scale), fontsize=8, parse_math=False)


LETTERS = 72
"""Columns of a line of text."""


def _lines(panel: WordsPanel) -> list[list[tuple[int, int]]]:
    """Words of each line as (position of the word, first column)."""
    lines: list[list[tuple[int, int]]] = [[]]
    column = 0
    for i, word in enumerate(panel.words):
        length = len(clean(word.text))
        if column and column + length > LETTERS:
            lines.append([])
            column = 0
        lines[-1].append((i, column))
        column += length + 2
    return lines


def _words(panel: WordsPanel, ax: Any) -> None:
    lines = _lines(panel)
    for y, line in enumerate(lines):
        for i, column in line:
            word = panel.words[i]
            box = {"facecolor": word.colour, "alpha": word.strength, "linewidth": 0, "pad": 1.5}
            ax.text(
                column, y, clean(word.text), family="monospace", fontsize=8, bbox=box, va="center", parse_math=False
            )
    ax.set_xlim(0, LETTERS + 4)
    ax.set_ylim(len(lines) - 0.5, -0.5)
    ax.set_axis_off()
    ax.set_title(clean(panel.title), fontsize=8, loc="left", parse_math=False)


DRAWINGS: dict[type, Callable[[Any, Any], None]] = {
    RowsPanel: _rows,
    CurvePanel: _curves,
    MatrixPanel: _matrix,
    PicturesPanel: _pictures,
    WordsPanel: _words,
}
"""For each type of panel the function (panel, axes)."""
