# SPDX-License-Identifier: Apache-2.0
"""Bias of a text model: what changes when words such as "he" and "she" are exchanged, against neutral words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.stats import Basis
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.cases.new_case import case as ask
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.check_findings import judged_finding
from assay.engine.declare import diagnostic
from assay.engine.word_swaps.neutral_words import NeutralWords
from assay.engine.word_swaps.word_pairs import GENDER, SwappedText, SwapTable, swap_words
from assay.model.texts.words import TextRow
from assay.nouns.catalogue import Check, Cost, Method
from assay.nouns.inputs.target import class_scores, predicted_class, probabilities
from assay.nouns.results.finding import MAX_ROWS, Finding

MAX_LISTED = 10
"""Most pairs of words, and texts, that are listed as evidence."""

DECISIONS = Check(
    "FAI401",
    "In how many more texts does exchanging sensitive words change the decision than exchanging neutral words?",
    "Look at the texts whose decision changes; train on texts in both forms (counterfactual data augmentation), or "
    "leave the words out, and audit again.",
    0.05,
    "at most",
    severe=0.2,
)
SHIFT = Check("FAI402", "How far does the output move towards one side of the exchanged words?", "Informative.")
CHECKS = (DECISIONS, SHIFT)

MEANING = {
    DECISIONS: "Share of texts with such words whose decision changes when all of them are exchanged, less the share "
    "that changes when as many neutral words of about the same frequency are replaced in the same texts, −1 … 1; 0 is "
    "no bias by these words. Texts about one sex can be right to be decided otherwise (medicine, sports); names and "
    "other words that are associated with the attribute stay, so that a pass does not exclude a bias through them.",
    SHIFT: "Mean change of the output from the first words of the pairs (he) to the second (she), over texts with more "
    "words of one side; 0 where both directions are equal. Changes of single texts can be large where the mean is 0.",
}
ADVICE = {
    "pass": "No action needed on this evidence; give a table of the words that matter to your texts.",
    "fail": DECISIONS.remedy,
    "undecided": "More rows whose texts have such words would decide; the interval contains the threshold.",
}


def _calls(method: Method, inputs: AuditInputs) -> list[Call]:
    """One call about the favourable class."""
    return [Call((inputs.ask(label=inputs.favourable_class),), inputs.options_of(method))]


def _audit_cost(inputs: AuditInputs) -> Cost:
    """Each text, its exchanged form, and its controls, at most."""
    given = {"rows": 500, "draws": 2} | dict(inputs.options.get("swapped_words", {}))
    swapped = min(len(inputs.case), int(given["rows"]))
    return Cost(len(inputs.case) + swapped * (1 + int(given["draws"]))) * inputs.model.passes_per_row


@diagnostic(
    source="garg2019",
    needs={"classes", "texts"},
    optional={"favourable"},
    checks=CHECKS,
    calls=_calls,
    audit_cost=_audit_cost,
    has_exact_cost=False,
)
def swapped_words(
    case: Case,
    *,
    pairs: tuple[str, ...] = (),
    level: float = 0.95,
    threshold: float = 0.05,
    rows: int = 500,
    draws: int = 2,
) -> list[Finding]:
    """How decisions about texts change when words of two sides, such as "he" and "she", are exchanged.

    ``pairs`` are written "he/she", the first side first; by default about 55 English words and first names of men and
    women. All words of a text that are in the table are exchanged at once, with their capitals and a genitive 's;
    "her" becomes "his" before a noun and "him" elsewhere, by a short list of words. At most ``rows`` of the texts with
    such words are taken, drawn by the seed.

    FAI401: in each text the decision after the exchange, 1 where it differs, less the mean of ``draws`` controls: as
    many neutral words of the text are replaced by neutral words, the frequencies of both as near as can be to those of
    the words exchanged. Neutral are words whose texts are predicted as the other texts are, within two standard errors
    for each class. The estimate is the mean over texts, at most ``threshold``; the interval is clustered by text:
    all exchanges of a text are one, and equal texts count once. Texts with too few neutral words are left out, and
    counted. FAI402: mean change of the probability (without one: the score) of the case's class, from the first side to
    the second. Both are not applicable where no text has a word of the table.
    """
    if not 0 < level < 1 or not 0 <= threshold <= 1 or rows < 2 or draws < 1:
        raise InputError(
            f"level={level}, threshold={threshold}, rows={rows}, draws={draws}; needed are a level between 0 and 1, a "
            f"threshold from 0 to 1, at least 2 rows and 1 draw."
        )
    table = _table(pairs)
    texts = _texts_of(case)
    every = [swap_words(text, table) for text in texts]
    first = {str(text): place for place, text in reversed(list(enumerate(texts)))}
    having = np.array([place for place in sorted(first.values()) if every[place].partners], dtype=np.int64)
    if len(having) > rows:
        having = np.sort(case.seed.child("texts").generator().choice(having, rows, replace=False))
    if len(having) < 2:
        return [_not_applicable(check, case, len(having)) for check in CHECKS]
    measured = _measure(case, texts, every, having, table, draws)
    return [_decisions(case, measured, level, threshold), _shift(case, measured, level)]


def _table(pairs: Any) -> SwapTable:
    if isinstance(pairs, str) or not isinstance(pairs, Sequence):
        raise InputError(f"pairs={pairs!r}; give a tuple of pairs, ('he/she',).")
    return SwapTable.of(pairs or GENDER)


@dataclass(frozen=True, eq=False)
class _Measured:
    """What was measured in the texts with words of the table, ``rows`` (text,).

    ``changed`` (text,): whether the exchange changes the decision; ``control`` (text,): the mean over neutral words,
    NaN where the text has too few. ``moved`` (text,): the change of the output from the first side to the second, NaN
    where a text has as many words of both.
    """

    rows: Ints
    changed: Floats
    control: Floats
    moved: Floats
    swapped: Sequence[SwappedText]
    originals: Sequence[TextRow]


def _texts_of(case: Case) -> list[TextRow]:
    assert case.rows.text is not None
    return list(case.rows.text.source)


def _measure(
    case: Case, texts: list[TextRow], every: list[SwappedText], having: Ints, table: SwapTable, draws: int
) -> _Measured:
    predicted = _decided(case, case.prediction)
    neutral = NeutralWords.of(texts, predicted, table.words)
    seed = case.seed.child("neutral words")
    controls = [
        [neutral.swap(texts[row], every[row], seed.child(case.rows.ids[row], draw)) for draw in range(draws)]
        for row in having
    ]
    known = [place for place, own in enumerate(controls) if own[0] is not None]
    new: list[TextRow] = [every[row].text for row in having]
    new += [text for place in known for text in controls[place] if text is not None]
    outputs = ask(case.model, new, label=None, seed=case.seed).prediction
    decided, count = _decided(case, outputs), len(having)
    control = np.full(count, np.nan)
    if known:
        after = decided[count:].reshape(len(known), draws)
        control[known] = (after != predicted[having][known][:, None]).mean(axis=1)
    before, after_swap = (_scores(case, found) for found in (case.prediction[having], outputs[:count]))
    label = case.label[having]
    each = np.arange(count)
    sides = np.array([np.sign(every[row].firsts - every[row].seconds) for row in having], dtype=np.float64)
    moved = np.where(sides == 0, np.nan, sides * (after_swap[each, label] - before[each, label]))
    return _Measured(
        rows=having,
        changed=(decided[:count] != predicted[having]).astype(np.float64),
        control=control,
        moved=moved,
        swapped=[every[row] for row in having],
        originals=[texts[row] for row in having],
    )


def _decided(case: Case, outputs: Floats) -> Ints:
    return np.asarray(predicted_class(outputs, case.model.kind), dtype=np.int64)


def _scores(case: Case, outputs: Floats) -> Floats:
    """Probabilities (row, class), or scores where there are none."""
    try:
        return np.asarray(probabilities(outputs, case.model.kind), dtype=np.float64)
    except CapabilityError:
        return np.asarray(class_scores(outputs, case.model.kind), dtype=np.float64)


def _decisions(case: Case, found: _Measured, level: float, threshold: float) -> Finding:
    known = np.isfinite(found.control)
    if known.sum() < 2:
        return _not_applicable(DECISIONS, case, len(found.rows), "too few of their other words are neutral")
    changed, control = found.changed[known], found.control[known]
    excess = changed - control
    at_fault = np.flatnonzero(found.changed > 0)
    left = f" ({len(known) - int(known.sum())} texts without enough neutral words are left out)" * (not known.all())
    return judged_finding(
        DECISIONS,
        Basis("bounded", {"values": excess, "bounds": np.array([-1.0, 1.0])}),
        level,
        threshold,
        ADVICE,
        claim=(
            f"Exchanging words such as {_example(found)} changes the decision about {changed.mean():.1%} of "
            f"{int(known.sum())} texts with such words; neutral words of the same frequency change it in "
            f"{control.mean():.1%}{left}."
        ),
        subject=case.model.name,
        estimate=float(excess.mean()),
        null=0.0,
        n=int(known.sum()),
        meaning=MEANING[DECISIONS],
        affected=float(found.changed.mean()),
        rows=tuple(case.rows.ids[found.rows[place]] for place in at_fault[:MAX_ROWS]),
        evidence={
            "texts with such words": len(found.rows),
            "changed": float(changed.mean()),
            "changed by neutral words": float(control.mean()),
            "texts without a control": len(known) - int(known.sum()),
            "pairs": _by_pair(found),
            "examples": [
                {"text": found.originals[place], "exchanged": found.swapped[place].text}
                for place in at_fault[:MAX_LISTED]
            ],
        },
    )


def _example(found: _Measured) -> str:
    counts = Counter(pair for one in found.swapped for pair in one.partners)
    first, second = counts.most_common(1)[0][0]
    return f"{first} and {second}"


def _by_pair(found: _Measured) -> list[dict[str, Any]]:
    """The most frequent pairs, and the share of their texts whose decision changes."""
    having: dict[str, list[float]] = {}
    for one, changed in zip(found.swapped, found.changed):
        for pair in {f"{word} → {partner}" for word, partner in one.partners}:
            having.setdefault(pair, []).append(changed)
    order = sorted(having, key=lambda pair: (-len(having[pair]), pair))[:MAX_LISTED]
    return [{"pair": pair, "texts": len(having[pair]), "changed": float(np.mean(having[pair]))} for pair in order]


def _shift(case: Case, found: _Measured, level: float) -> Finding:
    moved = found.moved[np.isfinite(found.moved)]
    if len(moved) < 2:
        return _not_applicable(SHIFT, case, len(found.rows), "each has as many words of both sides")
    interval = Basis("student", {"values": moved}).at(level)
    name = case.classes[0] if len(set(case.classes)) == 1 else "the class predicted"
    return Finding(
        code=SHIFT.code,
        verdict="informative",
        claim=(
            f"From the first words of the pairs to the second the output for {name} moves by "
            f"{f'{moved.mean():+.3f}'.replace('-', '−')} on average over {len(moved)} texts."
        ),
        subject=case.model.name,
        estimate=float(moved.mean()),
        interval=interval,
        null=0.0,
        n=len(moved),
        meaning=MEANING[SHIFT],
        advice="No verdict: the number is for comparison with FAI401.",
        evidence={"mean of the absolute change": float(np.abs(moved).mean()), "largest": float(np.abs(moved).max())},
    )


def _not_applicable(check: Check, case: Case, texts: int, why: str = "at least two are needed") -> Finding:
    return Finding(
        code=check.code,
        verdict="not applicable",
        claim=f"{texts} of {len(case)} texts have a word of the table; {why}.",
        subject=case.model.name,
        meaning=MEANING[check],
        advice="Give pairs of words that occur in the texts (pairs=), or more texts.",
    )
