# SPDX-License-Identifier: Apache-2.0
"""Coloured text: the words of a text on the colours of their attributions."""

from __future__ import annotations

import math

import numpy as np

from assay.nouns.results.result import Explanation
from assay.report.drawing.colours import DOWN, UP
from assay.report.drawing.formatting import format_count, format_number, truncate
from assay.report.plots.panels import Legend, Word, WordsPanel, sign_colour
from assay.report.plots.plot import Plot
from assay.report.plots.reading import Row, check_most, class_of, heading, row_position, warnings_of

STRONGEST, STEPS = 0.6, 12
"""Opacity of the largest attribution, under which text stays readable, and steps of the legend on each side."""


def draw_coloured_text(explanation: Explanation, *, row: Row = None, most: int = 6) -> Plot:
    """The words of one text, or of the ``most`` first, each on a colour as strong as its |attribution|.

    Blue raises the target, orange lowers it. All texts have one scale, whose end is the largest |attribution| drawn.
    A word without an attribution (NaN) has no colour and is counted.
    """
    rows = range(min(check_most(most), len(explanation.ids))) if row is None else [row_position(explanation, row)]
    known = np.abs(explanation.values[list(rows)])
    high = float(np.nanmax(known)) if np.isfinite(known).any() else 0.0
    found = [_words(explanation, r, high) for r in rows]
    colours = [(DOWN, (STEPS - n) / STEPS) for n in range(STEPS)] + [(UP, (n + 1) / STEPS) for n in range(STEPS)]
    legend = Legend(
        "attribution of the word",
        format_number(-high),
        format_number(high),
        tuple(colour for colour, _ in colours),
        opacities=tuple(STRONGEST * share for _, share in colours),
    )
    panels = tuple(
        WordsPanel(
            f"row {truncate(explanation.ids[r], 40)}{class_of(explanation, r)}",
            words,
            legend if n == len(rows) - 1 else None,
        )
        for n, (r, words) in enumerate(zip(rows, found))
    )
    undefined = sum(math.isnan(word.value) for words in found for word in words)
    more = len(explanation.ids) - len(panels)
    caption = [
        f"Without an attribution: {format_count(undefined, 'word')}." if undefined else "",
        f"Not drawn: {format_count(more, 'more row')}." if more and row is None else "",
        *warnings_of(explanation),
    ]
    title = heading(explanation) if row is None and len(explanation.ids) > 1 else heading(explanation, rows[0])
    data = {
        "words": [[w.text for w in words] for words in found],
        "values": [[w.value for w in words] for words in found],
    }
    return Plot("coloured text", title, panels, tuple(filter(None, caption)), data)


def _words(explanation: Explanation, row: int, high: float) -> tuple[Word, ...]:
    texts, values = explanation.part_texts[row], explanation.values[row].tolist()
    errors = [math.nan] * len(values) if explanation.stderr is None else explanation.stderr[row].tolist()
    return tuple(
        Word(text, value, error, sign_colour(value), _strength(value, high))
        for text, value, error in zip(texts, values, errors)
        if text
    )


def _strength(value: float, high: float) -> float:
    return STRONGEST * abs(value) / high if math.isfinite(value) and high > 0 else 0.0
