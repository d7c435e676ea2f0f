# SPDX-License-Identifier: Apache-2.0
"""Explanations of tables as bars: one row's values, the mean over rows, and reason tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from assay.nouns.records.record import Reasons
from assay.nouns.results.result import Explanation
from assay.report.drawing.formatting import counted, number, places, signed
from assay.report.drawing.svg import Axis, balance, bar

PARTS = 8
"""Bars of a chart; the other parts are added up in one more."""

FEW = 5
"""Bars of a small chart in a gallery."""

Z = 1.959964
"""Standard errors on each side of a 95 % interval."""


@dataclass(frozen=True)
class Line:
    """One bar: the part's name and shown value, the number, and the drawing."""

    name: str
    shown: str
    value: str
    bounds: str
    figure: Markup
    rest: bool = False
    rival_value: str = ""
    rival_figure: Markup | None = None


@dataclass(frozen=True)
class Chart:
    """Bars on one axis; ``zero`` is where 0 stands on it. ``label`` and ``rival`` name what two columns explain."""

    title: str
    lines: tuple[Line, ...]
    zero: str
    balance: Markup
    foot: str
    label: str = ""
    rival: str = ""


@dataclass(frozen=True)
class _Bar:
    name: str
    shown: str
    value: float
    low: float
    high: float
    rest: bool = False


def local(explanation: Explanation, row: int) -> Chart:
    """One row's values, largest first, with 95 % whiskers where values are sampled."""
    values = explanation.values[row]
    half = Z * explanation.stderr[row] if explanation.stderr is not None else np.zeros(len(values))
    order = np.argsort(-np.abs(values), kind="stable")
    shown = explanation.shown[row] if explanation.shown else ("",) * len(values)
    bars = [
        _Bar(explanation.features.names[i], shown[i], values[i], values[i] - half[i], values[i] + half[i])
        for i in order[:PARTS]
    ]
    rest = order[PARTS:]
    if len(rest):
        total = float(values[rest].sum())
        bars.append(_Bar(f"rest of {counted(len(rest), 'part')}", "", total, total, total, rest=True))
    base, output, residual = (float(a[row]) for a in (explanation.base, explanation.output, explanation.residual))
    if np.isfinite(base):
        foot = f"base {number(base)} → output {number(output)} · left unexplained {leftover(residual, base, output)}"
        drawn = balance(base, output - residual, output) if np.isfinite(residual) else Markup("")
    else:
        foot, drawn = f"output {number(output)} · no base: these values need not add up to the output", Markup("")
    return _chart(explanation.provenance.method, bars, drawn, foot)


def paired(explanation: Explanation, rival: Explanation | None, row: int) -> Chart:
    """One row's largest parts, and what the same parts say of the runner-up, all on one axis; no whiskers."""
    values = explanation.values[row]
    other = rival.values[row] if rival is not None else None
    order = np.argsort(-np.abs(values), kind="stable")
    shown = explanation.shown[row] if explanation.shown else ("",) * len(values)
    bars = [(explanation.features.names[i], shown[i], [i]) for i in order[:FEW]]
    if len(order) > FEW:
        bars.append((f"rest of {counted(len(order) - FEW, 'part')}", "", list(order[FEW:])))
    sides = [[float(v[parts].sum()) for _, _, parts in bars] for v in (values, other) if v is not None]
    axis = Axis.of([0.0, *(v for side in sides for v in side)], 0.02)
    decimals = places(*(v for side in sides for v in side))
    told = [[(signed(v, decimals), bar(v, v, v, axis)) for v in side] for side in sides]
    lines = tuple(
        Line(name, cell, told[0][n][0], "", told[0][n][1], n == FEW, *beside)
        for n, (name, cell, _) in enumerate(bars)
        for beside in [told[1][n] if other is not None else ("", None)]
    )
    label = explanation.labels[row] if explanation.labels else "the output"
    against = "" if rival is None else rival.labels[row] if rival.labels else "the runner-up"
    return Chart(explanation.provenance.method, lines, axis.at(0.0), Markup(""), "", label, against)


def leftover(residual: float, base: float, output: float) -> str:
    """The residual as text; what float64 cannot tell from 0 is called so."""
    return "0 (to rounding)" if abs(residual) <= 1e-12 * max(abs(base), abs(output), 1.0) else number(residual)


def overall(explanation: Explanation) -> Chart:
    """Mean |value| of each part over the rows, with 95 % whiskers that speak of the spread over rows."""
    sizes = np.abs(explanation.values)
    known = ~np.isnan(sizes)
    count = known.sum(axis=0)
    mean = np.divide(np.nansum(sizes, axis=0), count, out=np.full(sizes.shape[1], np.nan), where=count > 0)
    spread = np.nansum((sizes - mean) ** 2, axis=0)
    half = Z * np.sqrt(np.divide(spread, count * (count - 1), out=np.zeros(len(mean)), where=count > 1))
    order = np.argsort(-mean, kind="stable")
    bars = [
        _Bar(explanation.features.names[i], "", mean[i], max(0.0, mean[i] - half[i]), mean[i] + half[i])
        for i in order[:PARTS]
    ]
    rest = order[PARTS:]
    if len(rest):
        total = float(np.nansum(mean[rest]))
        bars.append(_Bar(f"rest of {counted(len(rest), 'part')}", "", total, total, total, rest=True))
    return _chart(explanation.provenance.method, bars, Markup(""), "", plus=False)


def reasoned(reasons: Reasons) -> Chart:
    """One reason table: the pushes away from one comparison group."""
    bars = [_Bar(line.part, line.shown, line.effect, line.low, line.high) for line in reasons.lines[:PARTS]]
    rest = reasons.lines[PARTS:]
    if rest:
        total = sum(line.effect for line in rest)
        bars.append(_Bar(f"rest of {counted(len(rest), 'part')}", "", total, total, total, rest=True))
    foot = f"comparison group {number(reasons.base)} → this row {number(reasons.output)}"
    reached = reasons.base + sum(line.effect for line in reasons.lines)
    finite = np.isfinite([reasons.base, reached, reasons.output]).all()
    return _chart(reasons.group, bars, balance(reasons.base, reached, reasons.output) if finite else Markup(""), foot)


def _chart(title: str, bars: Sequence[_Bar], drawn: Markup, foot: str, *, plus: bool = True) -> Chart:
    axis = Axis.of([0.0, *(v for b in bars for v in (b.value, b.low, b.high))], 0.02)
    lines = []
    for b in bars:
        decimals = places(*(v for other in bars for v in (other.value,)))
        tell = signed if plus else number
        bounds = f"{number(b.low, decimals)} … {number(b.high, decimals)}" if b.high > b.low else ""
        lines.append(Line(b.name, b.shown, tell(b.value, decimals), bounds, bar(b.value, b.low, b.high, axis), b.rest))
    return Chart(title, tuple(lines), axis.at(0.0), drawn, foot)
