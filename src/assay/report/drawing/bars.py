# SPDX-License-Identifier: Apache-2.0
"""Attributions of features as bar charts: one row, the mean over rows, and reason tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from assay.basics.types import Floats, Ints
from assay.nouns.records.record import Reasons
from assay.nouns.results.result import Explanation
from assay.report.drawing.formatting import ROUNDING, decimals_for, format_count, format_number, format_signed
from assay.report.drawing.svg import Axis, draw_balance, draw_bar
from assay.report.drawing.words import attributions_by_word, has_words

MAX_BARS = 8
"""Bars of a chart; one more bar has the sum over the other features."""

MAX_GALLERY_BARS = 5
"""Bars of a chart in a gallery."""

UNLISTED = 1e-6
"""Share of the difference from the comparison group from which the features without a line are mentioned."""

Z = 1.959964
"""Standard errors on each side of a 95 % interval."""


@dataclass(frozen=True)
class Line:
    """One bar: the feature's name and value, the attribution as text and as drawing.

    ``rest`` marks the sum over the features without a bar of their own.
    """

    name: str
    cell: str
    value: str
    bounds: str
    figure: Markup
    rest: bool = False
    rival_value: str = ""
    rival_figure: Markup | None = None


@dataclass(frozen=True)
class Chart:
    """Bars on one axis; ``zero`` is the position of 0. ``label`` and ``rival`` name the classes explained."""

    title: str
    lines: tuple[Line, ...]
    zero: str
    balance: Markup
    caption: Markup
    label: str = ""
    rival: str = ""


@dataclass(frozen=True)
class _Bar:
    name: str
    cell: str
    value: float
    low: float
    high: float
    rest: bool = False


def _rest(count: int, total: float) -> _Bar:
    """The sum over the features that have no bar of their own."""
    return _Bar(other_features(count), "", total, total, total, rest=True)


def other_features(count: int) -> str:
    """The name of the features without a bar of their own."""
    return f"{count:,} other feature{'' if count == 1 else 's'}"


def local_chart(explanation: Explanation, row: int) -> Chart:
    """Attributions of one row, largest first, with 95 % whiskers where the method samples."""
    values = explanation.values[row]
    half = Z * explanation.stderr[row] if explanation.stderr is not None else np.zeros(len(values))
    order, names, cells = _ranked(explanation, row)
    bars = [_Bar(names[i], cells[i], values[i], values[i] - half[i], values[i] + half[i]) for i in order[:MAX_BARS]]
    rest = order[MAX_BARS:]
    if len(rest):
        bars.append(_rest(len(rest), float(values[rest].sum())))
    base, output, residual = (float(a[row]) for a in (explanation.base, explanation.output, explanation.residual))
    caption, balance = Markup("output {}").format(format_number(output)), Markup("")
    if np.isfinite(base):
        text = Markup("base value {} → output {}, residual {}")
        caption = text.format(format_number(base), format_number(output), format_residual(residual, base, output))
        balance = draw_balance(base, output - residual, output) if np.isfinite(residual) else balance
    return _chart(explanation.provenance.method, bars, balance, caption)


def paired_chart(explanation: Explanation, rival: Explanation | None, row: int) -> Chart:
    """The largest attributions of one row, and those of the same features for the runner-up class, on one axis."""
    values = explanation.values[row]
    other = rival.values[row] if rival is not None else None
    order, names, cells = _ranked(explanation, row)
    bars = [(names[i], cells[i], [i]) for i in order[:MAX_GALLERY_BARS]]
    if len(order) > MAX_GALLERY_BARS:
        rest = list(order[MAX_GALLERY_BARS:])
        bars.append((other_features(len(rest)), "", rest))
    sides = [[float(v[parts].sum()) for _, _, parts in bars] for v in (values, other) if v is not None]
    axis = Axis.of([0.0, *(v for side in sides for v in side)], 0.02)
    decimals = decimals_for(*(v for side in sides for v in side))
    columns = [[(format_signed(v, decimals), draw_bar(v, v, v, axis)) for v in side] for side in sides]
    lines = tuple(
        Line(name, cell, columns[0][n][0], "", columns[0][n][1], n == MAX_GALLERY_BARS, *rival_column)
        for n, (name, cell, _) in enumerate(bars)
        for rival_column in [columns[1][n] if other is not None else ("", None)]
    )
    label = explanation.labels[row] if explanation.labels else ""
    runner_up = "" if rival is None else rival.labels[row] if rival.labels else "the runner-up"
    return Chart(explanation.provenance.method, lines, axis.at(0.0), Markup(""), Markup(""), label, runner_up)


def _ranked(explanation: Explanation, row: int) -> tuple[Ints, Sequence[str], Sequence[str]]:
    """The features of a row, largest |attribution| first, with their names and values as text; of a text, its words."""
    order = np.argsort(-np.abs(explanation.values[row]), kind="stable")
    names = explanation.features.names
    cells = explanation.part_texts[row] if explanation.part_texts else ("",) * len(names)
    if not has_words(explanation):
        return order, names, cells
    return order[[bool(cells[i]) for i in order]], cells, ("",) * len(names)


def format_residual(residual: float, base: float, output: float) -> Markup:
    """The residual as text; a rounding error of float64 is 0 with a tooltip."""
    if abs(residual) <= ROUNDING * max(abs(base), abs(output), 1.0):
        return Markup('<span title="rounding error">0</span>') if residual else Markup("0")
    return Markup("{}").format(format_number(residual))


def mean_sizes(values: Floats) -> tuple[Floats, Floats]:
    """Mean |value| (part,) of ``values`` (row, part) over rows, and half of its 95 % interval; NaN is left out.

    The half is 0 where fewer than two rows have a value.
    """
    sizes = np.abs(values)
    known = ~np.isnan(sizes)
    count = known.sum(axis=0)
    mean = np.divide(np.nansum(sizes, axis=0), count, out=np.full(sizes.shape[1], np.nan), where=count > 0)
    spread = np.nansum((sizes - mean) ** 2, axis=0)
    half = Z * np.sqrt(np.divide(spread, count * (count - 1), out=np.zeros(len(mean)), where=count > 1))
    return mean, half


def word_chart(explanation: Explanation) -> Chart:
    """Mean absolute attribution of each word over its occurrences in all texts, with its 95 % interval over them.

    The positions of words, the features of a text, mean nothing across texts.
    """
    found = attributions_by_word(explanation)
    longest = max(map(len, found.values()), default=0)
    padded = np.array([[*v, *[np.nan] * (longest - len(v))] for v in found.values()]).reshape(len(found), longest).T
    mean, half = mean_sizes(padded)
    names = [f"{word} ({len(values)} ×)" for word, values in found.items()]
    bars = [
        _Bar(names[i], "", mean[i], max(0.0, mean[i] - half[i]), mean[i] + half[i])
        for i in np.argsort(-mean, kind="stable")[:MAX_BARS]
    ]
    more = len(found) - len(bars)
    caption = Markup("{} not drawn.").format(format_count(more, "more word")) if more else Markup("")
    return _chart(explanation.provenance.method, bars, Markup(""), caption, is_signed=False)


def mean_chart(explanation: Explanation) -> Chart:
    """Mean absolute attribution of each feature over the rows, with its 95 % interval over rows; of texts, by word."""
    if has_words(explanation):
        return word_chart(explanation)
    mean, half = mean_sizes(explanation.values)
    order = np.argsort(-mean, kind="stable")
    bars = [
        _Bar(explanation.features.names[i], "", mean[i], max(0.0, mean[i] - half[i]), mean[i] + half[i])
        for i in order[:MAX_BARS]
    ]
    rest = order[MAX_BARS:]
    if len(rest):
        bars.append(_rest(len(rest), float(np.nansum(mean[rest]))))
    return _chart(explanation.provenance.method, bars, Markup(""), Markup(""), is_signed=False)


def reason_chart(reasons: Reasons) -> Chart:
    """One reason table: the attributions of one row against one comparison group."""
    bars = [_Bar(line.part, line.shown, line.effect, line.low, line.high) for line in reasons.lines[:MAX_BARS]]
    rest = reasons.lines[MAX_BARS:]
    if rest:
        bars.append(_rest(len(rest), sum(line.effect for line in rest)))
    total = reasons.base + sum(line.effect for line in reasons.lines)
    left = reasons.output - total
    text = Markup("comparison group {} → this row {}")
    caption = text.format(format_number(reasons.base), format_number(reasons.output))
    if np.isfinite(left) and abs(left) > UNLISTED * abs(reasons.output - reasons.base):
        caption += f"; features not listed {format_signed(left, decimals_for(*(bar.value for bar in bars)))} (dotted)"
    is_finite = np.isfinite([reasons.base, total, reasons.output]).all()
    balance = draw_balance(reasons.base, total, reasons.output) if is_finite else Markup("")
    return _chart(reasons.group, bars, balance, caption)


def _chart(title: str, bars: Sequence[_Bar], balance: Markup, caption: Markup, *, is_signed: bool = True) -> Chart:
    axis = Axis.of([0.0, *(v for b in bars for v in (b.value, b.low, b.high))], 0.02)
    decimals = decimals_for(*(b.value for b in bars))
    as_text = format_signed if is_signed else format_number
    lines = []
    for b in bars:
        bounds = f"{format_number(b.low, decimals)} … {format_number(b.high, decimals)}" if b.high > b.low else ""
        figure = draw_bar(b.value, b.low, b.high, axis)
        lines.append(Line(b.name, b.cell, as_text(b.value, decimals), bounds, figure, b.rest))
    return Chart(title, tuple(lines), axis.at(0.0), balance, caption)
