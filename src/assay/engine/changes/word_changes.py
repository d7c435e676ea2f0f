# SPDX-License-Identifier: Apache-2.0
"""Texts with some words replaced or deleted, evaluated through the model's own tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.cases.read_inputs import read
from assay.engine.changes.choices import Changes
from assay.model.texts.words import Span, TextRow, replace_words, word_spans
from assay.nouns.inputs.rows import to_floats

DELETED = ""
"""The option that deletes a word."""


@dataclass(frozen=True, eq=False)
class WordText:
    """A text, or a pair of texts, with its words. ``options`` hold for each word what may replace it."""

    source: TextRow
    spans: tuple[tuple[Span, ...], ...]
    words: tuple[str, ...]
    options: tuple[tuple[str, ...], ...] = ()

    @staticmethod
    def of(source: TextRow) -> WordText:
        """The words of a text, in the order of the text."""
        texts = (source,) if isinstance(source, str) else source
        spans = tuple(tuple(word_spans(text)[0]) for text in texts)
        words = tuple(text[start:stop] for text, own in zip(texts, spans) for start, stop in own)
        return WordText(source, spans, words)

    def written(self, changes: Changes) -> TextRow:
        """The text after the changes."""
        return self._written({place: self.options[place][option] for place, option in changes})

    def without(self, place: int) -> TextRow:
        """The text without one word."""
        return self._written({place: DELETED})

    def _written(self, words: dict[int, str]) -> TextRow:
        texts = (self.source,) if isinstance(self.source, str) else self.source
        start, found = 0, []
        for text, own in zip(texts, self.spans):
            here = {place - start: word for place, word in words.items() if start <= place < start + len(own)}
            found.append(replace_words(text, own, here))
            start += len(own)
        return found[0] if isinstance(self.source, str) else (found[0], found[1])

    def describe(self, changes: Changes) -> tuple[str, ...]:
        """The changes as text."""
        return tuple(f"{self.words[place]} → {self.options[place][option] or '(deleted)'}" for place, option in changes)


@dataclass(eq=False)
class TextModel:
    """The model of a case at other texts than its rows; each goes through the model's own tokenizer.

    ``refused`` (row,) counts texts that the model does not take: too long, or without a word.
    """

    case: Case
    refused: Ints = field(init=False)
    own: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.refused = np.zeros(len(self.case), dtype=np.int64)
        self.own = frozenset(self.case.model.encode([self.sources[0]]).carried)

    @property
    def sources(self) -> tuple[TextRow, ...]:
        """The texts of the rows."""
        text = self.case.rows.text
        assert text is not None
        return text.source

    def at(self, texts: Sequence[TextRow], which: Ints) -> Case:
        """The case at these texts; ``which`` is the row of each."""
        rows, features, _ = read(self.case.model, list(texts), None, {}, None, None)
        given = {n: v[which] for n, v in self.case.rows.carried.items() if n not in rows.carried and n not in self.own}
        names = rows.ids if len(which) != len(self.case) else self.case.rows.ids
        rows = replace(rows, ids=names, carried={**rows.carried, **given})
        return replace(self.case, rows=rows, features=features, label=self.case.label[which])

    def outputs(self, texts: Sequence[TextRow], which: Ints) -> Floats:
        """The outputs (text, out); NaN for a text that the model refuses."""
        try:
            found = self.at(texts, which)
            return to_floats(found.outputs(found.rows.x))
        except InputError:
            if len(texts) > 1:
                half = len(texts) // 2
                return np.concatenate(
                    [self.outputs(texts[:half], which[:half]), self.outputs(texts[half:], which[half:])]
                )
            self.refused[which[0]] += 1
            return np.full((1, self.case.prediction.shape[1]), np.nan)


def changed_share(texts: Sequence[WordText], changed: Floats) -> Floats:
    """The share of each text's words that changed (row,)."""
    return np.asarray(changed / np.array([max(1, len(one.words)) for one in texts]))
