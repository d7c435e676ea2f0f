# SPDX-License-Identifier: Apache-2.0
"""Dependence: curves over a feature's values (PDP, ALE, ICE), or each row's attribution against its value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats
from assay.nouns.results.result import Explanation
from assay.report.drawing.bars import Z, mean_sizes
from assay.report.drawing.formatting import format_count, format_number, format_signed
from assay.report.drawing.svg import Axis
from assay.report.plots.panels import GREY, SERIES, CurvePanel, Line, axis_over
from assay.report.plots.plot import Plot
from assay.report.plots.reading import check_most, feature_positions, half_widths, heading, numeric_cells, warnings_of

MAX_LINES = 100
"""Curves of single rows that are drawn."""


def has_curves(explanation: Explanation) -> bool:
    """Whether the explanation has curves over its features' values: one for each class, or one for each row."""
    return "grid" in explanation.extra and any(name in explanation.extra for name in ("curve", "lines"))


def draw_dependence(explanation: Explanation, *, features: str | Sequence[str] = (), most: int = 4) -> Plot:
    """One panel for each of the named ``features``, else for the ``most`` with the largest range of the curve.

    Curves are those of ``extra["curve"]`` with ± 1.96 standard errors as a band, or ``extra["lines"]``, one for each
    row, with their mean. Other explanations of numeric columns have a dot for each row, its attribution against its
    value, with ± 1.96 standard errors where there are any. Levels are named; the caption has points at missing values.
    """
    curved = has_curves(explanation)
    cells = None if curved else numeric_cells(explanation)
    if not curved and cells is None:
        raise InputError(f"{explanation.method} has no curves, and its features are no numeric columns.")
    order = _by_range(explanation) if curved else _by_size(explanation, cells)
    chosen = feature_positions(explanation, features) if features else order[: check_most(most)]
    left = len(order) - len(chosen)
    panels, captions = [], []
    for part in chosen:
        panel, text = _curves(explanation, part) if curved else (_scatter(explanation, part, cells), "")
        panels.append(panel)
        captions.append(text)
    step = _row_step(explanation)
    captions += [
        f"{'Bands' if curved else 'Whiskers'} are 95 % intervals."
        if any(line.band is not None for panel in panels for line in panel.lines)
        else "",
        f"One row in {step} has a curve; the mean is over all." if step > 1 else "",
        f"Not drawn: {format_count(left, 'more feature')}." if left > 0 and not features else "",
        *(warnings_of(explanation) if not curved else ()),
    ]
    data = {panel.title: {line.name: (line.x, line.y) for line in panel.lines} for panel in panels}
    return Plot("dependence", heading(explanation), tuple(panels), tuple(filter(None, captions)), data)


def _by_range(explanation: Explanation) -> list[int]:
    """Features by the range of their curves, the largest first; features without a point come last."""
    name = "curve" if "curve" in explanation.extra else "lines"
    curves = explanation.extra[name]
    filled_low, filled_high = np.where(np.isnan(curves), np.inf, curves), np.where(np.isnan(curves), -np.inf, curves)
    spread = filled_high.max(axis=2) - filled_low.min(axis=2)
    spread = np.where(np.isfinite(spread), spread, -1.0).max(axis=0)
    return [int(i) for i in np.argsort(-spread, kind="stable")]


def _by_size(explanation: Explanation, cells: Floats | None) -> list[int]:
    """Features with numbers by mean |attribution|."""
    mean, _ = mean_sizes(explanation.values)
    order = np.argsort(-np.nan_to_num(mean, nan=-1.0), kind="stable")
    return [int(i) for i in order if cells is not None and np.isfinite(cells[:, i]).any()]


def _row_step(explanation: Explanation) -> int:
    return -(-len(explanation.extra["lines"]) // MAX_LINES) if "lines" in explanation.extra else 1


def _curves(explanation: Explanation, part: int) -> tuple[CurvePanel, str]:
    name, grid = explanation.features.names[part], explanation.extra["grid"][part]
    single = "lines" in explanation.extra and "curve" not in explanation.extra
    table = explanation.extra["lines" if single else "curve"][:, part]
    filled = ~np.isnan(table).all(axis=0)
    known, gap = np.isfinite(grid) & filled, ~np.isfinite(grid) & filled
    levels = _level_names(explanation, name, grid[known])
    x = np.arange(int(known.sum()), dtype=np.float64) if levels else grid[known]
    stderr = explanation.extra["stderr"][:, part] if "stderr" in explanation.extra and not single else None
    lines: list[Line] = []
    if single:
        step = _row_step(explanation)
        lines += [Line("", x, row[known], GREY, thin=True) for row in table[::step]]
        table = table.mean(axis=0, keepdims=True)
    for n, curve in enumerate(table):
        half = None if stderr is None else Z * stderr[n][known]
        band = None if half is None else (curve[known] - half, curve[known] + half)
        title = (
            "mean of the rows" if single else f"class {int(explanation.extra['label'][n])}" if len(table) > 1 else ""
        )
        points = [levels[i] if levels else format_number(v) for i, v in enumerate(x)]
        titles = tuple(f"{name} = {at}: {format_number(v)}" for at, v in zip(points, curve[known]))
        marks = bool(levels) or len(x) == 1
        lines.append(Line(title, x, curve[known], SERIES[n % len(SERIES)], band, marks=marks, titles=titles))
    axis = Axis(-0.5, len(x) - 0.5) if levels else axis_over(x)
    y = axis_over(v for line in lines for v in _ends(line))
    panel = CurvePanel(name, tuple(lines), name, _meaning(explanation), axis, y, levels)
    missing = ", ".join(format_number(v) for v in table[:, gap].ravel())
    return panel, f"{name} missing: {missing}." if missing else ""


def _ends(line: Line) -> list[float]:
    return [*line.y.tolist(), *(v for limits in line.band or () for v in limits.tolist())]


def _meaning(explanation: Explanation) -> str:
    return (
        f"effect on {explanation.provenance.target}" if explanation.method == "ale" else explanation.provenance.target
    )


def _level_names(explanation: Explanation, name: str, codes: Floats) -> tuple[str, ...]:
    """Names of levels, from the line "column: 0 = cook, 1 = nurse" of the description; empty for numbers."""
    start = f"{name}: "
    for line in explanation.description:
        text = line.removeprefix(start)
        if text == line or not text.startswith(f"{codes[0]:g} = " if len(codes) else "\n"):
            continue
        found = []
        for code, following in zip(codes, [*codes[1:], None]):
            text = text.removeprefix(f"{code:g} = ")
            end = len(text) if following is None else text.find(f", {following:g} = ")
            found.append(text[:end])
            text = text[end + 2 :]
        return tuple(found)
    return ()


def _scatter(explanation: Explanation, part: int, cells: Floats | None) -> CurvePanel:
    assert cells is not None
    name, x, y = explanation.features.names[part], cells[:, part], explanation.values[:, part]
    half = np.array([half_widths(explanation, row)[part] for row in range(len(y))])
    band = (y - half, y + half) if (half > 0).any() else None
    titles = tuple(
        f"row {row}: {name} = {format_number(a)}, {format_signed(b)}" for row, a, b in zip(explanation.ids, x, y)
    )
    line = Line("", x, y, SERIES[0], band, marks=True, joined=False, titles=titles)
    zero = Line("", np.array([axis_over(x).low, axis_over(x).high]), np.zeros(2), GREY, thin=True)
    return CurvePanel(name, (zero, line), name, "attribution", axis_over(x), axis_over(_ends(line), 0.0))
