# SPDX-License-Identifier: Apache-2.0
"""Attacked rows: the margin of each before and after an attack on predictions."""

from __future__ import annotations

import numpy as np

from assay.nouns.results.result import AttackResult
from assay.report.drawing.formatting import format_number, method_name
from assay.report.drawing.validity import describe_validity
from assay.report.plots.panels import SERIES, Row, RowsPanel, Span, axis_over
from assay.report.plots.plot import Plot
from assay.report.plots.reading import check_most


def draw_attacked_rows(result: AttackResult, *, most: int = 20) -> Plot:
    """The attacked quantity of the ``most`` first rows: the bar ends where it is after the attack.

    The whisker reaches from the value before to the value after. Rows that the attack changed have another colour.
    """
    count = min(check_most(most), len(result.ids))
    values = [*result.before[:count].tolist(), *result.after[:count].tolist()]
    known = [value for value in values if np.isfinite(value)]
    rows = tuple(_row(result, place) for place in range(count))
    panel = RowsPanel(rows, result.quantity, axis_over(known, 0.0), ((0.0, "0"),))
    robust, _ = describe_validity(result)
    more = len(result.ids) - count
    caption = (
        f"Robust accuracy {robust}: {result.validity['robust_accuracy_of']}; an upper bound." if robust else "",
        f"Not drawn: {more} more rows." if more else "",
        *(note.text for note in result.notes[:3]),
    )
    title = f"{method_name(result.method)} of {result.provenance.target}, {len(result.ids)} rows"
    data = {"ids": result.ids[:count], "before": result.before[:count], "after": result.after[:count]}
    return Plot("attacked rows", title, (panel,), tuple(filter(None, caption)), data)


def _row(result: AttackResult, place: int) -> Row:
    before, after = float(result.before[place]), float(result.after[place])
    low, high = min(before, after), max(before, after)
    colour = SERIES[1 if result.success[place] else 0]
    shown = f"{format_number(before)} → {format_number(after)}"
    return Row(result.ids[place], shown, after, span=Span(0.0, after, low, high, colour))
