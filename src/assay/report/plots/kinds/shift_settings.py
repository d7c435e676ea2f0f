# SPDX-License-Identifier: Apache-2.0
"""One measure of explanation shift in every setting of a study, with its interval and the noise of retraining."""

from __future__ import annotations

import numpy as np

from assay.basics.errors import InputError
from assay.nouns.comparisons.explanation_shift import SIMILARITIES
from assay.nouns.comparisons.shift_experiment import MEASURES, ShiftExperiment
from assay.report.drawing.colours import DOWN, UP
from assay.report.drawing.formatting import decimals_for, format_number
from assay.report.plots.panels import Row, RowsPanel, Span, axis_over
from assay.report.plots.plot import Plot


def draw_shift_settings(experiment: ShiftExperiment, *, measure: str = "sign") -> Plot:
    """The mean of ``measure`` in every setting; a dot is its mean between models of different seeds without a shift.

    Settings whose accuracies differ are orange: they cannot be compared with the others.
    """
    if measure not in MEASURES:
        raise InputError(f"measure={measure!r}; there are {', '.join(MEASURES)}.")
    values = np.array([line.means[measure] for line in experiment.lines])
    low, high = (
        np.array([getattr(line.intervals[measure], end) for line in experiment.lines]) for end in ("low", "high")
    )
    retraining = np.array([line.retraining[measure] for line in experiment.lines])
    decimals = decimals_for(*values.tolist())
    rows = tuple(
        Row(
            line.name,
            format_number(value, decimals),
            value,
            span=Span(0.0, value, a, b, DOWN if line.unequal else UP),
            full=seeds,
        )
        for line, value, a, b, seeds in zip(experiment.lines, *(v.tolist() for v in (values, low, high, retraining)))
    )
    better = "higher is more stable" if measure in SIMILARITIES else "lower is more stable"
    axis = axis_over([*values, *low, *high, *retraining], 0.0)
    panel = RowsPanel(rows, f"{measure}, {better}", axis, ((0.0, "0"),))
    pairs = max((line.pairs for line in experiment.lines), default=0)
    caption = [
        f"Mean over {experiment.rows} rows, {experiment.method}, top {experiment.k}; whiskers are "
        f"{100 * experiment.level:g} % intervals over {pairs} pairs; dots are models of different seeds, without shift."
    ]
    if any(line.unequal for line in experiment.lines):
        caption.append("Orange: the accuracies before and after the shift differ; not comparable.")
    data = {
        "names": tuple(line.name for line in experiment.lines),
        "values": values,
        "low": low,
        "high": high,
        "retraining": retraining,
    }
    return Plot("shift settings", f"Explanation shift: {measure}", (panel,), tuple(caption), data)
