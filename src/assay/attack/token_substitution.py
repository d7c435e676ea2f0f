# SPDX-License-Identifier: Apache-2.0
"""Attack on texts: few words are replaced or deleted so that the predicted class changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Ints
from assay.cases.case import Case
from assay.engine.changes.change_report import CHANGE_PASSES, change_report, note_of
from assay.engine.changes.choices import (
    Answers,
    Best,
    Changes,
    Choices,
    Limits,
    is_allowed,
    random_changes,
    search_changes,
)
from assay.engine.changes.word_candidates import checked_table, from_table, has_embedding, nearest_words
from assay.engine.changes.word_changes import DELETED, TextModel, WordText, changed_share
from assay.engine.cost import per_row
from assay.engine.declare import attacker
from assay.engine.search.threat import Goal, Labels
from assay.nouns.results.result import Note

PROBE = -1
"""The number of the option of a word that is deleted to learn how important it is."""


@attacker(
    source="jin2020",
    needs={"classes", "texts"},
    cost=per_row(lambda o: o.queries + CHANGE_PASSES),
    has_exact_cost=False,
)
def token_substitution(
    case: Case,
    *,
    max_words: int = 3,
    candidates: Mapping[str, Sequence[Any]] | None = None,
    neighbours: int = 8,
    delete: bool = False,
    queries: int = 500,
    beam: int = 4,
    labels: Labels | None = None,
    target_label: Labels | None = None,
) -> dict[str, Any]:
    """The margin of the decision after at most ``max_words`` words of a text are replaced; below 0 it succeeded.

    ``candidates`` maps a word to the words that may replace it (as written, else in lower case). Without it a net's
    candidates are the ``neighbours`` nearest words of its own embedding, by the cosine: they may change the meaning of
    the text, and a note says so. ``delete`` also allows words to be deleted; a pipeline or function of raw texts needs
    it or ``candidates``. The model needs to give outputs only, no gradient.

    The words are ordered by how much the margin falls when each is deleted, and changed one after another to the best
    candidate until the class changes; then changes are taken back while the class stays changed; the evaluations that
    are left go to a beam search for fewer changes, or for a success. No row is evaluated more than ``queries`` times.
    Every text goes through the model's own tokenizer, and success counts only there.

    ``inputs`` are the attacked texts, ``changes`` the words that changed, ``distance`` (row,) their number,
    ``extra["changed_share"]`` (row,) their share; ``random`` is the margin after as many random substitutions. A failed
    attack is no proof of robustness: other candidates may succeed.

    TextFooler (Jin et al. 2020) filters candidates by part of speech and by a sentence encoder, and has no beam; the
    table of candidates is the place for such a filter.
    """
    limits = Limits(max_words, np.inf, queries, beam)
    limits.check()
    goal, model = Goal.of(case, labels, target_label), TextModel(case)
    texts, notes = _with_options(case, [WordText.of(one) for one in model.sources], candidates, neighbours, delete)
    margin = goal.search_margins(case.prediction)
    choices = [_choices(text, float(start)) for text, start in zip(texts, margin)]

    def evaluate(which: Ints, requests: Sequence[Changes]) -> Answers:
        written = [_written(texts[row], one) for row, one in zip(which.tolist(), requests)]
        outputs = model.outputs(written, which)
        return goal.search_margins(outputs, which), goal.successes(outputs, which)

    rows = np.flatnonzero(~goal.successes(case.prediction)).tolist()
    best = {row: Best() for row in range(len(case))} | search_changes(choices, rows, evaluate, limits)
    return _result(goal, model, texts, choices, best, limits, notes)


def _with_options(
    case: Case, texts: list[WordText], table: Mapping[str, Sequence[Any]] | None, neighbours: int, delete: bool
) -> tuple[list[WordText], tuple[Note, ...]]:
    """The texts with what may replace each word, and notes on where the candidates come from."""
    notes: tuple[Note, ...] = ()
    if table is not None:
        known = checked_table(table)
    elif has_embedding(case.model.encode):
        if neighbours < 1:
            raise InputError(f"neighbours={neighbours}; at least 1 is needed, or a table of candidates.")
        words = [word for text in texts for word in text.words]
        known, has_vocabulary = nearest_words(case.model.encode, words, neighbours)
        source = "the vocabulary" if has_vocabulary else "the texts attacked, since the tokenizer shows no vocabulary"
        text = (
            f"the candidates are the nearest words of the net's own embedding, among {source}: they may change what "
            f"the text means. Give candidates= to choose them"
        )
        notes = (Note("meaning-not-checked", text),)
    elif delete:
        known = {}
    else:
        raise CapabilityError(
            f"{case.model.name} has no embedding that gives candidates. Give candidates={{word: [words]}}, or "
            f"delete=True to delete words."
        )
    if delete:
        notes = (*notes, Note("words-deleted", "words may be deleted, which may change what the text means"))
    more = (DELETED,) if delete else ()
    found = [replace(text, options=tuple((*from_table(known, word), *more) for word in text.words)) for text in texts]
    empty = [not any(one.options) for one in found]
    text = "no word of the text has a candidate, so that nothing was attacked"
    return found, (*notes, *note_of(case, "no-candidates", text, empty))


def _choices(text: WordText, start: float) -> Choices:
    costs = tuple(np.ones(len(options)) for options in text.options)
    deleted = [options.index(DELETED) if DELETED in options else PROBE for options in text.options]
    return Choices(costs, start, tuple(((place, option),) for place, option in enumerate(deleted)))


def _written(text: WordText, changes: Changes) -> Any:
    return text.written(changes) if is_allowed(changes) else text.without(changes[0][0])


def _result(
    goal: Goal,
    model: TextModel,
    texts: list[WordText],
    choices: list[Choices],
    best: Mapping[int, Best],
    limits: Limits,
    notes: tuple[Note, ...],
) -> dict[str, Any]:
    case, everyone = goal.case, np.arange(len(goal.case))
    chosen = [best[row].changes for row in everyone.tolist()]
    inputs = tuple(text.written(one) for text, one in zip(texts, chosen))
    by_chance = [
        random_changes(choices[row], max(1, len(one)), np.inf, case.seed.child("words", case.rows.ids[row]).generator())
        for row, one in enumerate(chosen)
    ]
    random = [text.written(one) for text, one in zip(texts, by_chance)]
    count = np.array([len(one) for one in chosen], dtype=np.float64)
    share = changed_share(texts, count)
    won = np.array([best[row].success for row in everyone.tolist()])
    spent = np.array([best[row].spent and not best[row].success for row in everyone.tolist()])
    more = {
        "max_words": limits.places,
        "queries": limits.queries,
        "changed_share_median": float(np.median(share[won])) if won.any() else None,
        "texts_refused": int(model.refused.sum()),
    }
    ended = "the evaluations ended before all changes were tried: more queries may find a success"
    refused = "some changed texts are not taken by the model (too long, or without a word): they count as failures"
    return change_report(
        goal,
        model.at(inputs, everyone),
        _taken(model, random, everyone),
        inputs=inputs,
        changes=[text.describe(one) for text, one in zip(texts, chosen)],
        distance=count,
        queries=np.array([best[row].queries for row in everyone.tolist()], dtype=np.float64),
        notes=(
            *notes,
            *note_of(case, "queries-spent", ended, spent),
            *note_of(case, "texts-refused", refused, model.refused > 0),
        ),
        more=more,
        extra={"changed_share": share},
    )


def _taken(model: TextModel, texts: list[Any], which: Ints) -> Case:
    """The case at these texts, with the row's own text where the model refuses one."""
    try:
        return model.at(texts, which)
    except InputError:
        kept = []
        for row, text in enumerate(texts):
            try:
                model.at([text], which[[row]])
                kept.append(text)
            except InputError:
                kept.append(model.sources[row])
        return model.at(kept, which)
