# SPDX-License-Identifier: Apache-2.0
"""Waterfall: from the base value to the output of one row, feature by feature."""

from __future__ import annotations

import math

import numpy as np

from assay.basics.errors import InputError
from assay.nouns.results.result import Explanation
from assay.report.drawing.bars import other_features
from assay.report.drawing.formatting import ROUNDING, decimals_for, format_number, format_signed
from assay.report.plots.panels import GREY, RowsPanel, Span, axis_over, sign_colour
from assay.report.plots.panels import Row as Line
from assay.report.plots.plot import Plot
from assay.report.plots.reading import Row, check_most, half_widths, heading, name_and_cell, present_parts, row_position

RESIDUAL = "residual: not attributed"


def draw_waterfall(explanation: Explanation, *, row: Row = None, most: int = 10) -> Plot:
    """The base value, each feature's attribution from where the one before ended, the residual, and the output.

    Features are sorted by |attribution|; those beyond ``most`` are one bar. A whisker is ± 1.96 standard errors around
    the end of its bar. NaN attributions are listed as undefined and move nothing. ``InputError`` without a base value.
    """
    at = row_position(explanation, row)
    base, output = float(explanation.base[at]), float(explanation.output[at])
    if not math.isfinite(base):
        raise InputError(
            f"{explanation.method} has no base value at row {explanation.ids[at]}; plot kind='bar' needs none."
        )
    values, parts = explanation.values[at], present_parts(explanation, at)
    order = parts[np.argsort(-np.nan_to_num(np.abs(values[parts]), nan=-1.0), kind="stable")]
    drawn = order if len(order) <= check_most(most) + 1 else order[:most]
    rest = order[len(drawn) :]
    half = np.where(half_widths(explanation, at) > 0, half_widths(explanation, at), np.nan)
    moves = [(*name_and_cell(explanation, at, i), float(values[i]), float(half[i])) for i in drawn]
    if len(rest):
        moves.append((other_features(len(rest)), "", float(np.nansum(values[rest])), math.nan))
    residual = output - base - sum(v for _, _, v, _ in moves if math.isfinite(v))
    if abs(residual) > ROUNDING * max(abs(base), abs(output), 1.0) or not math.isfinite(residual):
        moves.append((RESIDUAL, "", residual, math.nan))
    decimals = decimals_for(base, output, *(v for _, _, v, _ in moves))
    lines, level = [Line("base value", format_number(base, decimals), base, full=base)], base
    for name, cell, value, error in moves:
        end = level + value
        colour = GREY if name == RESIDUAL else sign_colour(value)
        span = Span(level, end, end - error, end + error, colour)
        lines.append(Line(name, format_signed(value, decimals), value, cell, span))
        level = end if math.isfinite(end) else level
    lines.append(Line("output", format_number(output, decimals), output, full=output))
    ends = [v for line in lines if line.span for v in (line.span.start, line.span.end, line.span.low, line.span.high)]
    panel = RowsPanel(tuple(lines), "target", axis_over(ends, base, output), ((base, "base value"), (output, "output")))
    caption = ("Whiskers are 95 % intervals of single attributions.",) if np.isfinite(half).any() else ()
    data = {"base": base, "output": output, "names": [m[0] for m in moves], "values": [m[2] for m in moves]}
    return Plot("waterfall", heading(explanation, at), (panel,), caption, data)
