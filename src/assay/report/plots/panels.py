# SPDX-License-Identifier: Apache-2.0
"""What a plot consists of, in the units of its data; drawn by ``svg.py`` and by ``axes.py``."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from assay.basics.types import Floats
from assay.report.drawing.colours import DOWN, UP, Bytes
from assay.report.drawing.svg import Axis

GREY = "#7f8790"
"""Readable on white and on black, as are all colours of plots."""

SERIES = (UP, DOWN, "#009E73", "#B95C94", "#8A6D00", "#3E9BD0", GREY)
"""Colours of several curves, distinguishable with a colour vision deficiency (Okabe and Ito 2008, darkened)."""


def sign_colour(value: float) -> str:
    """Blue from 0 on, orange below."""
    return DOWN if value < 0 else UP


@dataclass(frozen=True)
class Span:
    """A horizontal bar with its interval as whisker; ``pale`` where the interval covers 0. NaN ends: no whisker."""

    start: float
    end: float
    low: float
    high: float
    colour: str
    pale: bool = False


@dataclass(frozen=True, eq=False)
class Dots:
    """Points (dot,) of one row, stacked where they are dense; ``titles`` are tooltips."""

    x: Floats
    colours: tuple[str, ...]
    titles: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One line of a panel: its name, its number as text, and what is drawn under them. ``value`` is the exact number.

    ``cell`` is the feature's value at the row as text; ``full`` is the position of a single large dot.
    """

    name: str
    shown: str
    value: float
    cell: str = ""
    span: Span | None = None
    dots: Dots | None = None
    full: float = math.nan


@dataclass(frozen=True)
class Legend:
    """A colour map with its two ends as text; ``colours`` from low to high, with their ``opacities`` if any.

    ``missing`` says how NaN is drawn.
    """

    text: str
    low: str
    high: str
    colours: tuple[str, ...]
    missing: str = ""
    opacities: tuple[float, ...] = ()


@dataclass(frozen=True)
class RowsPanel:
    """Named rows on one horizontal axis. ``references`` are vertical lines with their labels."""

    rows: tuple[Row, ...]
    label: str
    axis: Axis
    references: tuple[tuple[float, str], ...] = ()
    legend: Legend | None = None


@dataclass(frozen=True, eq=False)
class Line:
    """A curve (point,) with its ``band`` (low, high) if any; ``marks`` draws the points, ``titles`` names them.

    A ``thin`` line has no name; points that are not ``joined`` have a whisker each.
    """

    name: str
    x: Floats
    y: Floats
    colour: str
    band: tuple[Floats, Floats] | None = None
    dashed: bool = False
    marks: bool = False
    thin: bool = False
    joined: bool = True
    titles: tuple[str, ...] = ()


@dataclass(frozen=True)
class CurvePanel:
    """Curves over two numeric axes. ``names`` are labels of the positions 0, 1, … of a horizontal axis of levels.

    ``columns`` are (x, height) of a histogram under the curves, as shares of its largest column.
    """

    title: str
    lines: tuple[Line, ...]
    x_label: str
    y_label: str
    x: Axis
    y: Axis
    names: tuple[str, ...] = ()
    columns: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, eq=False)
class MatrixPanel:
    """A square matrix (part, part) of numbers as colours; ``low`` … ``high`` are the ends of the colour map.

    ``errors`` (part, part) are standard errors; sizes are printed without a sign.
    """

    names: tuple[str, ...]
    values: Floats
    low: float
    high: float
    table: Bytes
    legend: Legend
    errors: Floats | None = None
    is_signed: bool = True


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture (height, width, 3) and the map over it: colour levels (height, width) in ``table``."""

    name: str
    image: Bytes
    levels: Bytes
    table: Bytes


@dataclass(frozen=True)
class PicturesPanel:
    """Pictures, each alone and under its map."""

    pictures: tuple[Picture, ...]
    legend: Legend


@dataclass(frozen=True)
class Word:
    """A word with its value, its standard error (NaN: none) and its colour: a tone and an opacity 0 … 1."""

    text: str
    value: float
    error: float
    colour: str
    strength: float


@dataclass(frozen=True)
class WordsPanel:
    """A text whose words are coloured."""

    title: str
    words: tuple[Word, ...]
    legend: Legend | None = None


Panel = RowsPanel | CurvePanel | MatrixPanel | PicturesPanel | WordsPanel


def axis_over(values: Iterable[float], *fixed: float) -> Axis:
    """The axis over all finite values and the ``fixed`` ones, with a small margin."""
    return Axis.of([*values, *fixed], 0.03)


def ticks(axis: Axis, most: int = 5) -> tuple[tuple[float, str], ...]:
    """At most ``most`` round numbers on the axis (steps of 1, 2 or 5 × 10ⁿ), with their text.

    >>> ticks(Axis(-0.1, 1.1))
    ((0.0, '0.0'), (0.5, '0.5'), (1.0, '1.0'))
    """
    span = axis.high - axis.low
    if not (math.isfinite(span) and span > 0):
        return ()
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next((power * m for m in (1, 2, 5, 10) if span / (power * m) < most), power * 10)
    first, last = math.ceil(axis.low / step - 1e-9), math.floor(axis.high / step + 1e-9)
    return tuple((n * step, _tick_text(n * step, step)) for n in range(first, last + 1))


def _tick_text(value: float, step: float) -> str:
    if not 1e-4 < step < 1e5 or abs(value) >= 1e6:
        return f"{value:.2g}".replace("e+0", "e").replace("e-0", "e-").replace("-", "−")
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    text = f"{value:,.{decimals}f}"
    return (text.lstrip("-") if float(text.replace(",", "")) == 0 else text).replace("-", "−")
