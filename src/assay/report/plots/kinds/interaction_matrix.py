# SPDX-License-Identifier: Apache-2.0
"""Interaction matrix: main effects on the diagonal, interactions of pairs off it."""

from __future__ import annotations

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats
from assay.nouns.results.result import Explanation
from assay.report.drawing.bars import Z, mean_sizes
from assay.report.drawing.colours import DIVERGING
from assay.report.drawing.formatting import format_count, format_number
from assay.report.plots.panels import Legend, MatrixPanel
from assay.report.plots.plot import Plot
from assay.report.plots.reading import Row, check_most, heading, row_position, warnings_of
from assay.report.plots.svg_squares import css_colours


def pair_matrix(explanation: Explanation) -> Floats | None:
    """The interactions (row, part, part) of an explanation, half of each pair's on each side; else ``None``."""
    for name in ("pairs", "interactions"):
        found = explanation.extra.get(name)
        if found is not None and found.ndim == 3 and found.shape[1:] == (len(explanation.features),) * 2:
            return found
    return None


def _pair_errors(explanation: Explanation, row: int) -> Floats | None:
    """Standard errors (part, part) of a row's matrix, where its sets were estimated from sampled coalitions."""
    sets, found = explanation.extra.get("subsets"), explanation.extra.get("stderr")
    if sets is None or found is None or sets.shape[1] != 2 or not (found[row] > 0).any():
        return None
    errors = np.full((len(explanation.features),) * 2, np.nan)
    for (first, second), error in zip(sets.astype(int), found[row]):
        single = second < 0
        errors[first, first if single else second] = error if single else error / 2
    return np.where(np.isnan(errors), errors.T, errors)


def draw_matrix_of_pairs(explanation: Explanation, *, row: Row = None, most: int = 12) -> Plot:
    """One row's main effects (diagonal) and half interactions (off it), or the mean of their sizes over all rows.

    The ``most`` features with the largest sums of |entries|; a cell is NaN where a row's is. Over several rows the
    number is mean |entry|, so that opposite signs do not cancel, with the standard error over rows.
    """
    table = pair_matrix(explanation)
    if table is None:
        raise InputError(f"{explanation.method} has no interactions of pairs in extra; explain.interactions has.")
    many = row is None and len(table) > 1
    error: Floats | None
    if many:
        values, half = (v.reshape(table.shape[1:]) for v in mean_sizes(table.reshape(len(table), -1)))
        error = half / Z
    else:
        at = row_position(explanation, row)
        values, error = table[at], _pair_errors(explanation, at)
    order = np.argsort(-np.nansum(np.abs(values), axis=1), kind="stable")[: check_most(most)]
    order = np.sort(order)
    shown = values[np.ix_(order, order)]
    high = float(np.nanmax(np.abs(shown))) if np.isfinite(shown).any() else 0.0
    colours = DIVERGING[len(DIVERGING) // 2 :] if many else DIVERGING
    text = "mean |entry|" if many else "entry"
    legend = Legend(
        f"{text}: main effect on the diagonal, half of the interaction off it",
        format_number(0.0 if many else -high),
        format_number(high),
        tuple(css_colours(colours)),
    )
    names = tuple(explanation.features.names[i] for i in order)
    errors = None if error is None else error[np.ix_(order, order)]
    panel = MatrixPanel(names, shown, -high, high, DIVERGING, legend, errors, not many)
    hidden = len(values) - len(order)
    caption = [
        f"Not drawn: {format_count(hidden, 'more feature')}." if hidden else "",
        *(warnings_of(explanation) if many else ()),
    ]
    data = {"names": names, "values": shown, "stderr": errors}
    title = heading(explanation) if many else heading(explanation, row_position(explanation, row))
    return Plot("interaction matrix", title, (panel,), tuple(filter(None, caption)), data)
