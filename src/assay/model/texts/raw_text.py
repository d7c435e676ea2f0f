# SPDX-License-Identifier: Apache-2.0
"""Adapter for models that take texts themselves: scikit-learn Pipelines with a vectorizer, and functions of texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.fingerprint import digest
from assay.basics.types import Array, Floats, Masks
from assay.model.adapters.function import function
from assay.model.adapters.text import Encoded
from assay.model.model import Model
from assay.model.texts.words import TextRow, join_words, word_spans
from assay.nouns.inputs.frames import list_first
from assay.nouns.inputs.rows import Rows, Text, to_floats
from assay.nouns.results.result import Note

TEXTS, SPANS = "text", "words"
"""What rows of raw texts carry: the texts (row,), and where their words begin and end (row, word, 2)."""


@dataclass(frozen=True, eq=False)
class WordEncoder:
    """A function from texts to rows: 1 for each word, 0 for places that shorter texts do not have."""

    replacement: str

    def __call__(self, texts: Sequence[TextRow]) -> Encoded:
        """The texts as rows of ones; raises ``InputError`` for a text without a word."""
        pairs = [i for i, text in enumerate(texts) if not isinstance(text, str)]
        if pairs:
            raise InputError(f"row {list_first(np.array(pairs))}: a pair of texts; this model takes single texts.")
        given = [text for text in texts if isinstance(text, str)]
        found = [word_spans(text) for text in given]
        empty = np.array([not spans for spans, _ in found])
        if empty.any():
            rows = list_first(np.flatnonzero(empty))
            raise InputError(f"row {rows}: the text is empty (it has no word). Leave such rows out.")
        width = max(len(spans) for spans, _ in found)
        places = np.zeros((len(given), width, 2), dtype=np.int64)
        for line, (spans, _) in zip(places, found):
            line[: len(spans)] = spans
        real = np.arange(width) < np.array([len(spans) for spans, _ in found])[:, None]
        whole = np.empty(len(given), dtype=object)
        whole[:] = given
        words = tuple(tuple(text[start:stop] for start, stop in spans) for text, (spans, _) in zip(given, found))
        index = np.where(real, np.arange(width), -1)
        single = [i for i, (_, has_characters) in enumerate(found) if has_characters]
        notes = (_characters_note(single),) if single else ()
        return Encoded(
            real.astype(np.float64),
            {TEXTS: whole, SPANS: places},
            index,
            Text(words, real, tuple(given)),
            "word",
            notes,
        )

    def write(self, rows: Rows) -> list[str]:
        """The text of each row with the words that are present; ``InputError`` for values other than 0 and 1."""
        x, real = to_floats(rows.x), self._real(rows)
        odd = real & (x != 0) & (x != 1)
        if odd.any():
            row, word = (int(one[0]) for one in np.nonzero(odd))
            raise InputError(
                f"row {rows.ids[row]}, word {word + 1}: {x[row, word]:.6g}. A word of a text is present (1) or absent "
                f"(0): use methods that remove words, with remove=assay.Constant(0.0)."
            )
        return [
            join_words(text, spans[own].tolist(), (line[own] == 1).tolist(), self.replacement)
            for text, spans, line, own in zip(rows.carried[TEXTS], rows.carried[SPANS], x, real)
        ]

    @staticmethod
    def _real(rows: Rows) -> Masks:
        spans = rows.carried[SPANS]
        return np.asarray(spans[:, :, 1] > spans[:, :, 0])


def _characters_note(rows: Sequence[int]) -> Note:
    return Note(
        "pieces",
        f"{len(rows)} texts have no spaces between some words: their parts are single characters there: row "
        f"{list_first(np.array(rows))}",
    )


def text_pipeline(
    estimator: Any,
    *,
    replacement: str = "",
    classes: Sequence[str] | None = None,
    preprocess: Callable[[Any], Any] | None = None,
    output: str | None = None,
    batch: int = 4096,
    name: str | None = None,
) -> Model:
    """A fitted scikit-learn estimator or Pipeline that takes a list of texts, as a model whose parts are words.

    A row holds 1 for a word that is present and 0 for one that is absent; no other number is allowed. An absent word is
    deleted, or replaced by ``replacement`` ("[MASK]"). Words are runs of letters and digits with the apostrophes inside
    them, runs of pictographs, and single characters in scripts without spaces; punctuation is no part and stays. With
    all words present the estimator gets the very text. Equal texts of a batch are evaluated once. The other arguments
    are those of ``assay.model.sklearn``.
    """
    from assay.model.adapters.sklearn import sklearn

    inner = sklearn(estimator, classes=classes, preprocess=preprocess, output=output, batch=batch, name=name)
    return _of_words(inner, replacement)


def text_function(
    call: Callable[[list[str]], Any],
    *,
    gives: str = "values",
    replacement: str = "",
    classes: Sequence[str] | None = None,
    output: Callable[[Any], Any] | None = None,
    batch: int = 256,
    name: str | None = None,
    fingerprint: str | None = None,
) -> Model:
    """A function of a list of texts to outputs (row,) or (row, out), as a model whose parts are words.

    Rows and removal are those of ``text_pipeline``, the other arguments those of ``assay.model.function``.
    """
    label = name or str(getattr(call, "__name__", type(call).__name__))
    inner = function(
        call,
        gives=gives,
        classes=classes,
        preprocess=list,
        output=output,
        batch=batch,
        name=label,
        fingerprint=fingerprint,
    )
    return _of_words(inner, replacement)


def _of_words(inner: Model, replacement: str) -> Model:
    """A model of texts (row,) as one of the words that are present."""
    encode = WordEncoder(replacement)

    def forward(rows: Rows) -> Array:
        if TEXTS not in rows.carried or SPANS not in rows.carried:
            raise InputError(f"{inner.name} takes texts; make the rows with assay.case(model, texts).")
        texts = encode.write(rows)
        different = list(dict.fromkeys(texts))
        places = {text: i for i, text in enumerate(different)}
        given = np.empty(len(different), dtype=object)
        given[:] = different
        found: Floats = to_floats(inner.forward(Rows(given, tuple(map(str, range(len(different)))))))
        return found[[places[text] for text in texts]]

    return replace(
        inner,
        forward=forward,
        fingerprint=digest(inner.fingerprint, "words", replacement),
        columns=None,
        forest=None,
        accepts_missing=False,
        encode=encode,
        about={
            **inner.about,
            "reads": "text",
            "an absent word": f"becomes {replacement!r}" if replacement else "is deleted",
        },
    )


def takes_raw_text(estimator: Any) -> bool:
    """Whether the first step of a fitted estimator takes texts: a vectorizer, alone or after functions of texts.

    Searches, calibrations, ensembles and unions of such estimators count too; one that was fitted to a frame takes
    tables.
    """
    if getattr(estimator, "feature_names_in_", None) is not None:
        return False
    return any(map(_vectorizes, _first_steps(estimator)))


def _vectorizes(step: Any) -> bool:
    from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer

    return isinstance(step, CountVectorizer | HashingVectorizer)


def _first_steps(estimator: Any) -> Iterator[Any]:
    """The steps that get the input itself, or what functions made of it."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import FeatureUnion, Pipeline

    if isinstance(estimator, ColumnTransformer):
        return
    if isinstance(estimator, Pipeline):
        for _, step in estimator.steps:
            if isinstance(step, ColumnTransformer):
                return
            found = list(_first_steps(step))
            if any(map(_vectorizes, found)):
                yield from found
                return
        return
    if isinstance(estimator, FeatureUnion):
        inner: list[Any] = [step for _, step in estimator.transformer_list]
    else:
        inner = [one for name in INNER if (one := getattr(estimator, name, None)) is not None]
        several = getattr(estimator, "estimators_", None)
        inner += list(several) if isinstance(several, list) else []
    if not inner:
        yield estimator
    for one in inner:
        if not isinstance(one, str | Mapping):
            yield from _first_steps(one)


INNER = ("best_estimator_", "estimator_", "estimator")
"""Attributes of searches, calibrations and thresholds that hold the estimator inside."""
