# SPDX-License-Identifier: Apache-2.0
"""Which of the rows explained are worth looking at, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from assay.basics.stats import spearman
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.comparison.wrong_classes import mistakes
from assay.nouns.inputs.target import probabilities
from assay.nouns.records.record import Gallery
from assay.nouns.results.result import Explanation, Score

SHOWN, WORST = 6, 2
"""Rows of a gallery, and galleries of single classes' mistakes."""


def galleries(
    case: Case,
    truth: Ints | None,
    explanations: Mapping[str, Explanation],
    scores: Mapping[tuple[str, str], Score],
) -> tuple[Gallery, ...]:
    """Typical, borderline, least stable and wrongly predicted rows of a classifier; least stable ones of others.

    ``truth`` (row,) are true classes, ``None`` where they are unknown; ``explanations`` leaves out the references.
    """
    found = []
    if case.model.gives not in ("values", "units"):
        chances = probabilities(case.prediction, case.model.gives)
        ranked = np.sort(chances, axis=1)
        lead = ranked[:, -1] - ranked[:, -2]
        predicted = chances.argmax(axis=1)
        right = np.ones(len(case), dtype=bool) if truth is None else predicted == truth
        found.append(_typical(lead, right, truth is not None))
        found.append(_drawn("borderline", "the two likeliest classes are closest", lead, np.ones_like(right)))
        if truth is not None:
            found += _wrong(predicted, truth, lead, case.model.classes)
    moved = _unsteadiness(explanations, scores)
    if moved is not None:
        why, amount = moved
        found.append(_drawn("least stable", why, -amount, np.isfinite(amount)))
    return tuple(gallery for gallery in found if gallery.rows)


def _typical(lead: Floats, right: Masks, known: bool) -> Gallery:
    middle = float(np.median(lead[right])) if right.any() else 0.0
    kind = "rightly predicted, " if known else ""
    return _drawn("typical", f"{kind}with a lead near the median one", np.abs(lead - middle), right)


def _wrong(predicted: Ints, truth: Ints, lead: Floats, classes: Sequence[str]) -> list[Gallery]:
    """The mistakes made with most confidence: of two classes, each kind of mistake for itself.

    Of more classes all together, and the commonest false positives and false negatives of a class.
    """
    wrong = predicted != truth
    if len(classes) != 2:
        worst = sorted(mistakes(predicted, truth, lead, classes, shown=SHOWN), key=lambda gallery: -gallery.of)
        together = _drawn("wrong", "another class is true, and the model was surest", -lead, wrong)
        return [together, *(gallery for gallery in worst[:WORST] if gallery.of > 1)]
    told = []
    for taken, true in ((1, 0), (0, 1)):
        kind = (predicted == taken) & (truth == true)
        named = "false positives" if taken == 1 else "false negatives"
        why = f"predicted {classes[taken]}, truly {classes[true]}, and the model was surest"
        told.append(_drawn(f"wrong: {named}", why, -lead, kind))
    return told


def _drawn(name: str, why: str, order: Floats, among: Masks) -> Gallery:
    """The first few of the rows ``among``, by ``order``; ties fall in row order."""
    places = np.flatnonzero(among)
    best = places[np.argsort(order[places], kind="stable")][:SHOWN]
    return Gallery(name, why, tuple(int(place) for place in best), len(places))


def _unsteadiness(
    explanations: Mapping[str, Explanation], scores: Mapping[tuple[str, str], Score]
) -> tuple[str, Floats] | None:
    """How unsteady each row's explanations are (row,): under tiny moves where that was scored, else between methods."""
    moved = [
        score.values for (name, kind), score in scores.items() if kind == "max_sensitivity" and name in explanations
    ]
    if moved:
        return "explanations move most when the input moves a little", _mean(np.stack(moved))
    values = [e.values for e in explanations.values()]
    if len(values) < 2:
        return None
    agreement = _mean(np.stack([spearman(one, two) for one, two in combinations(values, 2)]))
    return "the methods agree least on the order of the parts", -agreement


def _mean(values: Floats) -> Floats:
    """Mean over the first axis of what is defined; NaN where nothing is."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.divide(total, known.sum(axis=0), out=np.full(total.shape, np.nan), where=known.any(axis=0))
