# SPDX-License-Identifier: Apache-2.0
"""Texts: words in reading order on the colours of their attributions, and the words with the largest attributions.

The features of a text are its words, numbered by position. A position means nothing across texts, so that means over
rows are taken by word.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from assay.nouns.results.result import Explanation
from assay.report.drawing.formatting import decimals_for, format_signed

LEVELS = 6
"""Strengths of colour on each side of 0; the style sheet has one class for each."""

MAX_WORDS = 120
"""Words of a text that are printed."""

LISTED = 5
"""Words of a text whose attribution is printed as a number."""


@dataclass(frozen=True)
class ColouredWord:
    """A word and the CSS class of its colour, empty where its attribution is near 0 or undefined."""

    text: str
    colour: str


@dataclass(frozen=True)
class ColouredText:
    """The words of a text in reading order, how many are left out before and after, and the largest attributions."""

    words: tuple[ColouredWord, ...]
    before: int
    after: int
    largest: tuple[tuple[str, str], ...]


def has_words(explanation: Explanation) -> bool:
    """Whether the features of a row are the words of a text."""
    return bool(explanation.part_texts) and explanation.features.per_row


def coloured_text(explanation: Explanation, row: int) -> ColouredText:
    """The words of one row; of a long text the ``MAX_WORDS`` words in a row with the largest sum of |attribution|.

    The strongest colour is the largest |attribution| of the row.
    """
    parts = [part for part, text in enumerate(explanation.part_texts[row]) if text]
    texts = [explanation.part_texts[row][part] for part in parts]
    values = np.nan_to_num(explanation.values[row][parts])
    sizes = np.abs(values)
    high = float(sizes.max(initial=0.0))
    sums = np.convolve(sizes, np.ones(min(MAX_WORDS, len(sizes))), "valid") if len(sizes) else np.zeros(1)
    start = int(sums.argmax())
    levels = np.rint(LEVELS * sizes / high).astype(int) if high > 0 else np.zeros(len(sizes), dtype=int)
    words = [
        ColouredWord(text, f"{'n' if value < 0 else 'p'}{level}" if level else "")
        for text, value, level in zip(texts, values.tolist(), levels.tolist())
    ]
    order = [i for i in np.argsort(-sizes, kind="stable")[:LISTED].tolist() if sizes[i] > 0]
    decimals = decimals_for(*(float(values[i]) for i in order))
    largest = tuple((texts[i], format_signed(float(values[i]), decimals)) for i in order)
    kept = tuple(words[start : start + MAX_WORDS])
    return ColouredText(kept, start, len(words) - start - len(kept), largest)


def attributions_by_word(explanation: Explanation) -> dict[str, list[float]]:
    """The attribution of every occurrence of each word, in all rows; undefined ones are left out."""
    found: dict[str, list[float]] = defaultdict(list)
    for texts, values in zip(explanation.part_texts, explanation.values.tolist()):
        for text, value in zip(texts, values):
            if text and np.isfinite(value):
                found[text].append(value)
    return dict(found)
